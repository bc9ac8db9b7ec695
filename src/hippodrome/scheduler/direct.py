"""Calls of named engines: no choice to make, but each still ends exactly once.

Pure, like `core`. A direct task is sent to its engine at once and in order; it is never moved or
repeated. Its end is told to the task scheduler as well, so that tasks may depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hippodrome.protocol import messages as m
from hippodrome.protocol.messages import Digest, EngineId, MsgId, PeerId
from hippodrome.scheduler import refusals
from hippodrome.scheduler.events import (
    AbortAsked,
    Action,
    AssignAttempts,
    AttemptsDropped,
    AttemptsEnded,
    Deliver,
    DirectSubmitted,
    EngineJoined,
    EngineLost,
    EngineSuspected,
    Event,
    Recall,
    Serial,
    Serials,
)
from hippodrome.scheduler.outcomes import as_result

ATTEMPT = 1


@dataclass(slots=True)
class DirectTask:
    """One call of one engine, between its submission and its outcome."""

    msg_id: MsgId
    client: PeerId
    engine: EngineId
    function: Digest
    serial: Serial
    aborting: bool = False


class DirectScheduler:
    """The calls that are under way to engines which clients named.

    Args:
        serials: numbers attempts per engine; shared with whoever else sends to engines.
    """

    def __init__(self, serials: Serials | None = None) -> None:
        self._serials = serials or Serials()
        self._held: dict[EngineId, dict[MsgId, DirectTask]] = {}
        self._engine_of: dict[MsgId, EngineId] = {}

    def __contains__(self, msg_id: object) -> bool:
        return msg_id in self._engine_of

    def __len__(self) -> int:
        return len(self._engine_of)

    def knows_none_of(self, msg_ids: Iterable[MsgId]) -> bool:
        """Tell whether none of *msg_ids* is under way."""
        return self._engine_of.keys().isdisjoint(msg_ids)

    def client_of(self, engine: EngineId, msg_id: MsgId) -> PeerId | None:
        """Return whose call *engine* has under this id; None if it has none."""
        task = self._held.get(engine, {}).get(msg_id)
        return task.client if task is not None else None

    def held(self, engine: EngineId) -> list[MsgId]:
        """Return what *engine* has not finished, oldest first."""
        return list(self._held.get(engine, ()))

    def n_held(self, engine: EngineId) -> int:
        """Return how many calls *engine* has not finished."""
        return len(self._held.get(engine, ()))

    def handle(self, event: Event) -> list[Action]:
        """Take note of *event* and return what is to be done, in order."""
        match event:
            case DirectSubmitted():
                return self._on_submitted(event)
            case AttemptsEnded():
                return self._on_ended(event)
            case AttemptsDropped():
                return self._on_dropped(event)
            case AbortAsked():
                return self._on_abort(event)
            case EngineJoined(engine):
                self._held.setdefault(engine, {})
            case EngineLost():
                return self._on_lost(event)
            case EngineSuspected():
                pass  # its client named it, so it is sent to for as long as it is a member
            case _:
                raise TypeError(f"the direct scheduler has no use for {event!r}")
        return []

    def _on_submitted(self, event: DirectSubmitted) -> list[Action]:
        request = event.request
        actions: list[Action] = []
        for msg_id, engine in zip(request.msg_ids, request.targets, strict=True):
            if msg_id in self._engine_of:
                continue  # an id names one task for good
            if engine not in self._held:
                actions.append(_lost(event.client, request.function, msg_id, engine))
                continue
            serial = self._serials.next(engine)
            task = DirectTask(msg_id, event.client, engine, request.function, serial)
            self._held[engine][msg_id] = task
            self._engine_of[msg_id] = engine
            actions.append(
                AssignAttempts(
                    engine,
                    serial,
                    [msg_id],
                    ATTEMPT,
                    request.function,
                    [request.payload],
                    event.buffers,
                )
            )
        return actions

    def _on_ended(self, event: AttemptsEnded) -> list[Action]:
        actions: list[Action] = []
        for outcome, buffers in zip(event.outcomes, event.buffers, strict=True):
            if isinstance(outcome, m.OutcomeBundle):
                continue  # direct calls are not sent bundled
            task = self._held.get(event.engine, {}).get(outcome.msg_id)
            if task is not None and outcome.attempt == ATTEMPT:
                self._forget(task)
                # An engine that refuses a direct call is the only one that could have run it.
                status = "error" if outcome.status == "unmet" else outcome.status
                result = as_result(outcome, status, event.engine)
                actions.append(Deliver(task.client, task.function, result, buffers))
        return actions

    def _on_dropped(self, event: AttemptsDropped) -> list[Action]:
        actions: list[Action] = []
        for msg_id, _ in event.attempts:
            task = self._held.get(event.engine, {}).get(msg_id)
            if task is not None and task.aborting:
                self._forget(task)
                actions.append(_fail(task, "aborted", refusals.ABORTED))
        return actions

    def _on_abort(self, event: AbortAsked) -> list[Action]:
        named = [t for t in self._named(event) if event.interrupt or not t.aborting]
        at_once: dict[EngineId, list[tuple[MsgId, int]]] = {}
        for task in named:
            task.aborting = True
            at_once.setdefault(task.engine, []).append((task.msg_id, ATTEMPT))
        return [Recall(engine, calls, event.interrupt) for engine, calls in at_once.items()]

    def _named(self, event: AbortAsked) -> list[DirectTask]:
        if event.msg_ids is None:
            tasks = (task for held in self._held.values() for task in held.values())
            return [task for task in tasks if task.client == event.client]
        here = [msg_id for msg_id in event.msg_ids if msg_id in self._engine_of]
        return [self._held[self._engine_of[msg_id]][msg_id] for msg_id in dict.fromkeys(here)]

    def _on_lost(self, event: EngineLost) -> list[Action]:
        actions: list[Action] = []
        tasks = list(self._held.pop(event.engine, {}).values())
        if event.started is None and tasks:  # it may still be there, and start them later
            actions.append(Recall(event.engine, [(task.msg_id, ATTEMPT) for task in tasks]))
        for task in tasks:
            del self._engine_of[task.msg_id]
            actions.append(_fail(task, "lost", refusals.engine_lost(event.reason)))
        return actions

    def _forget(self, task: DirectTask) -> None:
        del self._held[task.engine][task.msg_id]
        del self._engine_of[task.msg_id]

    def check(self) -> None:
        """Assert that both ways to find a task agree."""
        found = {m: task.engine for held in self._held.values() for m, task in held.items()}
        assert found == self._engine_of


def _fail(task: DirectTask, status: str, failure: m.Failure) -> Deliver:
    result = m.Result(task.msg_id, status, task.engine, ATTEMPT, failure=failure)
    return Deliver(task.client, task.function, result)


def _lost(client: PeerId, function: Digest, msg_id: MsgId, engine: EngineId) -> Deliver:
    failure = refusals.no_such_engine(engine)
    return Deliver(client, function, m.Result(msg_id, "lost", engine, failure=failure))
