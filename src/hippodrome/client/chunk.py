"""Functions that travel to engines, around a user's function; imports nothing of the client."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial
from types import CoroutineType
from typing import Any, Final

from hippodrome.errors import UnmetDependency
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Failure
from hippodrome.serialize import Late, Reference, current_namespace, dependent, describe_exception
from hippodrome.serialize.dependents import Sealed
from hippodrome.serialize.functions import check_may_leave, not_callable
from hippodrome.serialize.items import note_item
from hippodrome.serialize.loaded import Source
from hippodrome.serialize.namespaces import calling

_Args = tuple[Any, ...]
_Call = Callable[[_Args], Any]
_Coroutine = Coroutine[Any, Any, Any]


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
        check_may_leave(function)
        self.function: Callable[..., Any] | Sealed = function  # sealed where it has arrived
        self.return_exceptions = return_exceptions

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "function": _sealed(self.function)}

    def __call__(self, *sequences: Iterable[Any]) -> list[Any] | _Coroutine:
        """Return the results, or what awaits them; each call starts from what was sent."""
        call = self._ready()
        calls = zip(*sequences, strict=True)
        attempt = partial(_attempt, call) if self.return_exceptions else call
        results: list[Any] = []
        try:
            for args in calls:
                result = attempt(args)
                if type(result) is CoroutineType:
                    return self._awaiting(results, result, attempt, calls)
                results.append(result)
                if not self.return_exceptions:
                    results.extend(map(call, calls))  # which are alike; keeps those before an error
        except BaseException:
            note_item(len(results))
            raise
        return _whole(results)

    async def _awaiting(
        self, results: list[Any], first: _Coroutine, attempt: _Call, calls: Iterator[_Args]
    ) -> list[Any]:
        """Let calls of an async function run, one after the other."""
        finish = _attempt_to_await if self.return_exceptions else _await
        try:
            results.append(await finish(first))
            for args in calls:
                result = attempt(args)
                if type(result) is CoroutineType:
                    result = await finish(result)
                results.append(result)
        except BaseException:
            note_item(len(results))
            raise
        return _whole(results)

    def _ready(self) -> Callable[[tuple[Any, ...]], Any]:
        """Return what calls the function, whose dependencies are met: another engine gets all."""
        f = self.function
        if not isinstance(f, Sealed):
            ready = f.met() if isinstance(f, dependent) else f
            return lambda args: ready(*args)
        namespace = current_namespace()
        source = Source(f.data, namespace)
        loaded = source.get()
        first = loaded.function
        if not isinstance(first, dependent):
            return source.call
        with calling(loaded.captures, namespace or {}):
            first.met()
        requirements, inner = first.layers()
        source = Source(inner.data, namespace)
        if namespace is None or not requirements:
            return source.call

        def call(args: tuple[Any, ...]) -> Any:
            for requirement in requirements:
                requirement.assign(namespace)
            return source.call(args)

        return call


class Flawed(list[Any]):
    """The results of a chunk if some calls raised: a type of its own, as its pickle begins with it.

    So a client can tell without unpickling anything, which might run a user's code.
    """


def _whole(results: list[Any]) -> list[Any]:
    return Flawed(results) if Raised in map(type, results) else results


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


def _sealed(function: Any) -> Sealed:
    return function if isinstance(function, Sealed) else Sealed(function)


def _attempt(call: Callable[[tuple[Any, ...]], Any], args: tuple[Any, ...]) -> Any:
    try:
        return call(args)
    except UnmetDependency:
        raise  # no result of this element, but a matter of this engine
    except Exception as error:
        return Raised(describe_exception(error))


async def _await(coroutine: _Coroutine) -> Any:
    return await coroutine


async def _attempt_to_await(coroutine: _Coroutine) -> Any:
    try:
        return await coroutine
    except UnmetDependency:
        raise
    except Exception as error:
        return Raised(describe_exception(error))
