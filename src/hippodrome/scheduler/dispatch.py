"""The loop in which engines take jobs, from the lines in which these stand."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from hippodrome.protocol.messages import Digest
from hippodrome.scheduler import refusals
from hippodrome.scheduler.events import Action, AssignAttempts, Serials
from hippodrome.scheduler.job import Job
from hippodrome.scheduler.lanes import Lane
from hippodrome.scheduler.ledger import Ledger
from hippodrome.scheduler.placement import Placement
from hippodrome.scheduler.recalls import Looks, rebalance
from hippodrome.scheduler.room import AUTO, EngineState, Estimates


class Dispatcher:
    """Sends jobs to engines.

    Args:
        scheme, hwm, rng, serials: see `TaskScheduler`.
        ledger: has the jobs that have become ready.
        out: where to put what is to be done.

    Attributes:
        placement: which engine may take which job.
        now: the time, in seconds of a monotonic clock.
    """

    def __init__(
        self,
        scheme: str,
        hwm: int,
        rng: random.Random,
        serials: Serials,
        ledger: Ledger,
        out: list[Action],
    ) -> None:
        self._estimates = Estimates()
        self.placement: Placement = Placement(scheme, hwm, rng, self._estimates)
        self.now: float = 0.0
        self.looks: Looks = Looks()
        self._holds_time = hwm == AUTO
        self._serials = serials
        self._ledger = ledger
        self._out = out

    def find_engines(self) -> None:
        """Let the jobs that have become ready stand in line, each in its turn."""
        ready = self._ledger.ready
        while ready:
            self.find_engine(ready.popleft())

    def find_engine(self, job: Job) -> None:
        """Let *job*, which is ready, stand in line, and engines take from that line."""
        lane = self.placement.enter(job)
        if lane is None:
            failure = refusals.no_engine_left(bool(job.refused), job.refusal)
            self._ledger.give_up(job, "unreachable", failure)
        else:
            self.fill_from(lane)

    def fill_from(self, lane: Lane) -> None:
        """Give the jobs of a lane to engines for as long as one has room."""
        take = self.placement.take
        while (placed := take(lane)) is not None:
            self.submit_task(*placed)

    def fill(self, state: EngineState, *, is_turn: bool = False) -> None:
        """An engine may have got room: let it take the oldest jobs that it may run."""
        self.placement.note_room(state)
        while (job := self.placement.take_at(state, is_turn=is_turn)) is not None:
            self.submit_task(job, state)
        if state.is_idle:
            self.looks.expect(self.now)

    def submit_task(self, job: Job, state: EngineState) -> None:
        """Send *job* to the engine that was chosen for it."""
        msg_ids = job.msg_ids
        if self._ledger.jobs[msg_ids[0]] is not job:
            self._ledger.jobs.register(job)  # it was split from one that still stands in line
        job.attempt += 1
        serial = self._serials.next(state.engine, len(msg_ids))
        if not state.held and not state.n_named:
            state.quiet_since = self.now
            state.trips.ask(self.now)
        away_s = state.trips.away_s
        cost_s = self._estimates.cost_s(job.function, away_s) if self._holds_time else 0.0
        state.hold(job, serial, cost_s)
        if self.looks.at == math.inf and (state.load > 1 or state.n_named):
            self.looks.expect(self.now)
        self._out.append(
            AssignAttempts(
                state.engine, serial, msg_ids, job.attempt, job.function, job.payloads, job.buffers
            )
        )
        self.placement.note_room(state)

    def note_time(self, now: float | None) -> None:
        """It is *now*, if that is known: more often than it is time to look for anything."""
        if now is not None:
            self.now = max(self.now, now)

    def learn(self, state: EngineState, attempts: Sequence[tuple[Digest, float, int]]) -> None:
        """Note how long attempts ran, see `Estimates`, and how far away their engine is."""
        if self._holds_time:
            self._estimates.learn(attempts)
            state.trips.answer(self.now, sum(run_s for _, run_s, _ in attempts))

    def occupy(self, state: EngineState, n: int, *, first: bool) -> None:
        """An engine's line of calls by name has changed; see `EngineOccupied`."""
        if n < state.n_named:
            state.progress(self.now)
            self.fill(state, is_turn=state.occupy(n))
            return
        if not state.held and not state.n_named:
            state.quiet_since = self.now
        state.occupy(n)
        if first:
            state.let_wait()
            self.looks.expect(self.now)
        self.placement.note_use(state)

    def look(self) -> None:
        """Ask engines for what they have not begun, if it is time for that."""
        if self.looks.is_due(self.now) and not self.placement.has_open_work():
            self._out.extend(rebalance(self.placement, self.looks, self.now))
