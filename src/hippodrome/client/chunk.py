"""Functions that travel to engines, around a user's function; imports nothing of the client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hippodrome.errors import UnmetDependency
from hippodrome.protocol.messages import Failure
from hippodrome.serialize import Late, Reference, dependent, describe_exception
from hippodrome.serialize.functions import not_callable


class Chunk:
    """Calls a function for each element of its sequences and returns the list of results.

    Args:
        function: called with one element of each sequence.
        return_exceptions: put a `Raised` in the place of a result, and go on.

    Raises:
        TypeError: *function* cannot be called.
    """

    def __init__(
        self, function: Callable[..., Any] | Reference, return_exceptions: bool = False
    ) -> None:
        if isinstance(function, Reference):
            function = Late(function.name)
        if not callable(function):
            raise not_callable(function)
        self.function = function
        self.return_exceptions = return_exceptions

    def __call__(self, *sequences: Sequence[Any]) -> list[Any]:
        f = self.function
        if isinstance(f, dependent):
            f = f.met()  # once for all elements: another engine gets all or none
        if not self.return_exceptions:
            return list(map(f, *sequences))
        return [_attempt(f, args) for args in zip(*sequences, strict=True)]


class Raised:
    """Stands for an element whose call raised."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure


def _attempt(f: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    try:
        return f(*args)
    except UnmetDependency:
        raise  # no result of this element, but a matter of this engine
    except Exception as error:
        return Raised(describe_exception(error))
