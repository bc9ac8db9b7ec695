"""The two cores: what happens is told to them, and what they decide is done.

What one of them decides may be an event for the other: that a call by name has ended, or that an
engine's line has changed.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import EngineId, MsgId, PeerId
from hippodrome.scheduler.core import TaskScheduler
from hippodrome.scheduler.direct import DirectScheduler
from hippodrome.scheduler.events import (
    Action,
    AttemptsEnded,
    Deliver,
    DirectSubmitted,
    EndedElsewhere,
    EngineOccupied,
    Event,
    Serial,
    Serials,
    TasksSubmitted,
    TimePassed,
)
from hippodrome.scheduler.roster import Roster

NEVER: Final = 1 << 62  # has an attempt begun that has not been sent
MOST_GONE: Final = 10_000  # more than the hub remembers, which gives the ids
Core = TaskScheduler | DirectScheduler
Performers = Mapping[type[Action], Callable[[Any], None]]  # Any: of actions of that type


class Cores:
    """Tasks and calls by name; *does* does what is decided."""

    def __init__(
        self, scheme: str, hwm: int, rng: random.Random | None, roster: Roster, does: Performers
    ) -> None:
        serials = Serials()
        self.direct: DirectScheduler = DirectScheduler(serials)
        self.tasks: TaskScheduler = TaskScheduler(
            scheme, hwm, rng, serials, self.direct.__contains__
        )
        self._roster = roster
        self._does = does
        self._serials = serials
        self._gone: dict[EngineId, None] = {}  # that may come back, in the order in which they went
        self._tell: Callable[[Event | Action], None] | None = None
        self._events: deque[tuple[Core, Event]] = deque()
        self._is_feeding = False
        self._named: dict[EngineId, None] = {}  # since the task scheduler was told of calls by name

    def feed(self, core: Core, event: Event) -> None:
        """Let *core* handle *event*, then what follows from it: one at a time, never nested.

        What an engine is sent must leave in the order of its serial numbers, so that an event
        which arises from an action waits until the actions beside it are done.
        """
        self._events.append((core, event))
        if self._is_feeding:
            return  # called while an action is done: the loop below will get to it
        self._is_feeding = True
        try:
            while self._events:
                core, event = self._events.popleft()
                if self._tell is not None and core is self.tasks:  # which hears all of them
                    self._tell(event)
                for action in core.handle(event):
                    self._does[type(action)](action)
                    if core is self.direct and isinstance(action, Deliver):
                        self._events.append((self.tasks, _end_of(action)))
        finally:
            self._is_feeding = False  # also if it was raised: what is left comes with the next

    def feed_both(self, event: Event) -> None:
        """Let both cores handle *event*.

        The task scheduler first: what ends with an engine may set free tasks that wait for it,
        and those must not be sent there.
        """
        for core in (self.tasks, self.direct):
            self.feed(core, event)

    def know_none_of(self, msg_ids: Collection[MsgId]) -> bool:
        """Tell whether none of *msg_ids* names a task already: it does so for good."""
        return self.tasks.knows_none_of(msg_ids) and self.direct.knows_none_of(msg_ids)

    def submit(self, event: TasksSubmitted | DirectSubmitted, now: float) -> None:
        """New tasks have come, at *now*."""
        if isinstance(event, DirectSubmitted):
            self.feed(self.direct, event)
            self.note_named(event.request.targets)
            return
        self._tell_of_named()
        if any(task.options for task in event.tasks):  # their timeouts count from now
            self.feed(self.tasks, TimePassed(now))
        self.feed(self.tasks, replace(event, now=now))

    def end(
        self,
        engine: EngineId,
        outcomes: Sequence[m.Outcome | m.OutcomeBundle],
        buffers: list[tuple[Buffer, ...]],
        now: float | None = None,
    ) -> None:
        """Attempts have ended, each of which is one core's; at *now*, if that is known."""
        direct = [
            i
            for i, outcome in enumerate(outcomes)
            if isinstance(outcome, m.Outcome) and outcome.msg_id in self.direct
        ]
        if not direct:
            self.feed(self.tasks, AttemptsEnded(engine, outcomes, buffers, now))
            return
        chosen = set(direct)
        others = [i for i in range(len(outcomes)) if i not in chosen]
        for core, indices in ((self.direct, direct), (self.tasks, others)):
            if indices:
                ended = [outcomes[i] for i in indices], [buffers[i] for i in indices]
                self.feed(core, AttemptsEnded(engine, *ended, now))
        self.note_named([engine])

    def note_named(self, engines: Sequence[EngineId]) -> None:
        """Calls that name these engines have come or gone; tasks are told as soon as any care."""
        for engine in engines:
            if engine in self._roster.members:  # who calls may name any
                self._named.pop(engine, None)
                self._named[engine] = None  # so that the one that was used last is the last
        if self.tasks.jobs:
            self._tell_of_named()

    def _tell_of_named(self) -> None:
        """Let the task scheduler know what stands in engines' lines beside its tasks."""
        while self._named:
            engine = next(iter(self._named))
            del self._named[engine]
            n_held, peer = self.direct.n_held(engine), self._roster.peer(engine)
            if peer is not None and peer.engaged:
                self.feed(self.tasks, EngineOccupied(engine, n_held + 1, first=True))
            else:
                self.feed(self.tasks, EngineOccupied(engine, n_held))

    def client_of(self, engine: EngineId, msg_id: MsgId) -> PeerId | None:
        """Return whose call by name this is; None if it is a task, whose order is nobody's."""
        return self.direct.client_of(engine, msg_id)

    def is_current(self, engine: EngineId, msg_id: MsgId, attempt: int) -> bool:
        """Tell whether an engine is to run this attempt of a task."""
        if msg_id in self.direct:
            return self.direct.client_of(engine, msg_id) is not None
        state = self.tasks.engines.get(engine)
        return state is not None and self.tasks.jobs.held(state, msg_id, attempt) is not None

    def postpone(self, engine: EngineId, msg_id: MsgId) -> None:
        """A task is not sent to its engine yet, whatever has been sent there before and after."""
        self._set_serial(engine, msg_id, NEVER)

    def number(self, engine: EngineId, msg_id: MsgId) -> Serial:
        """A task is sent to its engine now; return its serial number."""
        serial = self._serials.next(engine)
        self._set_serial(engine, msg_id, serial)
        return serial

    def _set_serial(self, engine: EngineId, msg_id: MsgId, serial: int) -> None:
        job, state = self.tasks.jobs.get(msg_id), self.tasks.engines.get(engine)
        if job is not None and state is not None and job in state.held:
            state.held[job].serial = serial

    def forget(self, engine: EngineId, *, is_final: bool) -> None:
        """*engine* is no member any more; one that may come back goes on with its serials."""
        self._named.pop(engine, None)
        self._gone.pop(engine, None)
        if is_final:
            self._serials.forget(engine)
            return
        self._gone[engine] = None
        if len(self._gone) > MOST_GONE:
            oldest = next(iter(self._gone))
            del self._gone[oldest]
            if oldest not in self._roster.members:
                self._serials.forget(oldest)

    def watch(self, tell: Callable[[Event | Action], None]) -> None:
        """Let *tell* hear of each event before it is handled, and each action before it is done."""

        def told_first(do: Callable[[Any], None]) -> Callable[[Any], None]:
            def act(action: Action) -> None:
                tell(action)
                do(action)

            return act

        self._tell = tell
        self._does = {kind: told_first(do) for kind, do in self._does.items()}

    def check(self) -> None:
        """Assert every invariant; O(everything)."""
        self.tasks.check()
        self.direct.check()
        assert self.tasks.engines.keys() <= self._roster.members.keys()


def _end_of(action: Deliver) -> EndedElsewhere:
    result = action.result
    assert isinstance(result, m.Result)  # calls by name are not bundled
    return EndedElsewhere(result.msg_id, result.engine, result.status == "ok")
