"""Finds out whether anything still mentions tasks that have ended."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

ATOMS = (int, float, bytes, bytearray, memoryview, type, type(None))


def paths_to(root: object, names: Collection[str], skip: Collection[str] = ()) -> list[str]:
    """Return where *root* mentions one of *names*, following attributes and containers.

    Args:
        root: any object of ours.
        names: the strings to look for.
        skip: attributes that may mention them.
    """
    found: list[str] = []
    seen: set[int] = set()
    line: deque[tuple[str, object]] = deque([("", root)])
    while line:
        path, value = line.popleft()
        if isinstance(value, str):
            if value in names:
                found.append(f"{path} = {value}")
        elif not isinstance(value, ATOMS) and id(value) not in seen:
            seen.add(id(value))
            line.extend((f"{path}{step}", part) for step, part in _parts(value, skip))
    return found


def _parts(value: Any, skip: Collection[str]) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield ".key", key
            yield f"[{key!r:.40}]", part
    elif isinstance(value, Collection):
        yield from (("[]", part) for part in value)
    elif type(value).__module__.startswith(("hippodrome", "tests", "simulation")):
        yield from ((f".{name}", getattr(value, name)) for name in _names(value) - {*skip})


def _names(value: Any) -> set[str]:
    if isinstance(value, msgspec.Struct):
        return {*value.__struct_fields__}
    return {*getattr(value, "__dict__", ()), *_slots(type(value))}


@functools.cache
def _slots(cls: type) -> frozenset[str]:
    names: set[str] = set()
    for base in cls.__mro__:
        slots = getattr(base, "__slots__", ())
        names.update([slots] if isinstance(slots, str) else slots)
    return frozenset(name for name in names if not name.startswith("__"))


def sizes(root: object, least: int) -> dict[str, int]:
    """Return where *root* has containers of at least *least* entries, and how many these have."""
    found: dict[str, int] = {}
    seen: set[int] = set()
    line: deque[tuple[str, object]] = deque([("", root)])
    while line:
        path, value = line.popleft()
        if isinstance(value, (str, *ATOMS)) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Collection) and len(value) >= least:
            found[path] = len(value)
        line.extend((f"{path}{step}", part) for step, part in _parts(value, ()))
    return found
