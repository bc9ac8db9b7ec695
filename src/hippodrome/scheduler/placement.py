"""Which engine takes which ready job: engines with their room, and jobs in their lanes.

One rule ties them: no engine has room while a job that it may run is ready. So a job that becomes
ready looks for an engine by the scheme, and an engine that gets room takes the oldest job that it
may run. What names engines explicitly (targets, engines to avoid) costs in proportion to those
engines; everything else is O(log n).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from hippodrome.protocol.messages import EngineId
from hippodrome.scheduler.index import make_index
from hippodrome.scheduler.job import Job, JobState
from hippodrome.scheduler.lanes import OPEN, Lane, LaneKey, LaneLine
from hippodrome.scheduler.room import EngineState, has_room, has_turn, room_for
from hippodrome.scheduler.schemes import PURE, SCHEMES

MOST_DRIFT_S: Final = 1e-6  # of sums of floats


class Placement:
    """Engines, and the jobs that are ready for them.

    Args:
        scheme: a name from `hippodrome.scheduler.schemes.SCHEME_NAMES`.
        hwm: unfinished tasks per engine; 0 is no limit, `AUTO` holds time.
        rng: source of randomness.
        send: called with a job and the engine chosen for it; must make the engine hold the job.
        cost_s: returns how long a task of a job is expected to take, in seconds.
    """

    def __init__(
        self,
        scheme: str,
        hwm: int,
        rng: random.Random,
        send: Callable[[Job, EngineState], None],
        cost_s: Callable[[Job], float],
    ) -> None:
        self.engines: dict[EngineId, EngineState] = {}
        self.hwm = hwm
        self._rng = rng
        self._send = send
        self._cost_s = cost_s
        self._index = make_index(scheme, rng)
        self._scheme = SCHEMES["lru" if scheme == PURE else scheme]
        self._uses = 0
        self._open = Lane(OPEN, None)
        self._lanes: dict[LaneKey, Lane] = {}
        self._lines: dict[EngineId, LaneLine] = {}

    # ------------------------------------------------------------ jobs

    def enter(self, job: Job) -> bool:
        """Let *job*, which is ready, stand in its lane; False if no engine can ever take it."""
        key = self._lane_key(job)
        if key is None:
            return False
        lane = self._lane(key)
        if lane.engines is None:
            lane.push(job)
            return True
        was = lane.head()
        lane.push(job)
        if lane.head() is not was:
            for engine in lane.engines:
                self._lines[engine].note(lane)
        return True

    def fill(self, job: Job) -> None:
        """Let engines take jobs from the lane that *job* stands in."""
        key = self._lane_key(job)
        if key == OPEN:
            self.fill_open()
        elif key is not None:
            self._fill_lane(self._lane(key))

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
            return self._open
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, set())
            here: Iterable[EngineId] = self.engines if key[0] is None else key[0]
            lane.engines = {e for e in here if e in self.engines and lane.admits(e)}
        return lane

    # ------------------------------------------------------------ jobs find engines

    def fill_open(self) -> None:
        """Give the jobs that may run anywhere to engines for as long as one has room."""
        choose, index = self._index.choose, self._index
        while (engine := choose()) is not None and self._give(self._open, engine, len(index)):
            pass

    def _fill_lane(self, lane: Lane) -> None:
        assert lane.engines is not None
        while available := self.available_engines(lane.engines):
            loads = [self.engines[engine].rank for engine in available]
            engine = available[self._scheme(loads, self._rng)]
            if not self._give(lane, engine, len(available)):
                break
        self._forget_if_empty(lane)

    def _give(self, lane: Lane, engine: EngineId, n_engines: int) -> bool:
        """Let *engine* take from *lane*; return False if there is nothing.

        Of a job of several tasks it takes as many as it has room for, and not more than its
        share if all of the lane were dealt to the *n_engines* that have room.
        """
        head = lane.head()
        if head is None:
            return False
        state = self.engines[engine]
        if len(head.msg_ids) == 1:
            job = lane.take(head)
        else:
            share = -(-lane.n_tasks // n_engines)
            job = lane.take(head, min(room_for(state, self.hwm, self._cost_s(head)), share))
        self._uses += 1
        state.last_used = self._uses
        self._send(job, state)
        self.note_room(state)
        return True

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

    def fill_engine(self, state: EngineState, *, is_turn: bool = False) -> None:
        """*state* may have got room: let it take the oldest jobs that it may run.

        If it is their turn, they may stand behind calls that name it.
        """
        self.note_room(state)
        line = self._lines[state.engine]
        while state.engine in self._index or (is_turn and has_turn(state, self.hwm)):
            lane = _older(self._open, line.best()) if line else self._open
            if lane is None or not self._give(lane, state.engine, 1):
                return
            self._forget_if_empty(lane)

    # ------------------------------------------------------------ engines come and go

    def join(self, engine: EngineId, now: float) -> None:
        """Add an engine, and give it what waits."""
        state = self.engines[engine] = EngineState(engine, now)
        self._uses += 1
        state.last_used = self._uses
        self._lines[engine] = line = LaneLine()
        for lane in self._lanes.values():
            if lane.engines is not None and lane.admits(engine):
                lane.engines.add(engine)
                line.note(lane)
        self.fill_engine(state)

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
        self._open.head()
        for key in [key for key, lane in self._lanes.items() if lane.head() is None]:
            del self._lanes[key]

    # ------------------------------------------------------------ looking in

    def has_open_work(self) -> bool:
        """Tell whether a job that may run anywhere is ready."""
        return self._open.head() is not None

    def idle(self) -> Iterator[EngineState]:
        """Yield engines that hold nothing and may get something."""
        return (state for state in self.engines.values() if state.is_idle)

    def check(self) -> None:
        """Assert that the index is true and no engine has room while work waits for it."""
        for engine, state in self.engines.items():
            assert has_room(state, self.hwm) == (engine in self._index)
            assert self.hwm <= 0 or state.load <= self.hwm
            assert all(job.state is JobState.ASSIGNED for job in state.held)
            assert state.load == len(state.msg_ids)
            held_s = sum(len(job.msg_ids) * job.cost_s for job in state.held)
            assert abs(state.held_s - held_s) < MOST_DRIFT_S, f"{state.held_s} is not {held_s}"
            if engine in self._index:
                assert self._open.head() is None, f"engine {engine} has room while work waits"
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
