"""Functions as they have arrived where they are called: each call starts from what was sent.

A function may keep state in what it brings along: an instance, a cell, a default, a captured
list. So it is unpickled for each call. Only what is fixed, see there, is kept from call to call,
which plain functions are.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from hippodrome.serialize import fixed
from hippodrome.serialize.namespaces import (
    Captures,
    Namespace,
    collecting,
    unpickling_in,
)


class Loaded:
    """A function that has arrived.

    Attributes:
        function: the function.
        captures: what it has brought along from the client's ``__main__``, see `calling`.
        is_fixed: whether it can be called more than once.
    """

    __slots__ = ("_guards", "captures", "function", "is_fixed")

    def __init__(
        self, function: Callable[..., Any], captures: Captures, guards: fixed.Guards | None
    ) -> None:
        self.function: Callable[..., Any] = function
        self.captures: Captures = captures
        self.is_fixed: bool = guards is not None
        self._guards = guards or None  # most have none to check

    def holds(self) -> bool:
        """Return whether it, being fixed, still is what was sent."""
        return self._guards is None or self._guards.hold()


def load(data: bytes, namespace: Namespace) -> Loaded:
    """Return the function that was pickled, as a function of *namespace*.

    Raises:
        Exception: whatever unpickling raises, such as ImportError.
    """
    with unpickling_in(namespace), collecting() as captures:
        function, guards = fixed.load(data)
    return Loaded(function, tuple(captures), guards)


def load_anew(data: bytes, namespace: Namespace) -> Loaded:
    """Return what is known not to be fixed, for one call; see `load`."""
    with unpickling_in(namespace), collecting() as captures:
        function = pickle.loads(data)
    return Loaded(function, tuple(captures), None)
