"""Sequences that users map over are read together, never further than the shortest.

What has a length and slices is not read at all: its parts are slices, so that those of an array are
arrays. Everything else is read here, one element of each at a time. Input that is known to be
endless is an error where it would be read to its end; that of a generator cannot be known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count, cycle, islice, repeat
from typing import Any, Final

_EXACT: Final = frozenset({list, tuple, range, str, bytes})  # whose lengths are true


def check_ends(sequences: Iterable[Any], advice: str = "use imap of a load-balanced view") -> None:
    """Raise ValueError if it is known that none of them ends."""
    endless = [is_endless(sequence) for sequence in sequences]
    if endless and all(endless):
        raise ValueError(f"there is no end to what is mapped over, which is read first: {advice}")


def iterator_of(elements: Any) -> Iterator[Any]:
    """Return ``iter(elements)``.

    Raises:
        TypeError: there are no elements; it says of what.
    """
    if not hasattr(type(elements), "__iter__") and not hasattr(type(elements), "__getitem__"):
        raise TypeError(f"there are no elements in {elements!r:.200}, which is no sequence")
    return iter(elements)


def is_endless(elements: object) -> bool:
    """Whether it is known that there is no end to them."""
    if isinstance(elements, count | cycle):
        return True
    if isinstance(elements, repeat):
        try:
            elements.__length_hint__()
        except TypeError:  # it was not told how often
            return True
    return False


def aligned(sequences: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return *sequences* as things that slice, all as long as the shortest of them.

    Args:
        sequences: those without a length are read as far as is needed, one element of each at a
            time; an iterator may be read one element further, as by `zip`.

    Raises:
        ValueError: it is known that none of them ends.
    """
    check_ends(sequences)
    found = {i: s for i, s in enumerate(sequences) if slices(s) and not _is_table(s)}
    others = [iterator_of(s) for i, s in enumerate(sequences) if i not in found]
    length = min(map(len, found.values()), default=None)
    if others:
        rows = list(islice(zip(*others, strict=False), length))
        length = len(rows)
        columns: Iterator[Any] = iter(list(zip(*rows, strict=True)) or [()] * len(others))
        found |= {i: next(columns) for i in range(len(sequences)) if i not in found}
    return tuple(part_of(found[i], slice(length)) for i in range(len(sequences)))


def same_length(sequences: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return *sequences* as things that slice; endless ones are as long as the others.

    Raises:
        ValueError: they differ in length, or it is known that none of them ends.
    """
    check_ends(sequences, "cut it with itertools.islice")
    found = {i: s for i, s in enumerate(sequences) if slices(s)}
    if not found and sequences:
        first = next(i for i, s in enumerate(sequences) if not is_endless(s))
        found[first] = list(iterator_of(sequences[first]))
    length = max(map(len, found.values()), default=0)
    for i, elements in enumerate(sequences):
        if i not in found:  # one more than that would tell that it is longer
            found[i] = list(islice(iterator_of(elements), length + (not is_endless(elements))))
    lengths = sorted(set(map(len, found.values())))
    if len(lengths) > 1:
        raise ValueError(f"all sequences must have the same length, not {lengths}")
    return tuple(found[i] for i in range(len(sequences)))


def as_sequence(elements: Iterable[Any]) -> Any:
    """Return *elements* as something that has a length and slices; see `part_of`.

    Raises:
        ValueError: it is known that there is no end to them.
    """
    if slices(elements):
        return elements
    check_ends([elements], "cut it with itertools.islice")
    return list(iterator_of(elements))


def slices(elements: Any) -> bool:
    """Whether *elements* have a length, and slices that agree with it."""
    if type(elements) in _EXACT:
        return True
    if isinstance(elements, Mapping) or not hasattr(elements, "__getitem__"):
        return False
    if isinstance(elements, list | tuple | str) and type(elements).__iter__ not in _ITERS:
        return False  # what it shows is not what it holds
    try:
        length = len(elements)
        last = part_of(elements, slice(max(0, length - 1), length))
        return len(last) == min(1, length) and not len(part_of(elements, slice(length, length + 1)))
    except Exception:  # whatever a stranger's class does; it can be iterated over, or that raises
        return False


_ITERS: Final = frozenset({list.__iter__, tuple.__iter__, str.__iter__})


def part_of(sequence: Any, where: slice) -> Any:
    """Return a slice; of a series or table by places, whatever its index is."""
    by_place = getattr(sequence, "iloc", None)
    return sequence[where] if by_place is None else by_place[where]


def _is_table(elements: Any) -> bool:
    """Whether iterating over *elements* gives names of columns, while its slices are of rows."""
    return hasattr(elements, "iloc") and getattr(elements, "ndim", 1) > 1
