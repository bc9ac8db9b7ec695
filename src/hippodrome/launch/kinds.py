"""What options of launchers are, and what they take: times, sizes, numbers, texts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

AUTO: Final = "auto"

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNITS_BYTES: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True, slots=True)
class Kind:
    """What an option takes.

    Attributes:
        words: as in ``must be ...``.
        read: returns the value that launchers get; raises ValueError or TypeError.
        placeholder: what stands for a value in help texts.
        is_list: whether an option that is given several times collects.
    """

    words: str
    read: Callable[[Any], Any]  # Any: what users write
    placeholder: str = "VALUE"
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class LaunchOption:
    """One option.

    Attributes:
        name: what it is called in Python and, with dashes, on the command line.
        kind: what it takes.
        help: what it means, in a sentence.
        default: what holds without it; None for what the launcher decides.
        default_words: that in words, where the value does not say it.
        old: what ipyparallel's launchers call it, where they call it something else.
        is_short: whether the command line has it by its name alone, too.
    """

    name: str
    kind: Kind
    help: str
    default: Any = None  # Any: as read
    default_words: str = ""
    old: tuple[str, ...] = ()
    is_short: bool = True


def _text(value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool) or "\n" in str(value):
        raise ValueError
    return str(value)


def _count(value: Any) -> int:
    number = int(value)
    if number < 1 or isinstance(value, bool) or number != float(value):
        raise ValueError
    return number


def _count_or_auto(value: Any) -> int | str:
    return AUTO if value == AUTO else _count(value)


def _switch(value: Any) -> bool:
    if str(value).lower() not in ("true", "false", "1", "0"):
        raise ValueError
    return str(value).lower() in ("true", "1")


def _texts(value: Any) -> list[str]:
    given = [value] if isinstance(value, str) else list(value)
    if not all(isinstance(each, str) for each in given):
        raise ValueError
    return given


def _words(value: Any) -> list[str]:
    return _texts(shlex.split(value) if isinstance(value, str) else value)


def _hosts(value: Any) -> dict[str, dict[str, Any]]:
    from hippodrome.launch.hostnames import read_hosts  # which few need

    return read_hosts(value)


def _files(value: Any) -> list[list[str]]:
    """Return pairs of paths, of which one may be written ``"a:b"``."""
    given = value.split(",") if isinstance(value, str) else list(value)
    pairs = [one.split(":", 1) if isinstance(one, str) else list(one) for one in given]
    if not all(len(pair) == 2 and all(isinstance(each, str) for each in pair) for pair in pairs):
        raise ValueError
    return pairs


def _variables(value: Any) -> dict[str, str]:
    given = value if isinstance(value, Mapping) else dict(p.split("=", 1) for p in value.split(","))
    if not all(str(name).isidentifier() for name in given):
        raise ValueError
    return {str(name): str(each) for name, each in given.items()}


def _switch_or_auto(value: Any) -> bool | str:
    return AUTO if value == AUTO else _switch(value)


def _span(value: Any) -> int:
    """Return the seconds of ``90``, ``"1h"``, ``"1h30m"``, ``"1:30:00"``, ``"2-12:00:00"``."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    text = str(value).strip().lower()
    if match := re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+)(?::(\d+))?", text):
        days, *clock = (int(part or 0) for part in match.groups())
        # two numbers are minutes and seconds, and hours and minutes after days
        if match[4] is None and match[1] is None:
            clock = [0, clock[0], clock[1]]
        seconds: float = days * 86400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
    elif parts := re.findall(r"(\d+(?:\.\d+)?)\s*([smhdw])[a-z]*", text):
        if re.sub(r"(\d+(?:\.\d+)?)\s*([smhdw])[a-z]*", "", text).strip(" ,"):
            raise ValueError
        seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    else:
        seconds = float(text)
    if not 1 <= seconds < 1e9:
        raise ValueError
    return round(seconds)


def _size(value: Any) -> int:
    """Return the bytes of ``16_000_000_000``, ``"16G"``, ``"512 MiB"``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", str(value).strip().upper())
    if match is None or isinstance(value, bool):
        raise ValueError
    size = float(match[1]) * _UNITS_BYTES[match[2]]
    if not 1 <= size < 1e18:
        raise ValueError
    return round(size)


TEXT: Final = Kind("a text of one line", _text, "TEXT")
TEXTS: Final = Kind("a list of texts, such as ['a', 'b']", _texts, "TEXT", is_list=True)
COUNT: Final = Kind("a whole number of at least 1", _count, "N")
COUNT_OR_AUTO: Final = Kind("a whole number of at least 1, or 'auto'", _count_or_auto, "N|auto")
SWITCH: Final = Kind("True or False", _switch, "True|False")
SPAN: Final = Kind("a time such as 90 (seconds), '45m', '1h' or '1:30:00'", _span, "TIME")
SIZE: Final = Kind("a size such as '16G' or '512M', in bytes without a unit", _size, "SIZE")

SWITCH_OR_AUTO: Final = Kind("True, False or 'auto'", _switch_or_auto, "True|False|auto")
WORDS: Final = Kind("a command and its arguments", _words, "WORD", is_list=True)
FILES: Final = Kind("a list of pairs of paths, such as [('a', 'b')]", _files, "FROM:TO")
VARIABLES: Final = Kind("a dictionary of variables", _variables, "NAME=VALUE")
HOSTS: Final = Kind(
    "hosts, such as {'gpu01': 4, 'me@gpu02:2222': 'auto'}, 'gpu01=4,gpu02' or a file of them",
    _hosts,
    "HOST=N",
)
