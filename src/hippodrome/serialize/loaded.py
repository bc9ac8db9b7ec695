"""Functions as they have arrived where they are called: each call starts from what was sent.

A function may keep state in what it brings along: an instance, a cell, a default, a captured
list. So it is unpickled for each call. Only what is fixed, see there, is kept from call to call,
which plain functions are.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any, Final

from hippodrome.serialize import fixed
from hippodrome.serialize.namespaces import (
    ARRIVED,
    Captures,
    Namespace,
    calling,
    collecting,
    unpickling_in,
)

# How pickles of partials and bound methods begin, behind their protocol and the length of their
# frame: there is no need to look at all that is in them.
_OBJECTS: Final = (
    b"\x8c\x09functools\x94\x8c\x07partial",
    b"\x8c\x08builtins\x94\x8c\x07getattr",
    b"\x8c\x17cloudpickle.cloudpickle\x94\x8c\x0d_builtin_type\x94\x93\x94\x8c\x0aMethodType",
)
_AT: Final = 11


class Loaded:
    """A function that has arrived.

    Attributes:
        function: the function.
        captures: what it has brought along from the client's ``__main__``, see `calling`.
        is_fixed: whether it can be called more than once.
        guards: what has to be so then; None if nothing.
    """

    __slots__ = ("captures", "function", "guards", "is_fixed")

    def __init__(
        self, function: Callable[..., Any], captures: Captures, guards: fixed.Guards | None
    ) -> None:
        self.function: Callable[..., Any] = function
        self.captures: Captures = captures
        self.is_fixed: bool = guards is not None
        self.guards: fixed.Guards | None = guards or None  # if there is something to guard

    def holds(self) -> bool:
        """Return whether it, being fixed, still is what was sent."""
        return self.guards is None or self.guards.hold()


def load(data: bytes, namespace: Namespace | None) -> Loaded:
    """Return the function that was pickled, as a function of *namespace*.

    Raises:
        Exception: whatever unpickling raises, such as ImportError.
    """
    if data.startswith(_OBJECTS, _AT):
        return load_anew(data, namespace)
    with unpickling_in(namespace), collecting() as captures:
        function, guards = fixed.load(data)
    return Loaded(function, tuple(captures), guards)


def load_anew(data: bytes, namespace: Namespace | None) -> Loaded:
    """Return what is known not to be fixed, for one call; see `load`."""
    with unpickling_in(namespace), collecting() as captures:
        function = pickle.loads(data)
    return Loaded(function, tuple(captures), None)


class Source:
    """Gives a function as it was sent, as often as it is asked.

    Args:
        data: its pickle.
        namespace: to which functions of ``__main__`` belong; None where this is no engine.
    """

    __slots__ = ("_data", "_loaded", "_namespace")

    def __init__(self, data: bytes, namespace: Namespace | None) -> None:
        self._data = data
        self._namespace = namespace
        self._loaded: Loaded | None = None

    def get(self) -> Loaded:
        """Return the function for one call.

        Raises:
            Exception: whatever unpickling raises.
        """
        loaded = self._loaded
        if loaded is None:
            loaded = self._loaded = load(self._data, self._namespace)
        elif not loaded.is_fixed:
            loaded = load_anew(self._data, self._namespace)
        elif not loaded.holds():
            loaded = self._loaded = load(self._data, self._namespace)
        return loaded

    def call(self, args: tuple[Any, ...]) -> Any:
        """Call the function; return what it returns."""
        loaded = self.get()
        if self._namespace is None or not (loaded.captures or ARRIVED):
            return loaded.function(*args)
        with calling(loaded.captures, self._namespace):
            result = loaded.function(*args)
        if type(result) is CoroutineType:
            return _inside(result, loaded.captures, self._namespace)
        return result


async def _inside(
    coroutine: Coroutine[Any, Any, Any], captures: Captures, namespace: Namespace
) -> Any:
    """Await what a function began with its captures, again with them."""
    with calling(captures, namespace):
        return await coroutine
