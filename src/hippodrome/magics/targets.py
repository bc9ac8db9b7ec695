"""Target specifications, as written after ``--targets``: parsed, never evaluated."""

from __future__ import annotations

import re
from typing import Final

_INTEGER: Final = re.compile(r"[+-]?\d+")


def parse_targets(text: str) -> str | int | slice | list[int]:
    """Return what *text* means.

    Args:
        text: ``all``; an engine id, of which negative ones count from the end; ids with commas
            between them; or a slice of the ids, as ``::2`` or ``1:3``. Brackets around it are
            allowed.

    Raises:
        ValueError: it is none of these.
    """
    spec = re.sub(r"\s+", "", text).strip("[]()")
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
