#compdef prp
# Completion of prp for zsh. To have it in every new shell, keep it in a folder of $fpath, under the name _prp:
#   prp completion zsh > "${fpath[1]}/_prp"
# or add this line to ~/.zshrc, behind compinit:
#   eval "$(prp completion zsh)"
# `git prp` is completed by the same file under a second name: ln -s _prp "${fpath[1]}/_git-prp"
_prp() {
    local prp=prp line tab=$'\t' wide=0 many=0
    local -a before lines names about shown
    [[ $words[1] == */* && -x ${(Q)words[1]} ]] && prp=${(Q)words[1]}
    (( CURRENT > 2 )) && before=("${(@Q)words[2,CURRENT-1]}")
    lines=("${(@f)$(command $prp __complete zsh "${before[@]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)}")
    if [[ $lines[1] == :files ]]; then
        _files
        return
    fi
    for line in "${lines[@]}"; do
        [[ -n $line ]] || continue
        names+=("${line%%$tab*}")
        about+=("${line#*$tab}")
        (( $#names[-1] > wide )) && wide=$#names[-1]
        [[ -n $about[-1] ]] && many=1
    done
    (( $#names )) || return 1
    if (( ! many )); then
        compadd -V prp -a names
        return
    fi
    local -i n
    for (( n = 1; n <= $#names; n++ )); do
        shown+=("${(r:wide:)names[n]}${about[n]:+  -- $about[n]}")
    done
    compadd -V prp -l -d shown -a names
}
# zsh's completion of git calls this, with `prp` as the first word.
_git-prp() {
    _prp
}
if [[ $funcstack[1] == (_prp|_git-prp) ]]; then
    _prp "$@"
elif (( $+functions[compdef] )); then
    compdef _prp prp
fi
