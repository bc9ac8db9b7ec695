"""Arguments, replies and chosen engines that all queries share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec

from hippodrome.hub.registry import Engine, Registry
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Frames
from hippodrome.protocol.messages import EngineId, MsgId
from hippodrome.store.base import Then, Unreadable

Arguments = dict[str, Any]  # as the client sent them: each query checks what it takes

BAD_ARGUMENTS: Final = (
    msgspec.MsgspecError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip


@dataclass(slots=True)
class QueryOutcome:
    """The end that a query comes to: a value or a failure for the client, messages, a shutdown.

    Attributes:
        value: anything msgpack can carry.
        buffers: what goes along with it as frames.
    """

    value: Any = None
    buffers: Frames = field(default_factory=list)
    failure: m.Failure | None = None
    orders: list[m.Order] = field(default_factory=list)
    end: str = ""


@dataclass(frozen=True, slots=True)
class FramedAnswer:
    """An answer that has frames."""

    message: m.Answered
    buffers: Frames


T = TypeVar("T")
Outgoing = m.Message | FramedAnswer
Deliver = Callable[[QueryOutcome], None]
Handler = Callable[[Arguments, bytes, Deliver], None]


def guarded(deliver: Deliver, tell: Callable[[T], None]) -> Then[T]:
    """Return what hands to *tell* what a store found; whatever fails, the question has an end."""

    def take(found: T | Unreadable) -> None:
        if isinstance(found, Unreadable):
            deliver(failed(found.why))
            return
        try:
            tell(found)
        except Exception as error:
            deliver(failed(f"the hub could not answer: {error!r}"))

    return take


def failed(why: str) -> QueryOutcome:
    return QueryOutcome(failure=m.Failure("RuntimeError", why))


def msg_ids_in(arguments: Arguments, name: str = "msg_ids") -> list[MsgId]:
    """Return a list of ids; raises as `texts_in`."""
    return [MsgId(msg_id) for msg_id in texts_in(arguments, name)]


def texts_in(arguments: Arguments, name: str) -> list[str]:
    """Return a list of texts.

    Raises:
        TypeError: it is something else.
    """
    given = arguments[name]
    if not (isinstance(given, list) and all(isinstance(text, str) for text in given)):
        raise TypeError(f"{name} must be a list of texts")
    return given


def members(registry: Registry, arguments: Arguments) -> list[Engine]:
    """Return those engines that get work and that ``targets`` names; None is all."""
    return _named(registry.members(), arguments)


def present(registry: Registry, arguments: Arguments) -> list[Engine]:
    """Return the same, and those in their start-up."""
    return _named(registry.here(), arguments)


def _named(engines: Iterable[Engine], arguments: Arguments) -> list[Engine]:
    here = {engine.engine: engine for engine in engines}
    named = arguments.get("targets")
    if named is None:
        return list(here.values())
    return [here[EngineId(int(n))] for n in named if int(n) in here]
