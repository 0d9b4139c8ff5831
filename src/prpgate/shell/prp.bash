# Completion of prp for bash (3.2 and later). To have it in every new shell, add this line to ~/.bashrc:
#   eval "$(prp completion bash)"
# or keep it as a file where bash-completion looks:
#   prp completion bash > ~/.local/share/bash-completion/completions/prp
_prp() {
    local prp=prp word
    [[ $1 == */* && -x $1 ]] && prp=$1
    COMPREPLY=()
    while IFS= read -r word; do
        if [[ $word == :files ]]; then
            compopt -o default 2>/dev/null
            return
        fi
        COMPREPLY+=("$word")
    done < <(command "$prp" __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null </dev/null)
}
# git's own completion calls this for `git prp`.
_git_prp() {
    local line=${COMP_LINE:0:COMP_POINT}
    line="prp ${line#*prp }"
    local COMP_LINE=$line COMP_POINT=${#line}
    _prp prp
}
complete -o nosort -F _prp prp 2>/dev/null || complete -F _prp prp
