"""``ipcluster``: starts, stops and lists clusters."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Final

from hippodrome._version import __version__
from hippodrome.apps.base import OK, USAGE, Program, complain, run
from hippodrome.apps.commandline import UsageError, did_you_mean
from hippodrome.apps.subcommands import (
    IPClusterClean,
    IPClusterEngines,
    IPClusterList,
    IPClusterStart,
    IPClusterStop,
)
from hippodrome.standard import open_missing

SUBCOMMANDS: Final[Mapping[str, type[Program]]] = {
    "start": IPClusterStart,
    "stop": IPClusterStop,
    "engines": IPClusterEngines,
    "list": IPClusterList,
    "clean": IPClusterClean,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ipcluster`` with a command line, by default this process's."""
    open_missing()
    command, *rest = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
    if command in ("-h", "--help", "help"):
        print(_help())
        return OK
    if command in ("-V", "--version"):
        print(__version__)
        return OK
    if command not in SUBCOMMANDS:
        hint = did_you_mean(command, SUBCOMMANDS) or f"; there are: {', '.join(SUBCOMMANDS)}"
        return complain("ipcluster", UsageError(f"there is no subcommand {command!r}{hint}"), USAGE)
    return run(SUBCOMMANDS[command], rest)


def _help() -> str:
    lines = [f"  {name:<9}{program.description}" for name, program in SUBCOMMANDS.items()]
    return "\n".join(
        [
            "usage: ipcluster SUBCOMMAND [options]",
            "",
            "Start, stop and list clusters.",
            "",
            "Subcommands:",
            *lines,
            "",
            "ipcluster SUBCOMMAND --help shows the options of one.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
