# Completion of prp for fish. To have it in every new shell:
#   prp completion fish > ~/.config/fish/completions/prp.fish
# and for `git prp` too, which fish would not look for there, in ~/.config/fish/conf.d/prp.fish instead.
function __prp_words
    set -l before (commandline -opc)
    set -l last (commandline -ct)
    while set -q before[1]; and not string match -q -r '(^|/)prp$' -- $before[1]
        set -e before[1]
    end
    set -l prp prp
    if set -q before[1]
        if string match -q '*/*' -- $before[1]; and test -x $before[1]
            set prp $before[1]
        end
        set -e before[1]
    end
    set -l found (command $prp __complete fish $before "$last" 2>/dev/null </dev/null)
    if test "$found[1]" = :files
        __fish_complete_path "$last"
    else if set -q found[1]
        printf '%s\n' $found
    end
end
# Whether git's command is prp.
function __prp_after_git
    set -l before (commandline -opc)
    set -e before[1]
    while set -q before[1]
        switch $before[1]
            case prp
                return 0
            case -C -c
                set -e before[1]
            case '-*'
            case '*'
                return 1
        end
        set -e before[1]
    end
    return 1
end
complete -c prp -e
complete -c prp -f -k -a '(__prp_words)'
complete -c git -n __prp_after_git -f -k -a '(__prp_words)'
