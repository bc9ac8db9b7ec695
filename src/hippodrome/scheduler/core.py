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

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from msgspec import structs

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Digest, EngineId, MsgId
from hippodrome.scheduler import refusals
from hippodrome.scheduler.dependency import Endings, TaskEnd
from hippodrome.scheduler.dispatch import Dispatcher
from hippodrome.scheduler.events import (
    AbortAsked,
    Action,
    AttemptsDropped,
    AttemptsEnded,
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
from hippodrome.scheduler.job import DEFAULTS, READY, Assigned, Blocked, Job, Ready
from hippodrome.scheduler.jobs import Ended, Jobs
from hippodrome.scheduler.ledger import Ledger, failed
from hippodrome.scheduler.outcomes import as_result, as_results
from hippodrome.scheduler.recalls import attempts_of
from hippodrome.scheduler.room import AUTO, RECALL_AFTER_S, EngineState

# Refusals that clients are told of if no other engine can run a task.
_REASONS: Final = frozenset({"VersionMismatch", "ModuleNotFoundError"})
_WHY_CHARS: Final = 1000  # of what is kept of others, for as long as the task is not done


@dataclass(frozen=True, slots=True)
class SchedulerSnapshot:
    """The numbers that sum up the scheduler."""

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
        self._out: list[Action] = []
        self._ledger = Ledger(scheme, is_elsewhere, self._out)
        self.jobs: Jobs = self._ledger.jobs
        self.endings: Endings = self._ledger.endings
        self._dispatch = Dispatcher(
            scheme, hwm, rng or random.Random(), serials or Serials(), self._ledger, self._out
        )
        self._placement = self._dispatch.placement
        self._submitted = 0
        self._handlers: dict[type[Event], Callable[[Any], None]] = {  # Any: events of that type
            TasksSubmitted: self._on_submitted,
            AttemptsEnded: self._on_ended,
            AttemptsDropped: self._on_dropped,
            TimePassed: self._on_time,
            EndedElsewhere: self._on_ended_elsewhere,
            AbortAsked: self._on_abort,
            EngineJoined: self._on_joined,
            EngineOccupied: self._on_occupied,
            EngineSuspected: self._on_suspected,
            EngineLost: self.handle_stranded_tasks,
        }

    @property
    def engines(self) -> dict[EngineId, EngineState]:
        """The engines that are members, with what they hold."""
        return self._placement.engines

    def handle(self, event: Event) -> list[Action]:
        """Take note of *event* and return what is to be done, in order."""
        handler = self._handlers.get(type(event))
        if handler is None:
            raise TypeError(f"the task scheduler has no use for {event!r}")
        handler(event)
        self._settle()
        out = self._out.copy()
        self._out.clear()
        return out

    def _settle(self) -> None:
        """Follow the consequences of what has ended; a loop, as chains may be very long."""
        news = self._ledger.news
        self._dispatch.find_engines()
        while news:
            self._ledger.update_graph(*news.popleft())
            self._dispatch.find_engines()

    def _on_submitted(self, event: TasksSubmitted) -> None:
        self._dispatch.note_time(event.now)
        for task, buffers in zip(event.tasks, event.buffers, strict=True):
            job = Job.of(event.client, task, buffers, self._submitted)
            self._submitted += len(job.msg_ids)
            self.jobs.register(job)
            if job.options is DEFAULTS:
                job.move(READY)
                self._placement.enter(job)
                continue
            self._ledger.add_job(job, self._dispatch.now)
            self._dispatch.find_engines()
        self._dispatch.fill_from(self._placement.open)

    def knows_none_of(self, msg_ids: Collection[MsgId]) -> bool:
        """Tell whether none of *msg_ids* names a task that is here, or ended lately."""
        return self._ledger.knows_none_of(msg_ids)

    def _on_ended(self, event: AttemptsEnded) -> None:
        state = self.engines.get(event.engine)
        if state is None:
            return
        self._dispatch.note_time(event.now)
        current: list[Ended] = []
        for outcome, buffers in zip(event.outcomes, event.buffers, strict=True):
            self.jobs.end(state, outcome, buffers, current)
        if not current:
            return
        state.progress(self._dispatch.now)
        attempts = [_run_time(ended) for ended in current]
        self._dispatch.learn(state, attempts)
        # The engine is offered to what these outcomes set free only together with what has
        # waited for it longer; that is why its room is noted last.
        for ended in current:
            self.handle_result(*ended)
        self._settle()
        self._dispatch.fill(state)

    def handle_result(
        self,
        job: Job,
        place: Assigned,
        outcome: m.Outcome | m.OutcomeBundle,
        buffers: tuple[Buffer, ...],
    ) -> None:
        """The current attempt of *job* ended at its place: deliver that, or try again."""
        engine = place.engine
        if isinstance(outcome, m.OutcomeBundle):
            self._ledger.finish_job(job, as_results(outcome, engine))
        elif outcome.status == "unmet":
            why = outcome.failure
            if why is not None and why.ename in _REASONS:
                job.failed = structs.replace(as_result(outcome, "error", engine), n_buffers=0)
            job.refusal = "" if why is None else why.evalue[:_WHY_CHARS]
            self.handle_unmet_dependency(job, place)
        elif outcome.status == "error" and job.retries_left and not place.aborting:
            result = as_result(outcome, "error", engine)
            self._retry(job, place, structs.replace(result, n_buffers=0))
        else:
            self._ledger.finish_job(job, as_result(outcome, outcome.status, engine), buffers)

    def handle_unmet_dependency(self, job: Job, place: Assigned) -> None:
        """The engine cannot run *job*: try the others, fail when none is left."""
        job.refused |= {place.engine}
        self._put_back(job, place)

    def _retry(self, job: Job, place: Assigned, failed: m.Result) -> None:
        """Try *job* once more; how it failed is remembered in case that there is no way to."""
        job.retries_left -= 1
        job.failed = failed
        job.tried |= {place.engine}
        self._put_back(job, place)

    def _put_back(self, job: Job, place: Assigned) -> None:
        """Make *job* ready again; its number gives it its old place in line."""
        if place.aborting:
            self._ledger.fail(job, "aborted", refusals.ABORTED)
            return
        job.move(READY)
        self._dispatch.find_engine(job)

    def _on_ended_elsewhere(self, event: EndedElsewhere) -> None:
        self._ledger.end([event.msg_id], TaskEnd(event.ok, event.engine))

    def _on_abort(self, event: AbortAsked) -> None:
        if event.msg_ids is None:
            named = [id_ for id_, job in self.jobs.items() if job.client == event.client]
        else:
            named = event.msg_ids
        at_once: dict[EngineId, list[Job]] = {}  # or one ends, and the next one begins meanwhile
        for job, chosen in self.jobs.of(named).items():
            if job.engine is None:
                self._ledger.fail(self.jobs.take_out(job, chosen), "aborted", refusals.ABORTED)
                continue
            state = self.engines[job.engine]
            for piece in self.jobs.single_out(state, job, chosen):
                state.held[piece].aborting = True
                at_once.setdefault(state.engine, []).append(piece)
        for engine, pieces in at_once.items():
            self._out.append(Recall(engine, attempts_of(pieces), event.interrupt))
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
            state.recall_after_s = RECALL_AFTER_S  # it answers
            self._put_back(job, state.release(job))
        self._dispatch.fill(state)

    def _on_joined(self, event: EngineJoined) -> None:
        if event.engine not in self.engines:
            self._dispatch.fill(self._placement.join(event.engine, self._dispatch.now))

    def _on_occupied(self, event: EngineOccupied) -> None:
        state = self.engines.get(event.engine)
        if state is not None:
            self._dispatch.occupy(state, event.n, first=event.first)

    def _on_suspected(self, event: EngineSuspected) -> None:
        state = self.engines.get(event.engine)
        if state is None or state.suspect == event.suspect:
            return
        state.suspect = event.suspect
        if state.suspect and state.held:
            self._out.append(Recall(event.engine, attempts_of(state.held)))
        self._dispatch.fill(state)

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
            self._strand(job, state, event)
        for job in homeless:
            self._dispatch.find_engine(job)

    def _strand(self, job: Job, state: EngineState, event: EngineLost) -> None:
        place, n_begun = state.held[job], len(job.msg_ids)
        if event.started is not None:
            n_begun = min(n_begun, event.started - place.serial + 1)
        if 0 < n_begun < len(job.msg_ids):
            begun, _ = state.split(job, n_begun)
            self.jobs.register(begun)
            self._strand_begun(begun, place, event)
        elif n_begun > 0:
            self._strand_begun(job, place, event)
            return
        self._put_back(job, place)

    def _strand_begun(self, job: Job, place: Assigned, event: EngineLost) -> None:
        lost = failed(job, "lost", refusals.engine_lost(event.reason))
        if job.retries_left and not place.aborting:
            self._retry(job, place, lost)
        else:
            self._ledger.end_all(job, lost)

    def _on_time(self, event: TimePassed) -> None:
        self._dispatch.now = event.now
        deadlines = self._ledger.deadlines
        if deadlines.next() <= event.now:
            for job in deadlines.take_late(event.now):
                self._ledger.job_timeout(job)
            self._placement.forget_ended()
        self._dispatch.look()

    def next_look(self) -> float:
        """When `TimePassed` must come at the latest."""
        return min(self._dispatch.looks.at, self._ledger.deadlines.next())

    def snapshot(self) -> SchedulerSnapshot:
        """Return what the scheduler holds, in numbers; O(jobs)."""
        kinds = Counter(type(job.state) for job in self.jobs.values())  # an entry for each task
        loads = {engine: state.load for engine, state in self.engines.items()}
        return SchedulerSnapshot(kinds[Blocked], kinds[Ready], kinds[Assigned], loads)

    def __repr__(self) -> str:
        now = self.snapshot()
        counts = f"{now.waiting} tasks wait, {now.ready} are ready, {now.assigned} assigned"
        return f"<TaskScheduler {self.scheme}: {counts}, {len(now.loads)} engines>"

    def check(self) -> None:
        """Assert every invariant; O(everything)."""
        self._ledger.check()
        self._placement.check()
        held = {msg_id: state for state in self.engines.values() for msg_id in state.msg_ids}
        for msg_id, job in self.jobs.items():
            assert isinstance(job.state, Assigned) == (msg_id in held)


def _run_time(ended: Ended) -> tuple[Digest, float, int]:
    """Return the function of a job that ended, seconds that it ran, and in how many attempts."""
    job, _, outcome, _ = ended
    if isinstance(outcome, m.OutcomeBundle):
        return job.function, sum(outcome.run_s), len(outcome.run_s)
    return job.function, outcome.run_s, 1


def _oldest_first(jobs: Iterable[Job]) -> list[Job]:
    """Return *jobs* in the order of their submission; an engine may hold them in another."""
    return sorted(jobs, key=lambda job: job.number)
