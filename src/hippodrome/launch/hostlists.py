"""The ways in which batch systems write hosts and numbers: ``a[1-3,7]``, ``4(x2),2``, one per line.

Pure. What comes from an environment may be anything: whatever is no such list is a `ValueError`
with a sentence, and nothing grows beyond `MOST_HOSTS`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

MOST_HOSTS: Final = 1 << 16
_PIECE: Final = re.compile(r"([^\[\],\s]+)|\[([^\[\]]*)\]")
_RANGE: Final = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")
_COUNT: Final = re.compile(r"(\d{1,9})(?:\(x(\d{1,9})\))?")


def expand(hostlist: str) -> list[str]:
    """Return the hosts of a Slurm hostlist, as ``a[1-3,07],b,rack[0-1]n[1-2]-ib``.

    Raises:
        ValueError: it is none, or has too many.
    """
    found: list[str] = []
    for part in _split(hostlist):
        found += _expand_one(part, MOST_HOSTS - len(found))
    return found


def _split(text: str) -> list[str]:
    """Split at the commas that are outside of brackets."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if depth not in (0, 1):
            raise ValueError(f"{text!r:.80} has a bracket too many")
        if character == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    if depth:
        raise ValueError(f"{text!r:.80} lacks a closing bracket")
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def _expand_one(part: str, room: int) -> list[str]:
    names = [""]
    end = 0
    for piece in _PIECE.finditer(part):
        if piece.start() != end:
            break
        end = piece.end()
        choices = [piece[1]] if piece[1] else list(islice(_numbers(piece[2]), room + 1))
        if len(names) * len(choices) > room:
            raise ValueError(f"{part!r:.80} names more than {MOST_HOSTS} hosts")
        names = [name + choice for name in names for choice in choices]
    if end != len(part):
        raise ValueError(f"{part!r:.80} is no host name")
    return names


def _numbers(text: str) -> Iterator[str]:
    """Yield the numbers of ``1-3,07`` as they are written."""
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"[{text:.80}] is no range of numbers")
        first, last = found[1], found[2] or found[1]
        for number in range(int(first), int(last) + 1):
            yield str(number).zfill(len(first))


def repeated(text: str, n: int) -> list[int]:
    """Return the first *n* numbers of ``4(x2),2``; the last one stands for those that are missing.

    Raises:
        ValueError: it is no such list.
    """
    numbers: list[int] = []
    for part in filter(None, text.replace(" ", "").split(",")):
        found = _COUNT.fullmatch(part)
        if found is None:
            raise ValueError(f"{text!r:.80} is no list of numbers")
        numbers += [int(found[1])] * min(int(found[2] or 1), n - len(numbers))
    return numbers + numbers[-1:] * (n - len(numbers))


def counted(names: Iterable[str]) -> dict[str, int]:
    """Return how often each host is named, in the order in which they first are.

    Raises:
        ValueError: there are too many.
    """
    found = Counter(name for name in names if name)
    if len(found) > MOST_HOSTS:
        raise ValueError(f"more than {MOST_HOSTS} hosts are named")
    return dict(found)


def pairs(text: str) -> dict[str, int]:
    """Return the hosts of ``a 4 b 2``, with their numbers; one named twice has both.

    Raises:
        ValueError: a number is missing or is none.
    """
    words = text.split()
    if len(words) % 2 or not all(_is_count(word) for word in words[1::2]):
        raise ValueError(f"{text!r:.80} does not give a number for each host")
    return _summed(zip(words[::2], words[1::2], strict=True))


def columns(text: str) -> dict[str, int]:
    """Return the hosts of Grid Engine's ``$PE_HOSTFILE``: lines of host, slots, queue, processors.

    Raises:
        ValueError: a line has no number of slots.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not all(len(words) > 1 and _is_count(words[1]) for words in lines):
        raise ValueError("a line does not give a number of slots for its host")
    return _summed((words[0], words[1]) for words in lines)


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) < 10


def _summed(found: Iterable[tuple[str, str]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name, number in found:
        sums[name] = sums.get(name, 0) + int(number)
    return sums


def same_host(names: Iterable[str], host: str) -> int | None:
    """Return which of *names* is *host*, whether either is written with its domain or without."""
    lower = [name.lower().rstrip(".") for name in names]
    host = host.lower().rstrip(".")
    if host in lower:
        return lower.index(host)
    short = host.partition(".")[0]
    alike = [
        i
        for i, name in enumerate(lower)
        if name.partition(".")[0] == short and ("." not in name or "." not in host)
    ]
    return alike[0] if len(alike) == 1 else None
