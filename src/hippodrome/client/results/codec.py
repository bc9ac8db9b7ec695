"""Between the objects of the user and what travels, in the thread that asks.

Whatever goes wrong while a result is decoded becomes the task's error; nothing escapes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from hippodrome.errors import DeserializationError
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.ids import digest_of
from hippodrome.protocol.messages import Failure, Result
from hippodrome.serialize import Function, loads, restore_error

NAMESPACE: Final = "hippodrome.engine.namespace"

EngineFacts = dict[str, Any]  # what errors tell of an engine


def decode(
    result: Result,
    buffers: Sequence[Buffer],
    facts: Callable[[Result, int], EngineFacts],
    index: int = 0,
) -> tuple[Any, Exception | None]:
    """Return what a task returned, or the error that it ended with.

    Args:
        result: as it came.
        buffers: the frames that belong to it.
        facts: tells of its engine, and of its place in the call, for errors.
        index: which task of the call it is.
    """
    if result.status == "ok":
        try:
            return loads(result.payload, buffers), None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever unpickling runs into is the outcome
            return None, _undecodable(error, facts(result, index))
    failure = result.failure or Failure("RemoteError", f"ended as {result.status!r}")
    return None, restore_error(failure, facts(result, index))


def decode_published(name: str, payload: bytes, buffers: Sequence[Buffer]) -> Any:
    """Return what a task has published under *name*, or the error that keeps it from that."""
    try:
        return loads(payload, buffers)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever unpickling runs into
        return _undecodable(error, {}, f"what was published as {name!r}")


@lru_cache(maxsize=64)
def engine_function(name: str) -> Function:
    """Return the function that engines have under *name*, pickled by reference.

    Written by hand, because clients do not import what runs on engines.
    """
    data = b"\x80\x05" + _short_text(NAMESPACE) + _short_text(name) + b"\x93."
    return Function(digest_of(data), data, name)


def _short_text(text: str) -> bytes:
    encoded = text.encode()
    return b"\x8c" + struct.pack("B", len(encoded)) + encoded


def _undecodable(
    error: BaseException, engine: EngineFacts, what: str = "the result"
) -> DeserializationError:
    failed = DeserializationError(
        f"{what} arrived, but cannot be unpickled here: {type(error).__name__}: {error}. "
        "Does this process have the modules and classes that the engine has?",
        engine_info=engine,
    )
    failed.__cause__ = error
    return failed
