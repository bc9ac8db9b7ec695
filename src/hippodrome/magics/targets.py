"""Target specifications, as written after ``--targets``: parsed, never evaluated."""

from __future__ import annotations

import re
from typing import Final

_INTEGER: Final = re.compile(r"[+-]?\d+")
_BRACKETS: Final = re.compile(r"\[[^][]*]|\([^()]*\)|\{[^{}]*}")
_NUMPY: Final = re.compile(r"np\.\w+\(([+-]?\d+)\)")
_SLICE: Final = re.compile(r"slice\(([^,]+),([^,]+),([^,]+)\)")
_RANGE: Final = re.compile(r"range\(([+-]?\d{1,9}(?:,[+-]?\d{1,9}){0,2})\)")
_MOST_IDS: Final = 1 << 16


def joined(line: str) -> str:
    """Return *line* without the spaces in brackets, so that a list in it is one word.

    ``--targets $ids`` is ``--targets [0, 2]`` when names of the user have taken their places.
    """
    line = _NUMPY.sub(r"\1", line)
    return _BRACKETS.sub(lambda found: _without_spaces(found[0]), line)


def _without_spaces(text: str) -> str:
    text = re.sub(r"\s*([][(){},:])\s*", r"\1", text.strip())
    return re.sub(r"\s+", ",", text)  # as numpy writes arrays


def parse_targets(text: str) -> str | int | slice | list[int]:
    """Return what *text* means.

    Args:
        text: ``all``; an engine id, of which negative ones count from the end; ids with commas
            between them; or a slice of the ids, as ``::2`` or ``1:3``. Quotes and brackets around
            it are allowed, and ranges and slices as Python writes them.

    Raises:
        ValueError: it is none of these.
    """
    spec = _plainly(_without_spaces(_NUMPY.sub(r"\1", text).strip().strip("'\"")))
    if spec in {"all", ":"}:
        return "all"
    if ":" in spec:
        bounds = spec.split(":")
        if len(bounds) <= 3 and all(one == "" or _INTEGER.fullmatch(one) for one in bounds):
            return slice(*(int(one) if one else None for one in bounds))
    numbers = spec.rstrip(",").split(",")
    if all(map(_INTEGER.fullmatch, numbers)):
        ids = list(map(int, numbers))
        return ids if "," in spec else ids[0]
    raise ValueError(f"cannot read the targets {text!r}: write all, 0, 0,2 or a slice as 1:3, ::2")


def _plainly(spec: str) -> str:
    """Return what says the same without words and brackets of Python."""
    if found := _SLICE.fullmatch(spec):
        spec = ":".join(found.groups()).replace("None", "")
    elif found := _RANGE.fullmatch(spec):
        spec = _listed(*map(int, found[1].split(","))) or spec
    return spec.strip("[](){}")


def _listed(*bounds: int) -> str:
    """Return the numbers of a range, with a comma after each; empty if there are none to name."""
    if len(bounds) == 3 and bounds[2] == 0:
        return ""
    numbers = range(*bounds)
    return "".join(f"{n}," for n in numbers) if len(numbers) <= _MOST_IDS else ""
