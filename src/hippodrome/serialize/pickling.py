"""Objects to one pickle and its out-of-band buffers, and back.

The plain C pickler first: it takes about a microsecond for small arguments. What it refuses,
and what lives in ``__main__``, is left to `byvalue`. Buffers of 4 KiB and more are not copied
into the pickle; a pickle of more than 16 KiB travels as a buffer itself.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from hippodrome.errors import SerializationError
from hippodrome.live import is_live, stays
from hippodrome.serialize.canners import can_map, canners

Buffer = Any  # memoryview, bytes, or a transport's frame: anything that memoryview() takes
BufferCallback = Callable[[pickle.PickleBuffer], bool]

OUT_OF_BAND_BYTES: Final = 4096
INLINE_BYTES: Final = 16 * 1024
PROTOCOL: Final = 5

_plain = pickle.dumps
_unpickle = pickle.loads
_modules = sys.modules
_MAIN: Final = b"__main__"
_CLOUDPICKLE: Final = "cloudpickle.cloudpickle"
_SIMPLE: Final = frozenset({type(None), bool, int, float, complex})  # cannot fail, has no buffers


class Pickled(msgspec.Struct, frozen=True):
    """A pickled object, ready to travel.

    Attributes:
        payload: the pickle; empty if it is the first of *buffers*.
        buffers: what is sent uncopied, in order.
    """

    payload: bytes
    buffers: tuple[Buffer, ...] = ()

    @property
    def n_buffers(self) -> int:
        """How many buffers belong to this object."""
        return len(self.buffers)


def dumps(obj: object, name: str = "value") -> Pickled:
    """Pickle *obj*.

    Args:
        obj: anything; functions and classes of ``__main__`` travel by value.
        name: what an error calls it.

    Raises:
        SerializationError: it cannot be pickled; the message names the part.
        TypeError: `can_map` has a type that it cannot have.
    """
    if type(obj) in _SIMPLE:
        return pack(_plain(obj, PROTOCOL))
    return _dump(obj, name)


def dumps_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pickled:
    """Pickle the arguments of a call.

    Args:
        args: the positional arguments.
        kwargs: the keyword arguments.

    Raises:
        SerializationError: one cannot be pickled; the message names it, and the part of it.
        TypeError: as from `dumps`.
    """
    if not kwargs and _SIMPLE.issuperset(map(type, args)):
        return pack(_plain((args, kwargs), PROTOCOL))
    return _dump((args, kwargs), None)


def pack(data: bytes, buffers: Sequence[Buffer] = ()) -> Pickled:
    """Return pickle and buffers in the form in which they travel."""
    if len(data) > INLINE_BYTES:
        return Pickled(b"", (memoryview(data), *buffers))
    return Pickled(data, tuple(buffers))


def loads(payload: Buffer, buffers: Sequence[Buffer] = ()) -> Any:
    """Return the object that was pickled.

    Args:
        payload: the pickle; if empty, the first of *buffers* is.
        buffers: in the order in which they were sent. Arrays use the memory of writable ones,
            others are copied, so that what arrives can be written to.

    Raises:
        Exception: whatever the unpickled classes raise.
    """
    if not buffers:
        return _unpickle(payload)
    if not payload:
        payload, *buffers = buffers
    return _unpickle(memoryview(payload), buffers=[_writable(buffer) for buffer in buffers])


def _writable(buffer: Buffer) -> Buffer:
    view = memoryview(buffer)
    return bytearray(view) if view.readonly else view


def _dump(obj: Any, name: str | None) -> Pickled:
    """Pickle *obj*, which an error calls *name*; without one it is ``(args, kwargs)``."""
    if can_map:  # of which the plain pickler does not know
        canners()
        return _dump_by_value(obj, name)
    buffers: list[Buffer] = []
    keep = _collector(buffers)
    try:
        data = _plain(obj, PROTOCOL, buffer_callback=keep)
        if _MAIN not in data:
            cloudpickle = _modules.get(_CLOUDPICKLE)  # who registers modules has imported it
            if cloudpickle is None or not _is_registered(cloudpickle, data):
                return pack(data, buffers)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: S110 - whatever it was, the next pickler decides
        pass
    return _dump_by_value(obj, name)


def _is_registered(cloudpickle: Any, data: bytes) -> bool:
    """Return whether *data* may name a module that the user wants to be sent by value."""
    registered = cloudpickle._PICKLE_BY_VALUE_MODULES
    return bool(registered) and any(name.encode() in data for name in registered)


def _dump_by_value(obj: Any, name: str | None) -> Pickled:
    from hippodrome.serialize import byvalue

    buffers: list[Buffer] = []
    keep = _collector(buffers)

    def collect() -> BufferCallback:
        buffers.clear()
        return keep

    try:
        dumped = byvalue.dump(obj, collect)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a __reduce__ may raise anything at all
        from hippodrome.serialize.culprit import refusal

        raise refusal(_parts(obj, name), error) from error
    if dumped.live:
        _check_not_live(_parts(obj, name))
    return pack(dumped.data, buffers)


def _check_not_live(parts: list[tuple[str, object]]) -> None:
    """Refuse to send a stand-in where it is all that is sent, or one of a list of those."""
    for part, value in parts:
        found: list[tuple[str, Any]] = [(part, value)]
        if isinstance(value, list | tuple):
            found += ((f"{part}[{i}]", item) for i, item in enumerate(value))
        for where, obj in found:
            if is_live(type(obj)):
                raise SerializationError(f"{where} is {stays(obj)}")


def _parts(obj: Any, name: str | None) -> list[tuple[str, object]]:
    if name is not None:
        return [(name, obj)]
    args, kwargs = obj
    parts = [(f"argument {i}", value) for i, value in enumerate(args)]
    return parts + [(f"keyword {key!r}", value) for key, value in kwargs.items()]


def _collector(buffers: list[Buffer]) -> BufferCallback:
    """Return the callback that tells the pickler which buffers stay inside the pickle."""

    def stays(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < OUT_OF_BAND_BYTES:
            return True
        buffers.append(raw)
        return False

    return stays
