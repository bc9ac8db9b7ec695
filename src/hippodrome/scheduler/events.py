"""Events go into the scheduling cores, and actions come out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NewType

import msgspec

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Digest, EngineId, MsgId, PeerId

Serial = NewType("Serial", int)


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened."""


class Action(msgspec.Struct, frozen=True, gc=False):
    """Something to be done."""


class TasksSubmitted(Event, frozen=True):
    """A client hands in load-balanced tasks, each with its buffers; a bundle has none."""

    client: PeerId
    tasks: Sequence[m.Task | m.TaskBundle]
    buffers: list[tuple[Buffer, ...]]
    now: float | None = None  # on the clock of `TimePassed`, if it is known


class DirectSubmitted(Event, frozen=True):
    """A client calls named engines."""

    client: PeerId
    request: m.SubmitDirect
    buffers: tuple[Buffer, ...]


class AttemptsEnded(Event, frozen=True):
    """An engine finished attempts, each with the buffers of its result."""

    engine: EngineId
    outcomes: Sequence[m.Outcome | m.OutcomeBundle]
    buffers: list[tuple[Buffer, ...]]
    now: float | None = None  # as in `TasksSubmitted`


class AttemptsDropped(Event, frozen=True):
    """An engine will not start these attempts: it was asked in time."""

    engine: EngineId
    attempts: list[tuple[MsgId, int]]


class EngineJoined(Event, frozen=True):
    """An engine is a member from now on, or again."""

    engine: EngineId


class EngineSuspected(Event, frozen=True):
    """An engine has been silent (True), or is back (False)."""

    engine: EngineId
    suspect: bool


class EngineLost(Event, frozen=True):
    """An engine is no member any more.

    ``started`` is the serial of the last attempt known to have begun; None if nobody knows.
    """

    engine: EngineId
    reason: str
    started: int | None = None


class EngineOccupied(Event, frozen=True):
    """So many calls that name an engine are unfinished there, which it runs in its line.

    ``first`` tells that there is more of them before whatever it has not begun: a frontend's cell.
    """

    engine: EngineId
    n: int
    first: bool = False


class AbortAsked(Event, frozen=True):
    """Tasks must not start; None is everything that *client* submitted.

    Those that run are interrupted, if *interrupt* says so.
    """

    client: PeerId
    msg_ids: list[MsgId] | None
    interrupt: bool = False


class EndedElsewhere(Event, frozen=True):
    """A task that the other core handled has ended."""

    msg_id: MsgId
    engine: EngineId | None
    ok: bool


class TimePassed(Event, frozen=True):
    """It is now *now*, in seconds of a monotonic clock."""

    now: float


class AssignAttempts(Action, frozen=True):
    """Send an attempt of each of some tasks to an engine.

    Serial numbers count up from ``serial``; only a single task has buffers.
    """

    engine: EngineId
    serial: Serial
    msg_ids: list[MsgId]
    attempt: int
    function: Digest
    payloads: list[bytes]
    buffers: tuple[Buffer, ...] = ()


class Deliver(Action, frozen=True):
    """Give a client the one outcome of each task."""

    client: PeerId
    function: Digest
    result: m.Result | m.ResultBundle
    buffers: tuple[Buffer, ...] = ()


class Recall(Action, frozen=True):
    """Ask an engine not to start attempts that it has, and perhaps to interrupt them."""

    engine: EngineId
    attempts: list[tuple[MsgId, int]]
    interrupt: bool = False


class Serials:
    """Numbers the attempts that each engine gets; shared by all that send to engines."""

    def __init__(self) -> None:
        self._last: dict[EngineId, int] = {}

    def next(self, engine: EngineId, n: int = 1) -> Serial:
        """Return the first serial number of the next *n* attempts for *engine*, from 1 on."""
        last = self._last.get(engine, 0)
        self._last[engine] = last + n
        return Serial(last + 1)

    def forget(self, engine: EngineId) -> None:
        """*engine* will not come back."""
        self._last.pop(engine, None)
