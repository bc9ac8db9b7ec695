"""Man pages of the programs, read off them as ``docs/options.md`` is.

`shipped` puts them into files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from hippodrome.apps.base import Program
from hippodrome.apps.commandline import INIT, QUESTIONS, dashed
from hippodrome.apps.completion import COMMANDS
from hippodrome.apps.described import PROGRAMS, Option, common_options, own_options
from hippodrome.apps.exitcodes import EXIT_CODES
from hippodrome.apps.helptext import examples_of, usage

SITE: Final = "https://hippodrome.readthedocs.io/"

_WHAT: Final = {
    "ipcluster": "start, stop and look after clusters for parallel Python",
    "hippodrome": "start, stop and look after clusters for parallel Python",
    "ipcontroller": "the process of a cluster that clients and engines connect to",
    "ipengine": "the processes of a host that run what clients of a cluster send",
}
_PLAIN: Final = str.maketrans(
    {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
)


def man_page(command: str) -> str:
    """Return the page of *command* in section 1, as troff reads it."""
    lines = [f'.TH {command.upper()} 1 "" "hippodrome" "User Commands"', ".ad l", ".nh"]
    lines += [".SH NAME", rf"{command} \- {_plain(_WHAT[command])}", ".SH SYNOPSIS"]
    programs = _programs_of(command)
    for index, program in enumerate(programs.values()):
        lines += [".br"] * bool(index) + [f".B {_plain(_usage(program, command))}"]
    lines += [".SH DESCRIPTION"]
    for name, program in programs.items():
        lines += [f'.SS "{_plain(name)}"'] if len(programs) > 1 else []
        lines += [_plain(program.description), *_entries(own_options(program))]
        codes = ", ".join(map(str, program.exit_codes))
        lines += [".P", f"Exit status: {codes}."]
    lines += [".SH COMMON OPTIONS", "CLASS is that of the options above."]
    lines += _entries(common_options())
    lines += [".SH HELP AND CONFIGURATION"]
    lines += _tagged([dashed(INIT)], "Write a configuration file first, if there is none; go on.")
    for name, text in QUESTIONS.items():
        lines += _tagged([dashed(name)], text)
    lines += [".SH EXIT STATUS"]
    for code in sorted({code for program in programs.values() for code in program.exit_codes}):
        lines += _tagged([str(code)], EXIT_CODES[code])
    lines += [".SH EXAMPLES", ".EX"]
    lines += [_plain(line) for program in programs.values() for line in _examples(program, command)]
    lines += [".EE", ".SH SEE ALSO"]
    lines += [",\n".join(f".BR {name} (1)" for name in COMMANDS if name != command)]
    lines += [".P", ".UR " + SITE, ".UE"]
    return "\n".join(lines) + "\n"


def _programs_of(command: str) -> dict[str, type[Program]]:
    """Return what *command* consists of: itself, or its subcommands."""
    if command in PROGRAMS:
        return {command: PROGRAMS[command]}
    return {
        name.replace("ipcluster", command): program
        for name, program in PROGRAMS.items()
        if name.startswith("ipcluster ")
    }


def _usage(program: type[Program], command: str) -> str:
    """Return how *program* is called, whatever it was called in this process."""
    return re.sub(r"^usage: \S+", command, usage(program))


def _examples(program: type[Program], command: str) -> Iterator[str]:
    return (
        re.sub(r"^\s*(ipcluster|hippodrome)\b", command, line).strip()
        for line in examples_of(program)
    )


def _entries(options: Iterable[Option]) -> Iterator[str]:
    """Yield the lines that describe *options*."""
    for option in options:
        yield from _tagged(option.spellings, option.help)
        if option.choices:
            yield ".RS"
            for value, meaning in option.choices.items():
                yield from _tagged([value], meaning)
            yield ".RE"
        yield ".IP" if option.choices else ".br"
        if option.default:
            yield from (_plain(f"Default: {option.default}."), ".br")
        if option.in_file:
            yield _plain(f"In the configuration file: c.{option.in_file}")


def _tagged(names: Iterable[str], text: str) -> Iterator[str]:
    yield from (".TP", f".B {_plain(', '.join(names))}", _plain(text))


def _plain(text: str) -> str:
    """Return *text* such that troff takes nothing in it for a command."""
    return re.sub(r"^(?=[.'])", r"\\&", text.translate(_PLAIN))
