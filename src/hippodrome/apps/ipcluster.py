"""``ipcluster``: starts, stops and lists clusters."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Final

from hippodrome.apps.base import Program, run, version_text
from hippodrome.apps.commandline import UsageError, did_you_mean
from hippodrome.apps.completion import COMPLETE, IPClusterCompletion, print_candidates
from hippodrome.apps.doctor import IPClusterDoctor
from hippodrome.apps.exitcodes import OK
from hippodrome.apps.launcherlist import IPClusterLaunchers
from hippodrome.apps.listing import IPClusterList
from hippodrome.apps.running import IPClusterRun
from hippodrome.apps.showlogs import IPClusterLogs
from hippodrome.apps.showstatus import IPClusterStatus
from hippodrome.apps.stopping import IPClusterClean, IPClusterStop
from hippodrome.apps.streams import guarded
from hippodrome.apps.subcommands import IPClusterEngines, IPClusterStart
from hippodrome.process.standard import open_missing

SUBCOMMANDS: Final[Mapping[str, type[Program]]] = {
    "start": IPClusterStart,
    "stop": IPClusterStop,
    "engines": IPClusterEngines,
    "run": IPClusterRun,
    "list": IPClusterList,
    "status": IPClusterStatus,
    "launchers": IPClusterLaunchers,
    "logs": IPClusterLogs,
    "clean": IPClusterClean,
    "doctor": IPClusterDoctor,
    "completion": IPClusterCompletion,
}
# Questions about the file that all subcommands read.
_OF_THE_FILE: Final = ("generate-config", "show-config", "show-config-json")
_OLD_SUBCOMMANDS: Final[Mapping[str, str]] = {
    "nbextension": "the extension of Jupyter servers is turned on when this is installed",
}


def main(argv: Sequence[str] | None = None, name: str = "ipcluster") -> int:
    """Run ``ipcluster``.

    Args:
        argv: the command line without the program's name; by default this process's.
        name: what the program was called.
    """
    open_missing()
    for command, program in SUBCOMMANDS.items():
        program.name = f"{name} {command}"
    given = sys.argv[1:] if argv is None else list(argv)
    return guarded(name, lambda: _main(given, name))


def _main(given: list[str], name: str) -> int:
    if given[:1] == [COMPLETE]:
        return print_candidates(given[1:], SUBCOMMANDS)
    command, *rest = given or ["--help"]
    if command == "help" and rest:
        command, rest = rest[0], ["--help"]
    if command in ("-h", "--help", "help"):
        print(_help(name))
        return OK
    if command == "--help-all":
        from hippodrome.apps.helptext import full_help_text

        print("\n\n\n".join([_help(name), *map(full_help_text, SUBCOMMANDS.values())]))
        return OK
    if command in ("-V", "--version"):
        print(version_text(name))
        return OK
    if command.lstrip("-") in _OF_THE_FILE:
        return run(IPClusterStart, [command, *rest])
    if command in _OLD_SUBCOMMANDS:
        raise UsageError(f"there is no subcommand {command!r} here: {_OLD_SUBCOMMANDS[command]}")
    if command not in SUBCOMMANDS:
        hint = did_you_mean(command, SUBCOMMANDS) or f"; there are: {', '.join(SUBCOMMANDS)}"
        raise UsageError(f"there is no subcommand {command!r}{hint}")
    return run(SUBCOMMANDS[command], rest)


def hippodrome(argv: Sequence[str] | None = None) -> int:
    """Run ``hippodrome``, which is ``ipcluster`` under a name that no other package has."""
    return main(argv, "hippodrome")


def _help(name: str) -> str:
    lines = [f"  {command:<12}{program.description}" for command, program in SUBCOMMANDS.items()]
    return "\n".join(
        [
            f"usage: {name} SUBCOMMAND [options]",
            "",
            "Start, stop and list clusters.",
            "",
            "Subcommands:",
            *lines,
            "",
            f"{name} SUBCOMMAND --help shows the options of one, {name} --help-all all there are.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
