"""Cutting a sequence into parts for several engines, and putting parts together again."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final

from hippodrome.client.inputs import part_of
from hippodrome.protocol.messages import EngineId
from hippodrome.serialize import Pickled

BLOCK: Final = "b"
ROUND_ROBIN: Final = "r"


def check_dist(dist: str) -> None:
    """Raise ValueError if *dist* names no distribution."""
    if dist not in {BLOCK, ROUND_ROBIN}:
        raise ValueError(f"dist must be 'b' (contiguous blocks) or 'r' (round robin), not {dist!r}")


def check_chunksize(size: Any) -> None:
    """Raise TypeError or ValueError if no chunk can have *size* elements."""
    if isinstance(size, bool) or not hasattr(size, "__index__"):
        raise TypeError(f"chunksize must be an int, not {size!r}")
    if size < 1:
        raise ValueError(f"chunksize must be at least 1, not {size}")


def part(sequence: Any, index: int, n: int, dist: str = BLOCK) -> Any:
    """Return part *index* of *n*; sizes differ by one at most, larger parts come first.

    Args:
        sequence: anything that has a length and slices.
        index: which part, ``0 <= index < n``.
        n: how many parts.
        dist: ``"b"`` for contiguous blocks, ``"r"`` for every n-th element.
    """
    if dist == ROUND_ROBIN:
        return part_of(sequence, slice(index, None, n))
    size, rest = divmod(len(sequence), n)
    start = index * size + min(index, rest)
    return part_of(sequence, slice(start, start + size + (index < rest)))


def join(parts: Sequence[Any], dist: str = BLOCK) -> Any:
    """Return the whole of which *parts* were cut: an array if they are arrays, else a list.

    A part that has no length, such as one that was scattered with ``flatten``, is an element.
    """
    if parts and all(map(_is_array, parts)) and all(part.ndim for part in parts):
        return _join_arrays(parts, dist)
    lists = [_elements(part) for part in parts]
    if dist == BLOCK:
        return list(chain.from_iterable(lists))
    longest = max(map(len, lists), default=0)
    return [items[row] for row in range(longest) for items in lists if row < len(items)]


def _join_arrays(parts: Sequence[Any], dist: str) -> Any:
    import numpy as np

    whole = np.concatenate(parts)
    if dist == ROUND_ROBIN:
        places = [range(i, len(whole), len(parts)) for i in range(len(parts))]
        whole = whole[np.argsort(list(chain.from_iterable(places)), kind="stable")]
    return whole


def _elements(part: Any) -> Sequence[Any]:
    if isinstance(part, list | tuple | range):
        return part
    if hasattr(part, "__len__") and not isinstance(part, str | bytes | dict):
        return list(part)
    return [part]


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")  # who has arrays has imported it
    return numpy is not None and isinstance(value, numpy.ndarray)


def each(
    calls: Iterable[Pickled], engines: Iterable[EngineId]
) -> list[tuple[Pickled, Sequence[EngineId]]]:
    """Return *calls*, each with the one engine that it goes to."""
    return [(call, (engine,)) for call, engine in zip(calls, engines, strict=False)]
