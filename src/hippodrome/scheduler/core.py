"""The task scheduler: decides which engine gets which task, and when.

Pure: events in, actions out, `handle` is the only door to the state. Time comes as an event,
chance as an injected `random.Random`. Rules:

- A task is one `Job` until its one outcome is delivered; then only its `Ending` is remembered.
- Only the current attempt counts: an outcome of any other changes nothing.
- Every handler leaves no engine with room while a job that it may run is ready (`placement`).
- Per task and per outcome the work is O(log n), whatever is waiting.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import EngineId, Failure, MsgId, Outcome, Result
from hippodrome.scheduler import refusals
from hippodrome.scheduler.dependency import Ending, Endings, Prospect, places
from hippodrome.scheduler.events import (
    AbortAsked,
    Action,
    Assign,
    AttemptsDropped,
    AttemptsEnded,
    Deliver,
    EndedElsewhere,
    EngineJoined,
    EngineLost,
    EngineSuspected,
    Event,
    Recall,
    Serials,
    TasksSubmitted,
    TimePassed,
    as_result,
)
from hippodrome.scheduler.graph import Graph
from hippodrome.scheduler.job import Job, JobState
from hippodrome.scheduler.placement import Placement
from hippodrome.scheduler.room import AUTO, EngineState, Estimates
from hippodrome.scheduler.schemes import PURE

RECALL_AFTER_S = 0.05


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the scheduler holds, in numbers."""

    waiting: int
    ready: int
    assigned: int
    loads: dict[EngineId, int]


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
        self.now = 0.0
        self.jobs: dict[MsgId, Job] = {}
        self.endings = Endings()
        self._serials = serials or Serials()
        self._is_elsewhere = is_elsewhere
        self._placement = Placement(scheme, hwm, rng or random.Random(), self.submit_task)
        self._graph = Graph(self.endings)
        self._estimates = Estimates()
        self._deadlines: list[tuple[float, int, MsgId]] = []
        self._submitted = 0
        self._rebalanced_at = 0.0
        self._news: deque[tuple[MsgId, Ending]] = deque()
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
                self._end(event.msg_id, Ending(event.ok, event.engine))
            case AbortAsked():
                self._on_abort(event)
            case EngineJoined():
                if event.engine not in self.engines:
                    self._placement.join(event.engine, self.now)
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
            if task.msg_id in self.jobs or task.msg_id in self.endings:
                continue  # an id names one task for good
            self._submitted += 1
            self.add_job(Job.of(event.client, task, buffers, self._submitted))
        self._placement.fill_open()

    def add_job(self, job: Job) -> None:
        """Take a job in: it waits, is ready, or fails at once."""
        self.jobs[job.msg_id] = job
        if job.task.options is None:
            job.move(JobState.READY)
            self._placement.enter(job)
            return
        refusal = self._refusal(job)
        if refusal is not None:
            self._fail(job, "unreachable", refusal)
            return
        self._set_deadline(job)
        self.save_unmet(job)

    def _refusal(self, job: Job) -> Failure | None:
        """Say why *job* cannot be taken, if so."""
        options = job.options
        if self.scheme == PURE and refusals.needs_decisions(options):
            return refusals.pure_scheme()
        for dependencies in (options.after, options.follow):
            for msg_id in dependencies.msg_ids if dependencies else ():
                if msg_id == job.msg_id:
                    return refusals.depends_on_itself()
                if not self._is_known(msg_id):
                    return refusals.unknown_dependency(msg_id)
        return None

    def _is_known(self, msg_id: MsgId) -> bool:
        return msg_id in self.jobs or msg_id in self.endings or self._is_elsewhere(msg_id)

    def _set_deadline(self, job: Job) -> None:
        if not job.options.timeout_s:
            return
        job.deadline = self.now + job.options.timeout_s
        heapq.heappush(self._deadlines, (job.deadline, job.number, job.msg_id))
        if len(self._deadlines) > 64 + 2 * len(self.jobs):
            # Long deadlines of tasks that have ended; so rarely that it costs O(1) per task.
            self._deadlines = [entry for entry in self._deadlines if entry[2] in self.jobs]
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
                self._fail(job, "unreachable", refusals.nowhere_to_follow())
                return
        job.move(JobState.READY)
        self._ready(job)

    def _ready(self, job: Job) -> None:
        if self._placement.enter(job):
            self._placement.fill(job)
        else:
            self._fail(job, "unreachable", refusals.no_engine_left(bool(job.refused)))

    def submit_task(self, job: Job, state: EngineState) -> None:
        """Send *job* to the engine that was chosen for it."""
        task = job.task
        job.move(JobState.ASSIGNED)
        job.engine = engine = state.engine
        job.attempt += 1
        job.serial = serial = self._serials.next(engine)
        if self.hwm == AUTO:
            job.cost_s = self._estimates.cost_s(task.function)
        if not state.held:
            state.quiet_since = self.now
        state.hold(job)
        self._out.append(
            Assign(
                engine, serial, task.msg_id, job.attempt, task.function, task.payload, job.buffers
            )
        )

    # ------------------------------------------------------------ outcomes

    def _on_ended(self, event: AttemptsEnded) -> None:
        state = self.engines.get(event.engine)
        if state is None:
            return
        current: list[tuple[Job, Outcome, tuple[Buffer, ...]]] = []
        for outcome, buffers in zip(event.outcomes, event.buffers, strict=True):
            job = state.held.get(outcome.msg_id)
            if job is not None and job.attempt == outcome.attempt:
                state.release(job)
                current.append((job, outcome, buffers))
        if not current:
            return
        state.quiet_since = self.now
        state.stuck = False
        if self.hwm == AUTO:
            self._estimates.learn((job.task.function, outcome.run_s) for job, outcome, _ in current)
        # The engine is offered to what these outcomes set free only together with what has
        # waited for it longer; that is why its room is noted last.
        for job, outcome, buffers in current:
            self.handle_result(job, outcome, buffers)
        self._settle()
        self._placement.fill_engine(state)

    def handle_result(self, job: Job, outcome: Outcome, buffers: tuple[Buffer, ...]) -> None:
        """The current attempt of *job* ended on its engine: deliver that, or try again."""
        if outcome.status == "unmet":
            self.handle_unmet_dependency(job)
        elif outcome.status == "error" and job.retries_left and not job.aborting:
            self._retry(job)
        else:
            assert job.engine is not None
            self.finish_job(job, as_result(outcome, outcome.status, job.engine), buffers)

    def handle_unmet_dependency(self, job: Job) -> None:
        """The engine cannot run *job*: try the others, fail when none is left."""
        assert job.engine is not None
        job.refused |= {job.engine}
        self._put_back(job)

    def _retry(self, job: Job) -> None:
        assert job.engine is not None
        job.retries_left -= 1
        job.tried |= {job.engine}
        self._put_back(job)

    def _put_back(self, job: Job) -> None:
        """Make *job* ready again; its number gives it its old place."""
        if job.aborting:
            self._fail(job, "aborted", refusals.aborted())
            return
        job.move(JobState.READY)
        job.engine = None
        self._ready(job)

    def finish_job(self, job: Job, result: Result, buffers: tuple[Buffer, ...] = ()) -> None:
        """Deliver the one outcome of *job*, and let go whatever waited for it."""
        job.move(JobState.DONE)
        del self.jobs[job.msg_id]
        self._out.append(Deliver(job.client, job.task.function, result, buffers))
        self._end(job.msg_id, Ending(result.status == "ok", result.engine))

    def _end(self, msg_id: MsgId, ending: Ending) -> None:
        self.endings.add(msg_id, ending)
        if msg_id in self._graph:
            self._news.append((msg_id, ending))

    def _settle(self) -> None:
        """Follow the consequences of what has ended; a loop, as chains may be very long."""
        while self._news:
            self.update_graph(*self._news.popleft())

    def update_graph(self, dep_id: MsgId, ending: Ending) -> None:
        """A task that others may wait for has ended: run or fail those that it decides."""
        for job, outlook in self._graph.end(dep_id, ending):
            self._decide(job, outlook)

    # ------------------------------------------------------------ failures

    def fail_unreachable(self, job: Job) -> None:
        """The dependencies of *job* can no longer be met."""
        self._fail(job, "unreachable", refusals.unreachable())

    def job_timeout(self, job: Job) -> None:
        """*job* was not assigned in time."""
        waiting = job.state is JobState.WAITING
        job.waits = []
        waited_s = job.options.timeout_s or 0.0
        self._fail(job, "timeout", refusals.timed_out(waited_s, dependencies=waiting))

    def _fail(self, job: Job, status: str, failure: Failure) -> None:
        result = Result(job.msg_id, status, job.engine, job.attempt, failure=failure)
        self.finish_job(job, result)

    # ------------------------------------------------------------ aborts and recalls

    def _on_abort(self, event: AbortAsked) -> None:
        for job in self._named(event):
            if job.state is JobState.ASSIGNED:
                job.aborting = True
                assert job.engine is not None
                self._out.append(Recall(job.engine, [(job.msg_id, job.attempt)]))
            else:
                job.waits = []
                self._fail(job, "aborted", refusals.aborted())
        self._placement.forget_ended()

    def _named(self, event: AbortAsked) -> list[Job]:
        if event.msg_ids is None:
            return [job for job in self.jobs.values() if job.client == event.client]
        named = (self.jobs.get(msg_id) for msg_id in dict.fromkeys(event.msg_ids))
        return [job for job in named if job is not None]

    def _on_dropped(self, event: AttemptsDropped) -> None:
        state = self.engines.get(event.engine)
        if state is None:
            return
        dropped: list[Job] = []
        for msg_id, attempt in event.attempts:
            job = state.held.get(msg_id)
            if job is not None and job.attempt == attempt:
                state.release(job)
                dropped.append(job)
        for job in _oldest_first(dropped):
            self._put_back(job)
        self._placement.fill_engine(state)

    def _rebalance(self) -> None:
        """Take unstarted jobs back from engines that are stuck while others have nothing to do."""
        self._rebalanced_at = self.now
        n_idle = sum(1 for _ in self._placement.idle())
        if not n_idle:
            return
        for state in self.engines.values():
            if state.load > 1 and self.now - state.quiet_since >= RECALL_AFTER_S:
                self._recall_share(state, n_idle)

    def _recall_share(self, state: EngineState, n_idle: int) -> None:
        """Ask *state* for so much of what stands behind its running job that all have the same."""
        behind = [job for job in list(state.held.values())[1:] if job.targets is None]
        n_share = -(-len(behind) * n_idle // (n_idle + 1))
        if n_share:
            attempts = [(job.msg_id, job.attempt) for job in behind[-n_share:]]
            self._out.append(Recall(state.engine, attempts))
        state.stuck = True
        state.quiet_since = self.now  # to be asked again only after another while
        self._placement.note_room(state)

    # ------------------------------------------------------------ engines come and go

    def _on_suspected(self, event: EngineSuspected) -> None:
        state = self.engines.get(event.engine)
        if state is None or state.suspect == event.suspect:
            return
        state.suspect = event.suspect
        if state.suspect and state.held:
            self._out.append(Recall(event.engine, _attempts(state)))
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
            self._out.append(Recall(event.engine, _attempts(state)))
        for job in _oldest_first(state.held.values()):
            self._strand(job, event)
        for job in homeless:
            self._ready(job)

    def _strand(self, job: Job, event: EngineLost) -> None:
        if event.started is not None and job.serial > event.started:
            self._put_back(job)
        elif job.retries_left and not job.aborting:
            self._retry(job)
        else:
            self._fail(job, "lost", refusals.engine_lost(event.reason))

    # ------------------------------------------------------------ time

    def _on_time(self, now: float) -> None:
        self.now = now
        if self._deadlines and self._deadlines[0][0] <= now:
            self._on_deadline(now)
        due = now - self._rebalanced_at >= RECALL_AFTER_S
        if due and self.hwm != 1 and not self._placement.has_open_work():
            self._rebalance()

    def _on_deadline(self, now: float) -> None:
        while self._deadlines and self._deadlines[0][0] <= now:
            _, number, msg_id = heapq.heappop(self._deadlines)
            job = self.jobs.get(msg_id)
            if job is not None and job.number == number and job.state is not JobState.ASSIGNED:
                self.job_timeout(job)
        self._placement.forget_ended()

    def next_deadline(self) -> float | None:
        """When `TimePassed` must come at the latest; None if there is nothing to wait for."""
        return self._deadlines[0][0] if self._deadlines else None

    # ------------------------------------------------------------ looking in

    def snapshot(self) -> Snapshot:
        """Return what the scheduler holds, in numbers; O(jobs)."""
        states = [job.state for job in self.jobs.values()]
        return Snapshot(
            waiting=states.count(JobState.WAITING),
            ready=states.count(JobState.READY),
            assigned=states.count(JobState.ASSIGNED),
            loads={engine: state.load for engine, state in self.engines.items()},
        )

    def check(self) -> None:
        """Assert every invariant; O(everything)."""
        self._placement.check()
        self._graph.check()
        held = {msg_id: state for state in self.engines.values() for msg_id in state.held}
        for msg_id, job in self.jobs.items():
            assert job.state is not JobState.DONE
            assert (job.state is JobState.ASSIGNED) == (msg_id in held)
            assert (job.state is JobState.WAITING) == bool(job.waits)
            assert msg_id not in self.endings
        assert all(self.jobs[m].engine == state.engine for m, state in held.items())


def _attempts(state: EngineState) -> list[tuple[MsgId, int]]:
    return [(job.msg_id, job.attempt) for job in state.held.values()]


def _oldest_first(jobs: Iterable[Job]) -> list[Job]:
    """Return *jobs* in the order of their submission; an engine may hold them in another."""
    return sorted(jobs, key=lambda job: job.number)
