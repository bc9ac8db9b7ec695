"""The pickler for processes in which users have said how objects of their types travel."""

from __future__ import annotations

import pickle
import types
from contextvars import ContextVar
from typing import Any

from hippodrome.serialize import rebuild
from hippodrome.serialize.byvalue import BufferCallback, Left, Pickler, dump
from hippodrome.serialize.byvalueparts import is_by_reference
from hippodrome.serialize.canners import canners


class CanningPickler(Pickler):
    """A `Pickler` that asks `can_map` first."""

    def __init__(
        self, file: Any, keep: BufferCallback | None = None, left: Left | None = None
    ) -> None:
        super().__init__(file, keep, left)
        self._canners = canners()

    def reducer_override(self, obj: Any) -> Any:
        canner = self._canners.get(type(obj))
        if canner is None or id(obj) in _being_canned.get() or _is_named(obj):
            return super().reducer_override(obj)
        self.is_opaque = True
        return rebuild.uncanned, _dump_canned(obj, canner(obj))


# What a canner returns may hold the object itself, which travels as usual then.
_being_canned: ContextVar[frozenset[int]] = ContextVar("being canned", default=frozenset())


def _dump_canned(obj: object, canned: object) -> tuple[bytes, tuple[pickle.PickleBuffer, ...]]:
    """Pickle what stands for *obj*, by itself: else *obj* in it would be taken for itself."""
    buffers: list[pickle.PickleBuffer] = []

    def collect() -> BufferCallback:
        buffers.clear()
        return _collector(buffers)

    before = _being_canned.set(_being_canned.get() | {id(obj)})
    try:
        return dump(canned, collect).data, tuple(buffers)
    finally:
        _being_canned.reset(before)


def _collector(buffers: list[pickle.PickleBuffer]) -> BufferCallback:
    def goes_out(buffer: pickle.PickleBuffer) -> bool:
        buffers.append(buffer)
        return False

    return goes_out


def _is_named(obj: object) -> bool:
    """Return whether *obj* is a function, class or module that travels by its name."""
    return isinstance(obj, types.FunctionType | type | types.ModuleType) and is_by_reference(obj)
