"""Functions as they travel, named by the digest of their pickle."""

from __future__ import annotations

import pickle
import types
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from hippodrome.errors import SerializationError
from hippodrome.live import owner, stays
from hippodrome.protocol.messages import Digest
from hippodrome.serialize.namespaces import INTERACTIVE, Namespace, unpickling_in

F = TypeVar("F", bound=Callable[..., Any])


class Function(msgspec.Struct, frozen=True, weakref=True):
    """A pickled function.

    Attributes:
        digest: names the pickle; 16 bytes.
        data: the pickle, whole, without buffers of its own.
        name: what people call it.
    """

    digest: Digest
    data: bytes
    name: str


def not_callable(f: object) -> TypeError:
    """Return the error that says that *f* cannot be called."""
    text = repr(f)
    shown = text[:57] + "..." if len(text) > 60 else text
    if isinstance(f, str):
        advice = f"give the function itself, or Reference({shown}) for one that engines have"
    else:
        advice = "a function comes first and then what it is called with, as in (f, x), not (f(x))"
    return TypeError(f"{shown} is not callable: {advice}")


def check_may_leave(f: object) -> None:
    """Refuse to send a method of what stays here.

    Raises:
        SerializationError: it is one.
    """
    found = owner(f)
    if found is not None:
        name = getattr(f, "__name__", None) or type(f).__name__
        raise SerializationError(f"function {name} is of {stays(found)}")


def load_function(data: bytes, namespace: Namespace) -> Callable[..., Any]:
    """Return the function that was pickled, as a function of *namespace*.

    Raises:
        Exception: whatever unpickling raises, such as ImportError.
    """
    with unpickling_in(namespace):
        function: Callable[..., Any] = pickle.loads(data)
    return function


def interactive(f: F) -> F:
    """Make *f* behave as if it had been defined in ``__main__``.

    On engines its globals are the user namespace; names that are not there are those of the
    module in which it was defined. Works as a decorator; marks *f* itself and returns it.

    >>> @ipp.interactive
    ... def add(x):
    ...     return a + x
    >>> view["a"] = 7
    >>> view.apply_sync(add, 1)
    [8, 8]
    """
    if isinstance(f, types.FunctionType):
        f.__module__ = "__main__"  # so that no pickler sends it by name
        f.__dict__[INTERACTIVE] = f.__code__
    return f
