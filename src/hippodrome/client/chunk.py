"""Functions that travel to engines, around a user's function; imports nothing of the client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hippodrome.protocol.messages import Failure
from hippodrome.serialize import Late, Reference, describe_exception


class Chunk:
    """Calls a function for each element of its sequences and returns the list of results.

    Args:
        function: called with one element of each sequence.
        return_exceptions: put a `Raised` in the place of a result, and go on.
    """

    def __init__(
        self, function: Callable[..., Any] | Reference, return_exceptions: bool = False
    ) -> None:
        self.function = Late(function.name) if isinstance(function, Reference) else function
        self.return_exceptions = return_exceptions

    def __call__(self, *sequences: Sequence[Any]) -> list[Any]:
        if not self.return_exceptions:
            return list(map(self.function, *sequences))
        return [self._attempt(args) for args in zip(*sequences, strict=True)]

    def _attempt(self, args: tuple[Any, ...]) -> Any:
        try:
            return self.function(*args)
        except Exception as error:
            return Raised(describe_exception(error))


class Raised:
    """Stands for an element whose call raised."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
