"""The names of variables: what may be one, and those on an engine, asked for by completion."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final  # Any: a DirectView, which imports this

from hippodrome.client.results.codec import engine_function
from hippodrome.client.results.result import AsyncResult
from hippodrome.errors import ClusterError, RemoteError
from hippodrome.serialize import dumps_call

SECONDS: Final = 0.5  # an engine that computes has no time for it, and who types has none


def variables(view: Any) -> list[str]:
    """Return the names of variables of the first engine of *view*; none if it is busy.

    Nothing of it is in a history, and it is not waited for long.
    """
    client = view.client
    with suppress(ClusterError, RemoteError):
        call = (dumps_call((), {}), client._engines_of(view.targets)[:1])
        result = AsyncResult[list[str]](
            client, client._submissions.new_ids(1), "names", single=True
        )
        client._submissions.to_named(result, engine_function("names"), [call], "", ())
        if result.wait(SECONDS):
            return result.get()
        result.abort()
    return []


def check_names(names: Iterable[Any]) -> None:
    """Raise TypeError unless all are names of variables, as far as their type goes."""
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"the name of a variable must be a str, not {name!r}")
