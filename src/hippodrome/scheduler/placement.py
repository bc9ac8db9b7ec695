"""Which engine takes which ready job: engines with their room, and jobs in their lanes.

One rule ties them: no engine has room while a job that it may run is ready. So a job that becomes
ready looks for an engine by the scheme, and an engine that gets room takes the oldest job that it
may run. What names engines explicitly (targets, engines to avoid) costs in proportion to those
engines; everything else is O(log n).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Final

from hippodrome.protocol.messages import EngineId
from hippodrome.scheduler.index import make_index
from hippodrome.scheduler.job import Job
from hippodrome.scheduler.lanes import OPEN, Lane, LaneKey, LaneLine
from hippodrome.scheduler.room import EngineState, Estimates, has_room, has_turn, room_for
from hippodrome.scheduler.schemes import PURE, SCHEMES

MOST_DRIFT_S: Final = 1e-6  # of sums of floats


class Placement:
    """Engines, and the jobs that are ready for them.

    Args:
        scheme: a name from `hippodrome.scheduler.schemes.SCHEME_NAMES`.
        hwm: unfinished tasks per engine; 0 is no limit, `AUTO` holds time.
        rng: source of randomness.
        estimates: how long tasks are expected to take.

    Attributes:
        engines: the engines that are here, with what they hold.
        open: the lane of jobs that may run anywhere.
    """

    def __init__(self, scheme: str, hwm: int, rng: random.Random, estimates: Estimates) -> None:
        self.engines: dict[EngineId, EngineState] = {}
        self.hwm = hwm
        self.open: Lane = Lane(OPEN, None)
        self._rng = rng
        self._estimates = estimates
        self._index = make_index(scheme, rng)
        self._scheme = SCHEMES["lru" if scheme == PURE else scheme]
        self._uses = 0
        self._lanes: dict[LaneKey, Lane] = {}
        self._lines: dict[EngineId, LaneLine] = {}

    # ------------------------------------------------------------ jobs

    def enter(self, job: Job) -> Lane | None:
        """Let *job*, which is ready, stand in its lane; None if no engine can ever take it."""
        key = self._lane_key(job)
        if key is None:
            return None
        lane = self._lane(key)
        if lane.engines is None:
            lane.push(job)
            return lane
        was = lane.head()
        lane.push(job)
        if lane.head() is not was:
            for engine in lane.engines:
                self._lines[engine].note(lane)
        return lane

    def _lane_key(self, job: Job) -> LaneKey | None:
        """Return the lane where *job* belongs; None if no engine can ever take it."""
        if job.targets is None and not job.refused and not job.tried:
            return OPEN
        here: Iterable[EngineId] = self.engines if job.targets is None else job.targets
        allowed = {e for e in here if e in self.engines and e not in job.refused}
        if not allowed and (job.targets is not None or job.refused):
            return None
        # An engine that failed the task is avoided for as long as there is another.
        avoided = job.tried if allowed - job.tried else frozenset()
        return job.targets, job.refused | avoided

    def _lane(self, key: LaneKey) -> Lane:
        if key == OPEN:
            return self.open
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, set())
            here: Iterable[EngineId] = self.engines if key[0] is None else key[0]
            lane.engines = {e for e in here if e in self.engines and lane.admits(e)}
        return lane

    # ------------------------------------------------------------ jobs find engines

    def take(self, lane: Lane) -> tuple[Job, EngineState] | None:
        """Take what is next in *lane*, with the engine for it; None if either is missing.

        Whoever takes must send it there, and then `note_room`.
        """
        if lane.engines is None:
            engine, n_engines = self._index.choose(), len(self._index)
        else:
            engine, n_engines = self._choose(lane.engines)
        if engine is not None:
            state = self.engines[engine]
            job = self._take(lane, state, n_engines)
            if job is not None:
                return job, state
        self._forget_if_empty(lane)
        return None

    def _choose(self, among: Iterable[EngineId]) -> tuple[EngineId | None, int]:
        available = self.available_engines(among)
        if not available:
            return None, 0
        loads = [self.engines[engine].rank for engine in available]
        return available[self._scheme(loads, self._rng)], len(available)

    def _take(self, lane: Lane, state: EngineState, n_engines: int) -> Job | None:
        """Let an engine have what is next in *lane*; None if there is nothing.

        Of a job of several tasks it takes as many as it has room for, and not more than its
        share if all of the lane were dealt to the *n_engines* that have room.
        """
        head = lane.head()
        if head is None:
            return None
        self._uses += 1
        state.last_used = self._uses
        if len(head.msg_ids) == 1:
            return lane.take(head)
        share = -(-lane.n_tasks // n_engines)
        cost_s = self._estimates.cost_s(head.function, state.trips.away_s)
        return lane.take(head, min(room_for(state, self.hwm, cost_s), share))

    def available_engines(self, among: Iterable[EngineId]) -> list[EngineId]:
        """Return those of *among* that have room, least recently used first."""
        here = (engine for engine in among if engine in self._index)
        return sorted(here, key=lambda engine: self.engines[engine].last_used)

    def _forget_if_empty(self, lane: Lane) -> None:
        if lane.engines is not None and lane.head() is None:
            self._lanes.pop(lane.key, None)

    # ------------------------------------------------------------ engines find jobs

    def note_room(self, state: EngineState) -> None:
        """Keep the index true: what *state* holds has changed."""
        if has_room(state, self.hwm):
            self._index.put(state.engine, state.load + state.n_named, state.last_used)
        else:
            self._index.remove(state.engine)

    def note_use(self, state: EngineState) -> None:
        """*state* is used by somebody who named it."""
        self._uses += 1
        state.last_used = self._uses
        self.note_room(state)

    def take_at(self, state: EngineState, *, is_turn: bool = False) -> Job | None:
        """Take the oldest job that *state* may run, if it has room for it; else as `take`.

        If it is the turn of tasks, they may stand behind calls that name the engine.
        """
        if state.engine not in self._index and not (is_turn and has_turn(state, self.hwm)):
            return None
        line = self._lines[state.engine]
        lane = _older(self.open, line.best()) if line else self.open
        if lane is None:
            return None
        job = self._take(lane, state, 1)
        self._forget_if_empty(lane)
        return job

    # ------------------------------------------------------------ engines come and go

    def join(self, engine: EngineId, now: float) -> EngineState:
        """Add an engine, which has room."""
        state = self.engines[engine] = EngineState(engine, now)
        self._uses += 1
        state.last_used = self._uses
        self._lines[engine] = line = LaneLine()
        for lane in self._lanes.values():
            if lane.engines is not None and lane.admits(engine):
                lane.engines.add(engine)
                line.note(lane)
        self.note_room(state)
        return state

    def leave(self, engine: EngineId) -> tuple[EngineState | None, list[Job]]:
        """Remove an engine.

        Returns:
            What it held, None if it was not here; and the ready jobs that stood in lanes which
            nobody serves any more, to be entered anew.
        """
        state = self.engines.pop(engine, None)
        if state is None:
            return None, []
        self._index.remove(engine)
        del self._lines[engine]
        homeless: list[Job] = []
        for lane in list(self._lanes.values()):
            if lane.engines is not None:
                lane.engines.discard(engine)
                if not lane.engines:
                    del self._lanes[lane.key]
                    homeless.extend(lane.drain())
        return state, homeless

    def forget_ended(self) -> None:
        """Let go of jobs that ended while they stood in line; those behind a live one stay."""
        self.open.head()
        for key in [key for key, lane in self._lanes.items() if lane.head() is None]:
            del self._lanes[key]

    # ------------------------------------------------------------ looking in

    def has_open_work(self) -> bool:
        """Tell whether a job that may run anywhere is ready."""
        return self.open.head() is not None

    def idle(self) -> Iterator[EngineState]:
        """Yield engines that hold nothing and may get something."""
        return (state for state in self.engines.values() if state.is_idle)

    def check(self) -> None:
        """Assert that the index is true and no engine has room while work waits for it."""
        for engine, state in self.engines.items():
            assert has_room(state, self.hwm) == (engine in self._index)
            assert self.hwm <= 0 or state.load <= self.hwm
            assert all(job.state is place for job, place in state.held.items())
            assert all(place.engine == engine for place in state.held.values())
            assert state.load == len(state.msg_ids)
            held_s = sum(len(job.msg_ids) * place.cost_s for job, place in state.held.items())
            assert abs(state.held_s - held_s) < MOST_DRIFT_S, f"{state.held_s} is not {held_s}"
            if engine in self._index:
                assert self.open.head() is None, f"engine {engine} has room while work waits"
                assert self._lines[engine].best() is None, f"engine {engine} has room"
        for key, lane in self._lanes.items():
            assert key == lane.key
            assert lane.head() is None or lane.engines


def _older(one: Lane, other: Lane | None) -> Lane | None:
    """Return the lane whose head has waited longer; None if neither has a job."""
    first = one.head()
    second = other.head() if other is not None else None
    if first is None or second is None:
        return one if first is not None else other
    return one if first.number < second.number else other
