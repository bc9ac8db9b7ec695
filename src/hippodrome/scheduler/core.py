"""The task scheduler: decides which engine gets which task, and when.

Pure: events in, actions out, `handle` is the only door to the state. Time comes as an event,
chance as an injected `random.Random`. Rules:

- A task is in one `Job` until its one outcome is delivered; then only its `TaskEnd` is remembered.
- The tasks of a bundle are one job for as long as they fare alike; what concerns some of them
  splits it first.
- Only the current attempt counts: an outcome of any other changes nothing.
- Every handler leaves no engine with room while a job that it may run is ready (`placement`).
- Per task and per outcome the work is O(log n), whatever is waiting.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Final

from msgspec import structs

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Digest, EngineId, MsgId
from hippodrome.scheduler import refusals
from hippodrome.scheduler.dependency import Endings, Prospect, TaskEnd, places
from hippodrome.scheduler.events import (
    AbortAsked,
    Action,
    AssignAttempts,
    AttemptsDropped,
    AttemptsEnded,
    Deliver,
    EndedElsewhere,
    EngineJoined,
    EngineLost,
    EngineOccupied,
    EngineSuspected,
    Event,
    Recall,
    Serials,
    TasksSubmitted,
    TimePassed,
)
from hippodrome.scheduler.graph import Graph
from hippodrome.scheduler.job import DEFAULTS, Job, JobState
from hippodrome.scheduler.jobs import Jobs
from hippodrome.scheduler.outcomes import as_result, as_results, one_by_one
from hippodrome.scheduler.placement import Placement
from hippodrome.scheduler.recalls import MOST_RECALL_AFTER_S, Looks, attempts_of, waiting_at
from hippodrome.scheduler.room import AUTO, RECALL_AFTER_S, EngineState, Estimates
from hippodrome.scheduler.schemes import PURE

Ended = tuple[Job, m.Outcome | m.OutcomeBundle, tuple[Buffer, ...]]


# Refusals that clients are told of if no other engine can run a task.
_REASONS: Final = frozenset({"VersionMismatch", "ModuleNotFoundError"})


class TaskScheduler:
    """Load-balanced tasks of all clients over all engines.

    Args:
        scheme: a name from `hippodrome.scheduler.schemes.SCHEME_NAMES`.
        hwm: unfinished tasks per engine; 0 is no limit, `AUTO` holds time.
        rng: source of randomness; seed it to replay a run.
        serials: numbers attempts per engine; shared with whoever else sends to engines.
        is_elsewhere: tells whether an id names a task that is under way but not a job here; its
            end comes as `EndedElsewhere`.
    """

    def __init__(
        self,
        scheme: str = "leastload",
        hwm: int = AUTO,
        rng: random.Random | None = None,
        serials: Serials | None = None,
        is_elsewhere: Callable[[MsgId], bool] = lambda msg_id: False,
    ) -> None:
        self.scheme = scheme
        self.hwm = hwm
        self.now: float = 0.0
        self.jobs: Jobs = Jobs()
        self.endings: Endings = Endings()
        self._serials = serials or Serials()
        self._is_elsewhere = is_elsewhere
        self._placement = Placement(
            scheme, hwm, rng or random.Random(), self.submit_task, self._cost_s
        )
        self._graph = Graph(self.endings)
        self._estimates = Estimates()
        self._deadlines: list[tuple[float, int, list[MsgId]]] = []
        self._submitted = 0
        self._looks = Looks()
        self._news: deque[tuple[MsgId, TaskEnd]] = deque()
        self._out: list[Action] = []

    @property
    def engines(self) -> dict[EngineId, EngineState]:
        """The engines that are members, with what they hold."""
        return self._placement.engines

    def handle(self, event: Event) -> list[Action]:
        """Take note of *event* and return what is to be done, in order."""
        match event:
            case TasksSubmitted():
                self._on_submitted(event)
            case AttemptsEnded():
                self._on_ended(event)
            case AttemptsDropped():
                self._on_dropped(event)
            case TimePassed():
                self._on_time(event.now)
            case EndedElsewhere():
                self._end([event.msg_id], TaskEnd(event.ok, event.engine))
            case AbortAsked():
                self._on_abort(event)
            case EngineJoined():
                if event.engine not in self.engines:
                    self._placement.join(event.engine, self.now)
            case EngineOccupied():
                self._on_occupied(event)
            case EngineSuspected():
                self._on_suspected(event)
            case EngineLost():
                self.handle_stranded_tasks(event)
            case _:
                raise TypeError(f"the task scheduler has no use for {event!r}")
        self._settle()
        out, self._out = self._out, []
        return out

    # ------------------------------------------------------------ submission

    def _on_submitted(self, event: TasksSubmitted) -> None:
        for task, buffers in zip(event.tasks, event.buffers, strict=True):
            job = Job.of(event.client, task, buffers, self._submitted)
            if self.knows_none_of(job.msg_ids):  # an id names one task for good
                self._submitted += len(job.msg_ids)
                self.add_job(job)
        self._placement.fill_open()

    def knows_none_of(self, msg_ids: Collection[MsgId]) -> bool:
        """Tell whether none of *msg_ids* names a task that is here, or ended lately."""
        if len(msg_ids) == 1:
            (msg_id,) = msg_ids
            return msg_id not in self.jobs and msg_id not in self.endings
        return self.jobs.keys().isdisjoint(msg_ids) and self.endings.has_none_of(msg_ids)

    def add_job(self, job: Job) -> None:
        """Take a job in: it waits, is ready, or fails at once."""
        self.jobs.register(job)
        if job.options is DEFAULTS:
            job.move(JobState.READY)
            self._placement.enter(job)
            return
        refusal = self._refusal(job)
        if refusal is not None:
            self._fail(job, "unreachable", refusal)
            return
        self._set_deadline(job)
        self.save_unmet(job)

    def _refusal(self, job: Job) -> m.Failure | None:
        """Say why *job* cannot be taken, if so."""
        options = job.options
        if self.scheme == PURE and refusals.needs_decisions(options):
            return refusals.PURE_SCHEME
        for dependencies in (options.after, options.follow):
            for msg_id in dependencies.msg_ids if dependencies else ():
                if self.jobs.get(msg_id) is job:
                    return refusals.DEPENDS_ON_ITSELF
                if not self._is_known(msg_id):
                    return refusals.unknown_dependency(msg_id)
        return None

    def _is_known(self, msg_id: MsgId) -> bool:
        return msg_id in self.jobs or msg_id in self.endings or self._is_elsewhere(msg_id)

    def _set_deadline(self, job: Job) -> None:
        if not job.options.timeout_s:
            return
        job.deadline = self.now + job.options.timeout_s
        heapq.heappush(self._deadlines, (job.deadline, job.number, job.msg_ids))
        if len(self._deadlines) > 64 + 2 * len(self.jobs):
            # Long deadlines of tasks that have ended; so rarely that it costs O(1) per task.
            is_here = self.jobs.__contains__
            self._deadlines = [entry for entry in self._deadlines if any(map(is_here, entry[2]))]
            heapq.heapify(self._deadlines)

    def save_unmet(self, job: Job) -> None:
        """Judge a job's dependencies: run it, fail it, or keep it until they have ended."""
        self._decide(job, self._graph.add(job))

    def _decide(self, job: Job, outlook: Prospect) -> None:
        if outlook is Prospect.MET:
            self.maybe_run(job)
        elif outlook is Prospect.UNREACHABLE:
            self.fail_unreachable(job)

    def maybe_run(self, job: Job) -> None:
        """The dependencies of *job* are met: give it to an engine, or let it stand in line."""
        follow = job.options.follow
        if follow is not None and follow.msg_ids:
            here = places(follow, self.endings)
            job.targets = here if job.targets is None else job.targets & here
            if not job.targets:
                self._fail(job, "unreachable", refusals.NOWHERE_TO_FOLLOW)
                return
        job.move(JobState.READY)
        self._ready(job)

    def _ready(self, job: Job) -> None:
        if self._placement.enter(job):
            self._placement.fill(job)
        else:
            self._give_up(job, "unreachable", refusals.no_engine_left(bool(job.refused)))

    def submit_task(self, job: Job, state: EngineState) -> None:
        """Send *job* to the engine that was chosen for it."""
        msg_ids = job.msg_ids
        if self.jobs[msg_ids[0]] is not job:
            self.jobs.register(job)  # it was split from one that still stands in line
        job.move(JobState.ASSIGNED)
        job.engine = engine = state.engine
        job.attempt += 1
        job.serial = serial = self._serials.next(engine, len(msg_ids))
        if self.hwm == AUTO:
            job.cost_s = self._estimates.cost_s(job.function)
        if not state.held and not state.n_named:
            state.quiet_since = self.now
        state.hold(job)
        if self._looks.at == math.inf and (state.load > 1 or state.n_named):
            self._looks.expect(self.now)
        self._out.append(
            AssignAttempts(
                engine, serial, msg_ids, job.attempt, job.function, job.payloads, job.buffers
            )
        )

    def _cost_s(self, job: Job) -> float:
        """Return how long a task of *job* is expected to take; only asked if it matters."""
        return self._estimates.cost_s(job.function) if self.hwm == AUTO else 0.0

    # ------------------------------------------------------------ outcomes

    def _on_ended(self, event: AttemptsEnded) -> None:
        state = self.engines.get(event.engine)
        if state is None:
            return
        current: list[Ended] = []
        for outcome, buffers in zip(event.outcomes, event.buffers, strict=True):
            if isinstance(outcome, m.Outcome):
                self._take_outcome(state, outcome, buffers, current)
            else:
                self._take_outcomes(state, outcome, current)
        if not current:
            return
        state.progress(self.now)
        if self.hwm == AUTO:
            self._estimates.learn(map(_run_time, current))
        # The engine is offered to what these outcomes set free only together with what has
        # waited for it longer; that is why its room is noted last.
        for job, outcome, buffers in current:
            self.handle_result(job, outcome, buffers)
        self._settle()
        self._fill(state)

    def _fill(self, state: EngineState, *, is_turn: bool = False) -> None:
        """Something has ended at *state*: let it take what it has room for."""
        self._placement.fill_engine(state, is_turn=is_turn)
        if state.is_idle:
            self._looks.expect(self.now)

    def _on_occupied(self, event: EngineOccupied) -> None:
        """Note that an engine's line of calls by name has changed."""
        state = self.engines.get(event.engine)
        if state is None:
            return
        if event.n >= state.n_named:
            if not state.held and not state.n_named:
                state.quiet_since = self.now
            state.occupy(event.n)
            if event.first:
                state.let_wait()
                self._looks.expect(self.now)
            self._placement.note_use(state)
            return
        state.progress(self.now)
        self._fill(state, is_turn=state.occupy(event.n))

    def _take_outcome(
        self, state: EngineState, outcome: m.Outcome, buffers: tuple[Buffer, ...], into: list[Ended]
    ) -> None:
        """Let the engine go of the task that ended, if this is how its current attempt did."""
        job = self.jobs.held(state, outcome.msg_id, outcome.attempt)
        if job is not None:
            if len(job.msg_ids) > 1:
                job = self.jobs.single_out(state, job, {outcome.msg_id})[0]
            state.release(job)
            into.append((job, outcome, buffers))

    def _take_outcomes(
        self, state: EngineState, outcome: m.OutcomeBundle, into: list[Ended]
    ) -> None:
        msg_ids = outcome.msg_ids
        job = self.jobs.held(state, msg_ids[0], outcome.attempt)
        if job is not None and job.msg_ids[: len(msg_ids)] == msg_ids:
            into.append((state.release_first(job, len(msg_ids)), outcome, ()))
        else:  # not what was sent: some may have been dropped or given up meanwhile
            for single in one_by_one(outcome):
                self._take_outcome(state, single, (), into)

    def handle_result(
        self, job: Job, outcome: m.Outcome | m.OutcomeBundle, buffers: tuple[Buffer, ...]
    ) -> None:
        """The current attempt of *job* ended on its engine: deliver that, or try again."""
        if isinstance(outcome, m.OutcomeBundle):
            assert job.engine is not None
            self.finish_job(job, as_results(outcome, job.engine))
        elif outcome.status == "unmet":
            if outcome.failure is not None and outcome.failure.ename in _REASONS:
                assert job.engine is not None
                job.failed = structs.replace(as_result(outcome, "error", job.engine), n_buffers=0)
            self.handle_unmet_dependency(job)
        elif outcome.status == "error" and job.retries_left and not job.aborting:
            assert job.engine is not None
            self._retry(job, structs.replace(as_result(outcome, "error", job.engine), n_buffers=0))
        else:
            assert job.engine is not None
            self.finish_job(job, as_result(outcome, outcome.status, job.engine), buffers)

    def handle_unmet_dependency(self, job: Job) -> None:
        """The engine cannot run *job*: try the others, fail when none is left."""
        assert job.engine is not None
        job.refused |= {job.engine}
        self._put_back(job)

    def _retry(self, job: Job, failed: m.Result) -> None:
        """Try *job* once more; how it failed is remembered in case that there is no way to."""
        assert job.engine is not None
        job.retries_left -= 1
        job.failed = failed
        job.tried |= {job.engine}
        self._put_back(job)

    def _put_back(self, job: Job) -> None:
        """Make *job* ready again; its number gives it its old place."""
        if job.aborting:
            self._fail(job, "aborted", refusals.ABORTED)
            return
        job.move(JobState.READY)
        job.engine = None
        self._ready(job)

    def finish_job(
        self, job: Job, result: m.Result | m.ResultBundle, buffers: tuple[Buffer, ...] = ()
    ) -> None:
        """Deliver how *job* ended on an engine, and let go whatever waited for it."""
        self._out.append(Deliver(job.client, job.function, result, buffers))
        self._close(job, isinstance(result, m.ResultBundle) or result.status == "ok")

    def _close(self, job: Job, ok: bool) -> None:
        """The outcome of each task of *job* has been delivered."""
        job.move(JobState.DONE)
        self.jobs.forget(job)
        self._end(job.msg_ids, TaskEnd(ok, job.engine))

    def _end(self, msg_ids: list[MsgId], ending: TaskEnd) -> None:
        self.endings.add(msg_ids, ending)
        awaited = self._graph.dependents
        if awaited:
            self._news.extend((msg_id, ending) for msg_id in msg_ids if msg_id in awaited)

    def _settle(self) -> None:
        """Follow the consequences of what has ended; a loop, as chains may be very long."""
        while self._news:
            self.update_graph(*self._news.popleft())

    def update_graph(self, dep_id: MsgId, ending: TaskEnd) -> None:
        """A task that others may wait for has ended: run or fail those that it decides."""
        for job, outlook in self._graph.end(dep_id, ending):
            self._decide(job, outlook)

    # ------------------------------------------------------------ failures

    def fail_unreachable(self, job: Job) -> None:
        """The dependencies of *job* can no longer be met."""
        self._fail(job, "unreachable", refusals.UNREACHABLE)

    def job_timeout(self, job: Job) -> None:
        """*job* was not assigned in time."""
        waiting = job.state is JobState.WAITING
        waited_s = job.options.timeout_s or 0.0
        self._give_up(job, "timeout", refusals.timed_out(waited_s, dependencies=waiting))

    def _give_up(self, job: Job, status: str, failure: m.Failure) -> None:
        """No engine takes *job*; if it has failed before, that is what its client is told."""
        if job.failed is None:
            self._fail(job, status, failure)
            return
        job.engine = job.failed.engine
        for msg_id in job.msg_ids:
            result = structs.replace(job.failed, msg_id=msg_id)
            self._out.append(Deliver(job.client, job.function, result))
        self._close(job, ok=False)

    def _fail(self, job: Job, status: str, failure: m.Failure) -> None:
        """Deliver the same end to each task of *job*."""
        job.waits = []
        for msg_id in job.msg_ids:
            result = m.Result(msg_id, status, job.engine, job.attempt, failure=failure)
            self._out.append(Deliver(job.client, job.function, result))
        self._close(job, ok=False)

    # ------------------------------------------------------------ aborts and recalls

    def _on_abort(self, event: AbortAsked) -> None:
        if event.msg_ids is None:
            named = [id_ for id_, job in self.jobs.items() if job.client == event.client]
        else:
            named = event.msg_ids
        for job, chosen in self.jobs.of(named).items():
            if job.state is not JobState.ASSIGNED:
                self._fail(self.jobs.take_out(job, chosen), "aborted", refusals.ABORTED)
                continue
            assert job.engine is not None
            for piece in self.jobs.single_out(self.engines[job.engine], job, chosen):
                piece.aborting = True
                self._out.append(Recall(job.engine, attempts_of([piece]), event.interrupt))
        self._placement.forget_ended()

    def _on_dropped(self, event: AttemptsDropped) -> None:
        state = self.engines.get(event.engine)
        if state is None:
            return
        current = [id_ for id_, n in event.attempts if self.jobs.held(state, id_, n)]
        dropped: list[Job] = []
        for job, chosen in self.jobs.of(current).items():
            dropped += self.jobs.single_out(state, job, chosen)
        for job in _oldest_first(dropped):
            state.release(job)
            state.recall_after_s = RECALL_AFTER_S  # it answers
            self._put_back(job)
        self._fill(state)

    def _rebalance(self) -> None:
        """Take unstarted jobs back from engines that are stuck while others have nothing to do."""
        idle = {state.engine for state in self._placement.idle()}
        if not idle:
            return
        for state in self.engines.values():
            if not state.has_waiting:
                continue
            if self.now >= state.quiet_since + state.recall_after_s:
                self._recall_share(state, idle)
            self._looks.expect(self.now, state.quiet_since + state.recall_after_s)

    def _recall_share(self, state: EngineState, idle: set[EngineId]) -> None:
        """Ask *state* for so much of what waits there that all have the same."""
        # The engine knows which of these it has begun, and drops the others only.
        waiting = waiting_at(state, idle)
        n_share = len(waiting)
        if not state.n_named:  # what runs is a task, and as many like it may follow
            n_share = -(-n_share * len(idle) // (len(idle) + 1))
        if n_share > 0:
            self._out.append(Recall(state.engine, waiting[-n_share:]))
        state.stuck = True
        state.quiet_since = self.now
        state.recall_after_s = min(2 * state.recall_after_s, MOST_RECALL_AFTER_S)
        self._placement.note_room(state)

    # ------------------------------------------------------------ engines come and go

    def _on_suspected(self, event: EngineSuspected) -> None:
        state = self.engines.get(event.engine)
        if state is None or state.suspect == event.suspect:
            return
        state.suspect = event.suspect
        if state.suspect and state.held:
            self._out.append(Recall(event.engine, attempts_of(state.held)))
        self._placement.fill_engine(state)

    def handle_stranded_tasks(self, event: EngineLost) -> None:
        """An engine is gone: its tasks run elsewhere if that is safe or allowed, else they fail.

        A task that had not started is only moved. One that may have started is run again if it
        has retries left.
        """
        state, homeless = self._placement.leave(event.engine)
        if state is None:
            return
        if event.started is None and state.held:  # it may still be there, and start them later
            self._out.append(Recall(event.engine, attempts_of(state.held)))
        for job in _oldest_first(state.held):
            self._strand(job, event)
        for job in homeless:
            self._ready(job)

    def _strand(self, job: Job, event: EngineLost) -> None:
        n_begun = len(job.msg_ids) if event.started is None else event.started - job.serial + 1
        if n_begun <= 0:
            self._put_back(job)
        elif n_begun < len(job.msg_ids):
            begun = job.split(n_begun)
            self.jobs.register(begun)
            self._strand_begun(begun, event)
            self._put_back(job)
        else:
            self._strand_begun(job, event)

    def _strand_begun(self, job: Job, event: EngineLost) -> None:
        if job.retries_left and not job.aborting:
            lost = refusals.engine_lost(event.reason)
            self._retry(
                job, m.Result(job.msg_ids[0], "lost", job.engine, job.attempt, failure=lost)
            )
        else:
            self._fail(job, "lost", refusals.engine_lost(event.reason))

    # ------------------------------------------------------------ time

    def _on_time(self, now: float) -> None:
        self.now = now
        if self._deadlines and self._deadlines[0][0] <= now:
            self._on_deadline(now)
        if self._looks.is_due(now) and not self._placement.has_open_work():
            self._rebalance()

    def _on_deadline(self, now: float) -> None:
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, _, msg_ids = heapq.heappop(self._deadlines)
            for job in self.jobs.of(msg_ids):
                if job.deadline == deadline and job.state is not JobState.ASSIGNED:
                    self.job_timeout(job)
        self._placement.forget_ended()

    def next_deadline(self) -> float | None:
        """When a task has waited for too long; None if there is nothing to wait for."""
        return self._deadlines[0][0] if self._deadlines else None

    def next_look(self) -> float:
        """When `TimePassed` must come at the latest."""
        return min(self._looks.at, self._deadlines[0][0] if self._deadlines else math.inf)

    # ------------------------------------------------------------ looking in

    def check(self) -> None:
        """Assert every invariant; O(everything)."""
        self.jobs.check()
        self._placement.check()
        self._graph.check()
        held = {msg_id: state for state in self.engines.values() for msg_id in state.msg_ids}
        for msg_id, job in self.jobs.items():
            assert job.state is not JobState.DONE
            assert (job.state is JobState.ASSIGNED) == (msg_id in held)
            assert (job.state is JobState.WAITING) == bool(job.waits)
            assert msg_id not in self.endings
        assert all(self.jobs[id_].engine == state.engine for id_, state in held.items())


def _run_time(ended: Ended) -> tuple[Digest, float, int]:
    """Return the function of a job that ended, seconds that it ran, and in how many attempts."""
    job, outcome, _ = ended
    if isinstance(outcome, m.OutcomeBundle):
        return job.function, sum(outcome.run_s), len(outcome.run_s)
    return job.function, outcome.run_s, 1


def _oldest_first(jobs: Iterable[Job]) -> list[Job]:
    """Return *jobs* in the order of their submission; an engine may hold them in another."""
    return sorted(jobs, key=lambda job: job.number)
