"""Serialization under the names that users of this model know, and by steps.

Nothing here is needed to send work to engines: arguments and results of calls are pickled anyway,
and asked about in `can_map` and `uncan_map`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from hippodrome.serialize import bydill
from hippodrome.serialize.canners import can_map as can_map
from hippodrome.serialize.canners import canners, uncanned
from hippodrome.serialize.canners import uncan_map as uncan_map
from hippodrome.serialize.functionpickler import FunctionPickler
from hippodrome.serialize.namespaces import BUILTINS, Namespace, unpickling_in
from hippodrome.serialize.pickling import Pickled, dumps, dumps_call, loads
from hippodrome.serialize.reference import Reference

Buffer = Any  # anything that memoryview() takes
_COUNT_BYTES: Final = 4
_LARGE_BYTES: Final = 1024  # what users of this model know as the defaults of arguments that
_MANY_ITEMS: Final = 64  # are accepted: what is large is always decided in the same way


class PrePickled:
    """An object that is pickled once, now, and may be sent many times.

    What arrives is the object as it was; later changes to it are not sent.

    Args:
        obj: the object.

    Attributes:
        obj: the object.

    What can be called is sent as an argument or as the function of a call.

    Raises:
        SerializationError: it cannot be pickled.

    >>> table = ipp.PrePickled(list(range(1000)))
    >>> [lbv.apply_sync(operation, table) for operation in (len, max)]
    [1000, 999]
    """

    obj: Any
    _pickled: Pickled

    def __new__(cls, obj: Any) -> Any:  # Any: it may be given in the place of what it is made of
        is_call = cls is PrePickled and callable(obj)
        made = super().__new__(PrePickledFunction if is_call else cls)
        made.obj = obj
        pickled = dumps(obj)
        # copied, as the object's own memory may change; and writable, so that it arrives so
        buffers = [bytearray(buffer) for buffer in pickled.buffers]
        made._pickled = Pickled(pickled.payload, tuple(buffers))
        return made

    def __repr__(self) -> str:
        return f"<PrePickled {type(self.obj).__name__}>"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        payload, buffers = self._pickled.payload, self._pickled.buffers
        if protocol < 5:
            return loads, (payload, buffers)
        return loads, (payload, tuple(map(pickle.PickleBuffer, buffers)))


class PrePickledFunction(PrePickled):
    """A function that is pickled once, and that a view takes in its place."""

    def __init__(self, obj: Any) -> None:
        self.__name__: str = getattr(obj, "__name__", type(obj).__name__)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.obj(*args, **kwargs)


class Canned:
    """An object prepared for another namespace; see `can`."""

    __slots__ = ("pickled",)

    def __init__(self, pickled: Pickled) -> None:
        self.pickled: Pickled = pickled


def can(obj: Any) -> Any:
    """Prepare an object for another namespace.

    Args:
        obj: anything that could be an argument of a call.

    Returns:
        What `uncan` takes: what `can_map` makes of objects of its type, if it knows that.

    Raises:
        SerializationError: it cannot be pickled.
        TypeError: `can_map` has a type that it cannot have.

    >>> ipp.uncan(ipp.can(lambda x: x + 1))(1)
    2
    """
    canner = canners().get(type(obj)) if can_map else None
    return Canned(dumps(obj)) if canner is None else canner(obj)


def uncan(obj: Any, g: Namespace | None = None) -> Any:
    """Return what was prepared by `can`, or is known to `uncan_map`; anything else as it is.

    A `Reference` is what it stands for in *g*.

    Args:
        obj: the object.
        g: the namespace to which its functions and references belong; None is where this runs.

    >>> ipp.uncan(ipp.Reference("a"), {"a": 7})
    7
    """
    if isinstance(obj, Reference):
        return obj if g is None else obj.get_object(g)
    if not isinstance(obj, Canned):
        return uncanned(obj, g)
    return _load(obj.pickled.payload, obj.pickled.buffers, g)


def serialize_object(
    obj: Any, buffer_threshold: int = _LARGE_BYTES, item_threshold: int = _MANY_ITEMS
) -> list[Buffer]:
    """Return an object as buffers; large ones are its own memory, and not copies.

    Args:
        obj: the object.
        buffer_threshold: accepted; what is large is always decided in the same way.
        item_threshold: accepted.

    Raises:
        SerializationError: it cannot be pickled.

    >>> buffers = ipp.serialize_object([1, 2])
    >>> ipp.deserialize_object(buffers)
    ([1, 2], [])
    """
    return _frames(dumps(obj))


def deserialize_object(
    buffers: Sequence[Buffer], g: Namespace | None = None
) -> tuple[Any, list[Buffer]]:
    """Return an object and the buffers that are left.

    Args:
        buffers: those from `serialize_object`, and perhaps more.
        g: the namespace to which its functions and references belong; None is where this runs.

    Raises:
        ValueError: there are too few buffers.

    >>> ipp.deserialize_object([*ipp.serialize_object([1, 2]), b"more"])
    ([1, 2], [b'more'])
    """
    payload, own, rest = _split(buffers)
    return _load(payload, own, g), rest


def pack_apply_message(
    f: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    buffer_threshold: int = _LARGE_BYTES,
    item_threshold: int = _MANY_ITEMS,
) -> list[Buffer]:
    """Return a call as buffers.

    Args:
        f: the function.
        args: its positional arguments.
        kwargs: its keyword arguments.
        buffer_threshold: as for `serialize_object`.
        item_threshold: as for `serialize_object`.

    Raises:
        SerializationError: a part cannot be pickled.

    >>> buffers = ipp.pack_apply_message(pow, [2], {"exp": 5})
    >>> f, args, kwargs = ipp.unpack_apply_message(buffers)
    >>> f(*args, **kwargs)
    32
    """
    function = FunctionPickler().pickle(f)
    return [function.data, *_frames(dumps_call(tuple(args), kwargs))]


def unpack_apply_message(
    bufs: Sequence[Buffer], g: Namespace | None = None, copy: bool = True
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """Return function, arguments and keyword arguments of a call.

    Args:
        bufs: from `pack_apply_message`.
        g: the namespace to which functions and references belong; None is where this runs.
        copy: accepted; what may not be written to is always copied.

    Raises:
        ValueError: there are too few buffers.

    >>> buffers = ipp.pack_apply_message(pow, [2], {"exp": 5})
    >>> ipp.unpack_apply_message(buffers)
    (<built-in function pow>, (2,), {'exp': 5})
    """
    if not bufs:
        raise ValueError("a call needs more buffers than none")
    payload, own, _ = _split(bufs[1:])
    with _in(g):
        function = pickle.loads(bufs[0])
        args, kwargs = loads(payload, own)
    return function, args, kwargs


def use_dill() -> None:
    """Send with dill what nothing else can, if it is installed: locks, weak references, some files.

    Closures, lambdas and classes of ``__main__`` travel anyway, for which dill was used most. What
    can be pickled without it is, so that no library changes what another one sends.

    >>> ipp.use_dill()
    >>> ipp.use_pickle()
    """
    bydill.use()


def use_cloudpickle() -> None:
    """Undo `use_dill`: cloudpickle is what makes classes travel anyway.

    >>> ipp.use_cloudpickle()
    """
    bydill.use_no_more()


def use_pickle() -> None:
    """Undo `use_dill`: plain pickle is always tried first.

    >>> ipp.use_pickle()
    """
    bydill.use_no_more()


def _frames(pickled: Pickled) -> list[Buffer]:
    count = len(pickled.buffers).to_bytes(_COUNT_BYTES, "big")
    return [count + pickled.payload, *pickled.buffers]


def _split(frames: Sequence[Buffer]) -> tuple[Buffer, list[Buffer], list[Buffer]]:
    """Return pickle, its buffers, and what comes after them."""
    head = memoryview(frames[0]) if frames else memoryview(b"")
    n = int.from_bytes(head[:_COUNT_BYTES], "big")
    if len(head) < _COUNT_BYTES or len(frames) < n + 1:
        raise ValueError("these buffers are not all of an object")
    return bytes(head[_COUNT_BYTES:]), list(frames[1 : n + 1]), list(frames[n + 1 :])


def _load(payload: Buffer, buffers: Sequence[Buffer], g: Namespace | None) -> Any:
    with _in(g):
        return loads(payload, buffers)


def _in(g: Namespace | None) -> AbstractContextManager[None]:
    if g is None:
        return nullcontext()
    g.setdefault("__builtins__", BUILTINS)  # as `exec` does
    return unpickling_in(g)
