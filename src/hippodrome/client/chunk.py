"""Functions that travel to engines, around a user's function; imports nothing of the client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from hippodrome.errors import UnmetDependency
from hippodrome.protocol.frames import Buffer
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
        results = [_attempt(f, args) for args in zip(*sequences, strict=True)]
        return Flawed(results) if any(type(result) is Raised for result in results) else results


class Flawed(list[Any]):
    """The results of a chunk if some calls raised: a type of its own, as its pickle begins with it.

    So a client can tell without unpickling anything, which might run a user's code.
    """


_FLAWED: Final = b"\x8c\x17hippodrome.client.chunk\x94\x8c\x06Flawed"
_AT: Final = 11  # in the pickle, behind its protocol and the length of its frame


def is_flawed(payload: Buffer, buffers: Sequence[Buffer]) -> bool:
    """Tell whether the pickled result of a chunk holds a `Raised`.

    Args:
        payload: the pickle; empty if it is the first of *buffers*.
        buffers: the others of the result.
    """
    whole = payload or (buffers[0] if buffers else b"")
    return bytes(memoryview(whole)[_AT : _AT + len(_FLAWED)]) == _FLAWED


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
