"""``docs/options.md``: every command, option, value and exit code, read off the programs.

``python -m hippodrome.apps.reference`` prints it; a test compares.
"""

from __future__ import annotations

from collections.abc import Iterator

from hippodrome.apps.base import Program
from hippodrome.apps.commandline import INIT, QUESTIONS, dashed
from hippodrome.apps.controller_options import IPController
from hippodrome.apps.engine_options import IPEngine
from hippodrome.apps.exitcodes import EXIT_CODES
from hippodrome.apps.helptext import names_of, own_targets, usage
from hippodrome.apps.ipcluster import SUBCOMMANDS
from hippodrome.apps.meaning import Trait, choices, default_words, placeholder

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
    programs: dict[str, type[Program]] = {
        **{f"ipcluster {name}": program for name, program in SUBCOMMANDS.items()},
        "ipcontroller": IPController,
        "ipengine": IPEngine,
    }
    common = {*Program.class_traits(config=True)}
    lines = [_HEAD, "## All commands", "", *_table(IPController, only=common, anonymous=True), ""]
    lines += ["| question | answer |", "|---|---|"]
    lines += [f"| `{dashed(name)}` | {text} |" for name, text in QUESTIONS.items()]
    lines += [f"| `{dashed(INIT)}` | Write a configuration file first, if there is none; go on. |"]
    for name, program in programs.items():
        lines += ["", f"## {name}", "", program.description, ""]
        lines += [f"    {usage(program).removeprefix('usage: ').replace(program.name, name)}"]
        own = {t.partition(".")[2] for t in own_targets(program)} - common
        if table := _table(program, only=own):
            lines += ["", *table]
        lines += ["", "Exit codes: " + ", ".join(map(str, program.exit_codes)) + "."]
    lines += ["", "## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(lines) + "\n"


def _table(program: type[Program], *, only: set[str], anonymous: bool = False) -> list[str]:
    rows = list(_rows(program, only, anonymous=anonymous))
    return (
        ["| option | what it is | by default | in the file |", "|---|---|---|---|", *rows]
        if rows
        else []
    )


def _rows(program: type[Program], only: set[str], *, anonymous: bool) -> Iterator[str]:
    syntax = program.syntax()
    for target, trait in own_targets(program).items():
        section, _, name = target.partition(".")
        if name not in only:
            continue
        options = [
            _spelled(option, trait, is_flag=option.lstrip("-") not in syntax.aliases)
            for option in names_of(target, syntax)
        ] or [f"--{target}={placeholder(trait)}"]
        in_file = f"c.{'CLASS' if anonymous else section}.{name}"
        cells = [
            ", ".join(f"`{_escaped(option)}`" for option in options),
            _meaning(trait),
            _escaped(default_words(trait)),
            "" if trait.metadata.get("locates") else f"`{in_file}`",
        ]
        yield f"| {' | '.join(cells)} |"


def _spelled(option: str, trait: Trait, *, is_flag: bool) -> str:
    if is_flag:
        return option
    return f"{option}{' ' if len(option) == 2 else '='}{placeholder(trait)}"


def _meaning(trait: Trait) -> str:
    told = [f"`{name}`: {text}" for name, text in choices(trait).items() if text]
    return _escaped("; ".join([f"{trait.help} {told[0]}", *told[1:]]) if told else trait.help)


def _escaped(text: str) -> str:
    text = text.replace("|", "\\|")
    return text if "`" in text else text.replace("*", "\\*")


if __name__ == "__main__":
    print(reference_text(), end="")
