# Completion of ipcluster hippodrome ipcontroller ipengine for fish:
#     hippodrome completion fish | source
function __hippodrome
    set -l program hippodrome
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    if string match -q '*/*' -- $words[1]
        and test -x (dirname $words[1])/hippodrome
        set program (dirname $words[1])/hippodrome
    end
    set -l before (string match -r -- '^-[^=]*=' "$word")
    set -l value (string replace -r -- '^-[^=]*=' '' "$word")
    for line in ($program __complete $words "$word" 2>/dev/null)
        switch $line
            case ':files*'
                for path in (__fish_complete_path "$value")
                    echo "$before$path"
                end
            case ':folders*'
                for path in (__fish_complete_directories "$value" '')
                    echo "$before$path"
                end
            case '*'
                echo $line
        end
    end
end
for command in ipcluster hippodrome ipcontroller ipengine
    complete -c $command -f -a '(__hippodrome)'
end
