"""Which hosts, and how many engines on each: all the ways in which users say that.

A dictionary, as ``{"gpu01": 4, "me@gpu02:2222": "auto", "gpu03": {"n": 2, "python": "/p"}}``; a
list of names; a text, as ``gpu01=4,me@gpu02:2222=auto,gpu03``; or a file of hosts, one a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from hippodrome.errors import LaunchError
from hippodrome.ssh.places import parse_server

AUTO: Final = "auto"
N: Final = "n"
_PRIVILEGED: Final = 1024
_SSH_PORT: Final = 22
_LINE: Final = re.compile(
    r"(\S+?)(?:\s+(?:slots\s*=\s*)?|=|\s*\*\s*)(\d+|auto)(?:\s+max_slots\s*=\s*\d+)?"
)
_MOST_BYTES: Final = 1 << 20

HostTable = dict[str, dict[str, Any]]  # by host: "n", if it was said, and options for it alone


def read_hosts(given: Any) -> HostTable:  # Any: what users write
    """Return the hosts that are *given*, in their order, each with what was said of it.

    Raises:
        ValueError, TypeError: it names none, or something makes no sense.
        LaunchError: a file cannot be read, or what is meant is open.
    """
    if isinstance(given, Mapping):
        table = {str(name).strip(): _described(value) for name, value in given.items()}
    elif isinstance(given, str):
        table = _of_lines(_lines(given))
    else:
        table = _of_lines(str(one) for one in given)
    for name in table:
        parse_server(name)
    return table


def _described(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        told = {str(name): one for name, one in value.items()}
        return told | {N: _count(told[N])} if N in told else told
    return {} if value is None else {N: _count(value)}


def _count(value: Any) -> int | str:
    if value == AUTO:
        return AUTO
    number = int(value)
    if number < 1 or isinstance(value, bool) or number != float(value):
        raise ValueError(f"{value!r} is no number of engines")
    return number


def _lines(text: str) -> list[str]:
    """Return the parts of a text, or of the file that it names."""
    name = text.strip()
    if name.startswith("@") or "/" in name or Path(name).suffix in (".txt", ".hosts"):
        path = Path(name.removeprefix("@")).expanduser()
        try:
            with path.open(encoding="utf-8") as file:
                return file.read(_MOST_BYTES).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise LaunchError(f"cannot read the hosts in {path}: {error}") from error
    return name.split(",")


def _of_lines(lines: Iterable[str]) -> HostTable:
    table: HostTable = {}
    for line in lines:
        words = line.partition("#")[0].strip()
        if not words:
            continue
        match = _LINE.fullmatch(words)
        name = match[1] if match else words
        if not match:
            _check_port(name)
        told = _described(_count(match[2])) if match else {}
        if name in table:  # machine files name a host once for each core
            told = {N: _sum(table[name].get(N, 1), told.get(N, 1))}
        table[name] = told
    return table


def _sum(one: int | str, other: int | str) -> int | str:
    return AUTO if isinstance(one, str) or isinstance(other, str) else one + other


def _check_port(name: str) -> None:
    """Raise LaunchError where a number of engines may have been meant."""
    port = parse_server(name).port
    if 0 < port < _PRIVILEGED and port != _SSH_PORT:
        host = name.rpartition(":")[0]
        raise LaunchError(
            f"is {port} a port of {host}, or how many engines? Say {host}={port} for engines, and "
            f"{name}=N for the port"
        )
