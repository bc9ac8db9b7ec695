"""Whether a function is still what it was when it was pickled."""

from __future__ import annotations

import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any, Final

from hippodrome.live import is_live
from hippodrome.serialize.byvalue import Dumped, Sight
from hippodrome.serialize.byvalueparts import content_of, is_by_reference
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
    inside = {id(sight.function) for sight in sights} | _left_out(dumped)
    if dumped.is_opaque or not all(_is_stable(part, inside) for part in _parts(sights)):
        return None
    return [Snapshot(sight) for sight in sights]


class Snapshot:
    """The parts that one function was made of.

    Refers weakly to functions, which may form cycles, and to what was left out of the pickle.
    """

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
        self.ref: weakref.ref[Any] = weakref.ref(f)
        self.code: Any = f.__code__
        self.defaults: Any = f.__defaults__
        self.kwdefaults: tuple[tuple[Any, Any], ...] = tuple((f.__kwdefaults__ or {}).items())
        self.attributes: tuple[Any, ...] = tuple(f.__dict__.items())
        self.module: Any = f.__module__
        values = sight.values.items()
        self.values: tuple[tuple[str, object], ...] = tuple(
            (name, v) for name, v in values if not _is_weak(v)
        )
        self.links: tuple[tuple[str, weakref.ref[object]], ...] = tuple(
            (name, weakref.ref(v)) for name, v in values if _is_weak(v)
        )
        self.cells: tuple[weakref.ref[object] | object, ...] = tuple(
            weakref.ref(v) if _is_weak(v) else v for v in sight.cells
        )
        used = (*sight.values.values(), *sight.cells)
        # Submodules of a package in use are part of the pickle, if they have been imported.
        self.n_modules: int = len(sys.modules) if any(map(_is_package, used)) else 0

    def holds(self, f: Any) -> bool:
        """Return whether *f*, a function, is still made of the very same things."""
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
        for name, ref in self.links:
            value = namespace.get(name)
            if value is None or ref() is not value:
                return False
        return True

    def _cells_hold(self, f: Any) -> bool:
        for cell, seen in zip(f.__closure__ or (), self.cells, strict=True):
            content = content_of(cell)
            if type(seen) is weakref.ref:
                if content is None or seen() is not content:
                    return False
            elif content is not seen:
                return False
        return True


def _left_out(dumped: Dumped) -> set[int]:
    """Return the ids of captures that were left out: they can be watched, but not looked into."""
    return {
        id(value)
        for function, values, _ in dumped.sights
        for name, value in values.items()
        if (id(function.__globals__), name) in dumped.left and _is_weak(value)
    }


def _parts(sights: list[Sight]) -> Iterator[object]:
    for function, values, cells in sights:
        yield from values.values()
        yield from cells
        yield from function.__defaults__ or ()
        yield from (function.__kwdefaults__ or {}).values()
        yield from function.__dict__.values()


def _is_stable(value: Any, inside: set[int]) -> bool:
    """Return whether *value* can change only by being replaced, or is watched itself."""
    kind = type(value)
    if kind in _ATOMS or value is ABSENT or id(value) in inside or is_live(kind):
        return True
    if kind is tuple or kind is frozenset:
        return all(_is_stable(item, inside) for item in value)
    if kind is types.BuiltinFunctionType:
        return value.__self__ is None or isinstance(value.__self__, types.ModuleType)
    if kind is types.FunctionType or kind is types.ModuleType or isinstance(value, type):
        return is_by_reference(value)
    return kind is types.CodeType


def _is_weak(value: object) -> bool:
    """Return whether a snapshot refers to *value* weakly, or holds it.

    Atoms cannot be referred to weakly. Modules and classes could, but they are worth no callback.
    """
    return (
        value is not ABSENT
        and type(value).__weakrefoffset__ != 0
        and not isinstance(value, types.ModuleType | type)
    )


def _is_package(value: object) -> bool:
    return type(value) is types.ModuleType and hasattr(value, "__path__")


def _same(now: dict[str, Any] | None, then: tuple[tuple[str, Any], ...]) -> bool:
    if now is None or len(now) != len(then):
        return False
    return all(now.get(name, ABSENT) is value for name, value in then)
