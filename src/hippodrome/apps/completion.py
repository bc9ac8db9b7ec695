"""``ipcluster completion``: prints what makes a shell complete the commands at Tab."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from hippodrome.apps.base import Program
from hippodrome.apps.clusterprogram import ClusterProgram, say
from hippodrome.apps.commandline import UsageError, did_you_mean
from hippodrome.apps.exitcodes import FAILED, OK, USAGE

COMPLETE: Final = "__complete"  # the subcommand that the scripts call
COMMANDS: Final = ("ipcluster", "hippodrome", "ipcontroller", "ipengine")

_BASH: Final = r"""# Completion of COMMANDS for bash:
#     eval "$(hippodrome completion bash)"
_hippodrome() {
    local program=hippodrome IFS=$'\n' word words=() n=0 i before=
    [[ $1 == */* && -x ${1%/*}/hippodrome ]] && program=${1%/*}/hippodrome
    # bash takes --option=value for three words
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((n > 1)) && [[ ${words[n-1]} == -* ]] &&
           { [[ $word == "=" && ${words[n-1]} != *=* ]] || [[ $before == "=" ]]; }; then
            words[n-1]+=$word
        else
            words[n]=$word
            n=$((n + 1))
        fi
        before=$word
    done
    word=${words[n-1]}
    local value=$word prefix=
    if [[ $word == -*=* ]]; then
        value=${word#*=}
        [[ $COMP_WORDBREAKS == *=* ]] && prefix=${word%%=*}=
    fi
    COMPREPLY=()
    local line
    while read -r line; do
        line=${line%%$'\t'*}
        case $line in
            :files) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "$value")) ;;
            :folders) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -d -- "$value")) ;;
            *) [[ $line == *= ]] && compopt -o nospace 2>/dev/null
               line=${line#"$prefix"}
               [[ $line == *[[:space:]]* ]] && printf -v line %q "$line"
               COMPREPLY+=("$line") ;;
        esac
    done < <("$program" __complete "${words[@]}" 2>/dev/null)
}
complete -F _hippodrome COMMANDS
"""

_ZSH: Final = r"""#compdef COMMANDS
# Completion for zsh:
#     eval "$(hippodrome completion zsh)"
_hippodrome() {
    local program=hippodrome line name text tab=$'\t'
    local -a ready readytexts more moretexts
    [[ $words[1] == */* && -x ${words[1]:h}/hippodrome ]] && program=${words[1]:h}/hippodrome
    for line in "${(@f)$($program __complete "${(@Q)words[1,CURRENT]}" 2>/dev/null)}"; do
        name=${line%%$tab*}
        text=${line#*$tab}
        [[ -n $text && $text != $line ]] && text="$name  -- $text" || text=$name
        case $name in
            '') ;;
            :files) [[ $PREFIX == -*=* ]] && compset -P '*='; _files ;;
            :folders) [[ $PREFIX == -*=* ]] && compset -P '*='; _files -/ ;;
            *=) more+=("$name"); moretexts+=("$text") ;;
            *) ready+=("$name"); readytexts+=("$text") ;;
        esac
    done
    (( $#ready )) && compadd -l -d readytexts -a -- ready
    (( $#more )) && compadd -l -S '' -d moretexts -a -- more
    return 0
}
if [[ $funcstack[1] == _hippodrome ]]; then
    _hippodrome "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _hippodrome COMMANDS
fi
"""

_FISH: Final = r"""# Completion of COMMANDS for fish:
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
for command in COMMANDS
    complete -c $command -f -a '(__hippodrome)'
end
"""

SCRIPTS: Final[Mapping[str, str]] = {
    shell: text.replace("COMMANDS", " ".join(COMMANDS))
    for shell, text in {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}.items()
}


class IPClusterCompletion(ClusterProgram):
    """Options of ``ipcluster completion``."""

    name = "ipcluster completion"
    description = "Print what makes bash, zsh or fish complete the commands at Tab."
    examples = (
        'eval "$(ipcluster completion bash)"  # in ~/.bashrc; zsh in ~/.zshrc\n'
        "ipcluster completion fish > ~/.config/fish/completions/ipcluster.fish"
    )
    argument_name = "SHELL"
    argument_choices: ClassVar[Sequence[str]] = tuple(SCRIPTS)
    exit_codes: ClassVar[tuple[int, ...]] = (OK, FAILED, USAGE)

    def start(self) -> int:
        given = self.arguments or [os.path.basename(os.environ.get("SHELL", ""))]
        if len(given) > 1 or given[0] not in SCRIPTS:
            hint = did_you_mean(given[0], SCRIPTS) or f"; there are: {', '.join(SCRIPTS)}"
            raise UsageError(f"there is no completion for {' '.join(given)!r}{hint}")
        say(SCRIPTS[given[0]].rstrip("\n"))
        return OK


def print_candidates(words: Sequence[str], subcommands: Mapping[str, type[Program]]) -> int:
    """Print what the last of *words* may become, in lines with what each means; never fail."""
    from hippodrome.apps.completing import complete
    from hippodrome.apps.controller_options import IPController
    from hippodrome.apps.engine_options import IPEngine

    alone: Mapping[str, type[Program]] = {"ipcontroller": IPController, "ipengine": IPEngine}
    name = os.path.basename(words[0]) if words else ""
    programs = {"": alone[name]} if name in alone else subcommands
    for text, meaning in complete(words or [""], programs, {"start": IPController}):
        say(f"{text}\t{' '.join(meaning.split())}")
    return OK
