"""Whether a function is still what it was when it was pickled."""

from __future__ import annotations

import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any, Final

from hippodrome.serialize.byvalue import Dumped, Sight, content_of, is_by_reference
from hippodrome.serialize.namespaces import ABSENT

_ATOMS: Final = frozenset(
    {int, float, complex, str, bytes, bool, type(None), type(...), type(NotImplemented), range}
)


def snapshots(f: object, dumped: Dumped) -> list[Snapshot] | None:
    """Return snapshots of all functions inside; None if one of them holds what may change."""
    sights = dumped.sights
    if isinstance(f, types.FunctionType):
        if not any(sight.function is f for sight in sights):
            sights = [Sight(f, {}, ()), *sights]  # went by name
    elif sights or not isinstance(f, types.BuiltinFunctionType | type):
        return None
    inside = {id(sight.function) for sight in sights}
    if dumped.is_opaque or not all(_is_stable(part, inside) for part in _parts(sights)):
        return None
    return [Snapshot(sight) for sight in sights]


class Snapshot:
    """What one function was made of. Refers to functions weakly, for they may form cycles."""

    __slots__ = (
        "attributes",
        "cells",
        "code",
        "defaults",
        "kwdefaults",
        "links",
        "module",
        "n_modules",
        "ref",
        "values",
    )

    def __init__(self, sight: Sight) -> None:
        f = sight.function
        self.ref = weakref.ref(f)
        self.code = f.__code__
        self.defaults = f.__defaults__
        self.kwdefaults = tuple((f.__kwdefaults__ or {}).items())
        self.attributes = tuple(f.__dict__.items())
        self.module = f.__module__
        self.values = tuple((n, v) for n, v in sight.values.items() if not _is_function(v))
        self.links = tuple((n, weakref.ref(v)) for n, v in sight.values.items() if _is_function(v))
        self.cells = tuple(weakref.ref(v) if _is_function(v) else v for v in sight.cells)
        used = (*sight.values.values(), *sight.cells)
        # Submodules of a package in use are part of the pickle, if they have been imported.
        self.n_modules = len(sys.modules) if any(map(_is_package, used)) else 0

    def holds(self, f: types.FunctionType) -> bool:
        if (
            f.__code__ is not self.code
            or f.__defaults__ is not self.defaults
            or f.__module__ != self.module
            or (self.n_modules and self.n_modules != len(sys.modules))
        ):
            return False
        if (f.__kwdefaults__ or self.kwdefaults) and not _same(f.__kwdefaults__, self.kwdefaults):
            return False
        if (f.__dict__ or self.attributes) and not _same(f.__dict__, self.attributes):
            return False
        if self.cells and not self._cells_hold(f):
            return False
        namespace = f.__globals__
        for name, value in self.values:
            if namespace.get(name, ABSENT) is not value:
                return False
        return all(namespace.get(name, ABSENT) is ref() for name, ref in self.links)

    def _cells_hold(self, f: types.FunctionType) -> bool:
        for cell, seen in zip(f.__closure__ or (), self.cells, strict=True):
            expected = seen() if type(seen) is weakref.ref else seen
            if content_of(cell) is not expected:
                return False
        return True


def _parts(sights: list[Sight]) -> Iterator[object]:
    for function, values, cells in sights:
        yield from values.values()
        yield from cells
        yield from function.__defaults__ or ()
        yield from (function.__kwdefaults__ or {}).values()
        yield from function.__dict__.values()


def _is_stable(value: object, inside: set[int]) -> bool:
    """Return whether *value* can change only by being replaced, or is watched itself."""
    kind = type(value)
    if kind in _ATOMS or value is ABSENT or id(value) in inside:
        return True
    if kind is tuple or kind is frozenset:
        return all(_is_stable(item, inside) for item in value)  # type: ignore[attr-defined]
    if kind is types.BuiltinFunctionType:
        owner = value.__self__  # type: ignore[attr-defined]
        return owner is None or isinstance(owner, types.ModuleType)
    if kind is types.FunctionType or kind is types.ModuleType or isinstance(value, type):
        return is_by_reference(value)
    return kind is types.CodeType


def _is_function(value: object) -> bool:
    return type(value) is types.FunctionType


def _is_package(value: object) -> bool:
    return type(value) is types.ModuleType and hasattr(value, "__path__")


def _same(now: dict[str, Any] | None, then: tuple[tuple[str, Any], ...]) -> bool:
    if now is None or len(now) != len(then):
        return False
    return all(now.get(name, ABSENT) is value for name, value in then)
