"""``docs/options.md``: every command, option, value and exit code, read off the programs.

``python -m hippodrome.apps.reference`` prints it; a test compares.
"""

from __future__ import annotations

from collections.abc import Iterable

from hippodrome.apps.commandline import INIT, QUESTIONS, dashed
from hippodrome.apps.described import PROGRAMS, Option, common_options, own_options
from hippodrome.apps.exitcodes import EXIT_CODES
from hippodrome.apps.helptext import usage

_HEAD = """# Every command, option, value and exit code

This page is written by `python -m hippodrome.apps.reference`. `--help` shows the same for one
command; [commands.md](commands.md) tells how the commands are used.

An option may be given as `--name=value` or `--name value`, and those with one letter as `-n4`. Each
can be set in a configuration file of the profile, under the name in the last column:
`ipcluster_config.py` for `ipcluster` and `hippodrome`, `ipcontroller_config.py`,
`ipengine_config.py`, or the same with `.json`. The command line wins over `--config`, that over
`.json`, that over `.py`. `--generate-config` writes a file with all of them as comments,
`--show-config` shows what is in effect, and where it was written.
"""


def reference_text() -> str:
    """Return the page."""
    lines = [_HEAD, "## All commands", "", *_table(common_options()), ""]
    lines += ["| question | answer |", "|---|---|"]
    lines += [f"| `{dashed(name)}` | {text} |" for name, text in QUESTIONS.items()]
    lines += [f"| `{dashed(INIT)}` | Write a configuration file first, if there is none; go on. |"]
    for name, program in PROGRAMS.items():
        lines += ["", f"## {name}", "", program.description, ""]
        lines += [f"    {usage(program).removeprefix('usage: ').replace(program.name, name)}"]
        if options := [*own_options(program)]:
            lines += ["", *_table(options)]
        lines += ["", "Exit codes: " + ", ".join(map(str, program.exit_codes)) + "."]
    lines += ["", "## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(lines) + "\n"


def _table(options: Iterable[Option]) -> list[str]:
    return [
        "| option | what it is | by default | in the file |",
        "|---|---|---|---|",
        *map(_row, options),
    ]


def _row(option: Option) -> str:
    told = [f"`{value}`: {text}" for value, text in option.choices.items()]
    cells = [
        ", ".join(f"`{_escaped(spelling)}`" for spelling in option.spellings),
        _escaped("; ".join([f"{option.help} {told[0]}", *told[1:]]) if told else option.help),
        _escaped(option.default),
        f"`c.{option.in_file}`" if option.in_file else "",
    ]
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    text = text.replace("|", "\\|")
    return text if "`" in text else text.replace("*", "\\*")


if __name__ == "__main__":
    print(reference_text(), end="")
