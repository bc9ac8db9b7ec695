"""Numbers, times and lists of engines as people read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hippodrome.protocol.messages import Result

_UNITS: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "\N{MICRO SIGN}s"))
_MINUTE_S: Final = 60
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HOUR_S: Final = 3600


def seconds(value: float) -> str:
    """Return a time, in seconds, with three digits and a unit."""
    if value < 0:
        return f"\N{MINUS SIGN}{seconds(-value)}"
    if value == 0:
        return "0 s"
    if value < _MINUTE_S:
        value = float(f"{value:.3g}")  # first, so that there are no 1,000 ms
    if value >= _HOUR_S:
        return f"{int(value // _HOUR_S):,} h {int(value % _HOUR_S // _MINUTE_S)} min"
    if value >= _MINUTE_S:
        return f"{int(value // _MINUTE_S)} min {int(value % _MINUTE_S)} s"
    size, unit = next((unit for unit in _UNITS if value >= unit[0]), _UNITS[-1])
    return f"{digits(value / size)} {unit}"


def digits(value: float) -> str:
    """Return a number with three digits, and no more after the point than that."""
    after = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{after}f}"


def count(n: int, noun: str) -> str:
    """Return a number of things; *noun* is the word for one of them."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def what_was_printed(results: Iterable[Result]) -> str:
    """Return how many tasks printed something, and how to see it; empty if none did."""
    n = sum(bool(result.stdout or result.stderr) for result in results)
    return f"by {count(n, 'task')}: ar.display_outputs(), ar.stdout" if n else ""


def shortened(text: str, most: int) -> str:
    """Return at most *most* characters of *text*."""
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def printable(text: str) -> str:
    """Return *text* without the characters that no XML can hold, such as control characters."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def ranges(numbers: Iterable[int], most: int = 8) -> str:
    """Return numbers, the neighbors among them as a range; of more than *most* parts, the first."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    shown = [_range(first, last) for first, last in parts[:most]]
    return ", ".join([*shown, "\N{HORIZONTAL ELLIPSIS}"] if len(parts) > most else shown)


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}\N{EN DASH}{last}"


def some(words: Sequence[str], most: int) -> str:
    """Return a list of words; of more than *most*, the first and how many there are besides."""
    rest = [f"{len(words) - most:,} more"] if len(words) > most else []
    return ", ".join([*words[:most], *rest])
