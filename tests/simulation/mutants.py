"""Fifteen defects, planted one at a time: does the simulator find them?

Each is a mistake that a system of this kind has really made, translated to our cores. They are
planted by replacing methods while a `with` block lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from hippodrome.client.link.outstanding import OutstandingTasks
from hippodrome.engine.core import EngineCore
from hippodrome.hub.core import HubCore
from hippodrome.hub.registry import EngineStatus
from hippodrome.node.core import NodeCore
from hippodrome.protocol import messages as m
from hippodrome.protocol.bundles import ids_of
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.silence import ListeningClock, News
from hippodrome.scheduler.core import TaskScheduler
from hippodrome.scheduler.dependency import TaskEnd
from hippodrome.scheduler.events import (
    AttemptsEnded,
    EngineLost,
    EngineSuspected,
    TasksSubmitted,
    TimePassed,
)
from hippodrome.scheduler.hubdesk import HubDesk
from hippodrome.scheduler.job import DEFAULTS, Job
from hippodrome.scheduler.lanes import Lane
from hippodrome.scheduler.ledger import Ledger
from hippodrome.scheduler.outcomes import one_by_one

Mutant = Callable[[], Any]
MUTANTS: dict[str, Mutant] = {}


def singles(event: AttemptsEnded) -> Iterator[tuple[m.Outcome, tuple[Buffer, ...]]]:
    for outcome, owned in zip(event.outcomes, event.buffers, strict=True):
        for one in one_by_one(outcome):
            yield one, owned


def mutant(plant: Callable[[], Iterator[None]]) -> Mutant:
    planted = contextmanager(plant)
    MUTANTS[plant.__name__] = planted
    return planted


@mutant
def load_lowered_before_the_reply_is_validated() -> Iterator[None]:
    original = TaskScheduler._on_ended

    def on_ended(self: TaskScheduler, event: AttemptsEnded) -> None:
        valid, buffers = [], []
        for outcome, owned in singles(event):
            job = self.jobs.get(outcome.msg_id)
            if job is not None and job.engine is not None:
                current = job.engine == event.engine and job.attempt == outcome.attempt
                if not current:
                    self.engines[job.engine].held.pop(job, None)
                    continue
            valid.append(outcome)
            buffers.append(owned)
        original(self, AttemptsEnded(event.engine, valid, buffers))

    with patch.object(TaskScheduler, "_on_ended", on_ended):
        yield


@mutant
def reply_relayed_before_its_attempt_is_checked() -> Iterator[None]:
    original = TaskScheduler._on_ended

    def on_ended(self: TaskScheduler, event: AttemptsEnded) -> None:
        outcomes, buffers = [], []
        for outcome, owned in singles(event):
            job = self.jobs.get(outcome.msg_id)
            stale = job is None or (job.engine, job.attempt) != (event.engine, outcome.attempt)
            if job is not None and stale and job.engine is not None:
                state = self.engines[job.engine]
                job = self.jobs.single_out(state, job, {outcome.msg_id})[0]
                self.handle_result(job, state.release(job), outcome, owned)
            else:
                outcomes.append(outcome)
                buffers.append(owned)
        original(self, AttemptsEnded(event.engine, outcomes, buffers))

    with patch.object(TaskScheduler, "_on_ended", on_ended):
        yield


@mutant
def put_back_reverses_the_queue() -> Iterator[None]:
    def push(self: Lane, job: Job) -> None:
        if not self._line or job.number > self._line[-1].number:
            self._line.append(job)
        else:
            self._line.appendleft(job)
        self.n_tasks += len(job.msg_ids)

    with patch.object(Lane, "push", push):
        yield


@mutant
def suspected_engine_never_used_again() -> Iterator[None]:
    original = TaskScheduler._on_suspected

    def on_suspected(self: TaskScheduler, event: EngineSuspected) -> None:
        if event.suspect:
            original(self, event)

    with patch.object(TaskScheduler, "_on_suspected", on_suspected):
        yield


@mutant
def calls_by_name_are_in_another_book() -> Iterator[None]:
    with patch.object(TaskScheduler, "_on_occupied", lambda self, event: None):
        yield


@mutant
def lost_engine_strands_direct_tasks_only() -> Iterator[None]:
    original = TaskScheduler.handle_stranded_tasks

    def handle_stranded_tasks(self: TaskScheduler, event: EngineLost) -> None:
        state = self.engines.get(event.engine)
        if state is not None:
            for job in [job for job in state.held if job.options is DEFAULTS]:
                state.release(job)
        original(self, event)

    with patch.object(TaskScheduler, "handle_stranded_tasks", handle_stranded_tasks):
        yield


@mutant
def entry_left_behind_for_unreachable_tasks() -> Iterator[None]:
    submitted, close = TaskScheduler._on_submitted, Ledger._close

    def on_submitted(self: TaskScheduler, event: TasksSubmitted) -> None:
        retries = vars(self._ledger).setdefault("retries", {})
        for task in event.tasks:
            asked = task.options.retries if task.options else 0
            retries.update(dict.fromkeys(ids_of(task), asked))
        submitted(self, event)

    def end(self: Ledger, job: Job, ending: TaskEnd) -> None:
        if job.engine is not None or not job.options.after:
            for msg_id in job.msg_ids:
                vars(self)["retries"].pop(msg_id)
        close(self, job, ending)

    with (
        patch.object(TaskScheduler, "_on_submitted", on_submitted),
        patch.object(Ledger, "_close", end),
    ):
        yield


@mutant
def old_record_consulted_after_a_rejoin() -> Iterator[None]:
    """Serial numbers begin anew for an engine that remembers those of its first membership."""
    original = HubDesk._on_joined

    def on_joined(self: HubDesk, info: m.EngineInfo) -> None:
        self.cores.tasks._dispatch._serials._last.pop(info.engine, None)
        original(self, info)

    with patch.object(HubDesk, "_on_joined", on_joined):
        yield


@mutant
def error_reply_built_from_the_wrong_item() -> Iterator[None]:
    def fail(self: Ledger, job: Job, status: str, failure: m.Failure) -> None:
        wrong = next(reversed(self.jobs))  # the one that came last
        self.finish_job(job, m.Result(wrong, status, job.engine, job.attempt, failure=failure))

    with patch.object(Ledger, "fail", fail):
        yield


@mutant
def outcomes_sent_by_timer_only() -> Iterator[None]:
    original = EngineCore.flush

    def flush(self: EngineCore) -> Any:
        self.n_flushes = getattr(self, "n_flushes", 0) + 1  # type: ignore[attr-defined]
        return original(self) if self.n_flushes % 4 == 0 else []  # type: ignore[attr-defined]

    with patch.object(EngineCore, "flush", flush):
        yield


@mutant
def returning_engine_refused() -> Iterator[None]:
    def on_pulses(self: HubCore, node: m.PeerId, pulses: list[m.Pulse]) -> None:
        self._on_heard(node)
        for pulse in pulses:
            engine = self.registry.with_uuid(pulse.uuid)
            if engine is not None and engine.status is EngineStatus.LOST:
                engine.status = EngineStatus.LEFT  # "this uuid is taken"

    with patch.object(HubCore, "_on_pulses", on_pulses):
        yield


@mutant
def time_asleep_counts_as_silence() -> Iterator[None]:
    def tick(self: ListeningClock, now: float) -> float:
        self.time += now - (self._ticked or now)
        self._ticked = now
        return self.time

    with patch.object(ListeningClock, "tick", tick):
        yield


@mutant
def late_reconnect_taken_for_a_controller_that_never_answered() -> Iterator[None]:
    original = NodeCore._watch_controller

    def watch(self: NodeCore, news: News, now: float) -> Any:
        self._was_welcomed = self.link.is_open
        return original(self, news, now)

    with patch.object(NodeCore, "_watch_controller", watch):
        yield


@mutant
def future_not_set_when_decoding_fails() -> Iterator[None]:
    with patch.object(OutstandingTasks, "_on_damaged", lambda self, results, why: []):
        yield


@mutant
def duration_compared_with_a_time() -> Iterator[None]:
    original = TaskScheduler._on_time

    def on_time(self: TaskScheduler, event: TimePassed) -> None:
        for job in self.jobs.values():
            if job.deadline is not None and job.options.timeout_s is not None:
                job.deadline = job.options.timeout_s
        deadlines = self._ledger.deadlines
        deadlines._heap = [
            (self.jobs[msg_ids[0]].deadline or at, number, msg_ids)
            for at, number, msg_ids in deadlines._heap
            if msg_ids[0] in self.jobs
        ]
        original(self, event)

    with patch.object(TaskScheduler, "_on_time", on_time):
        yield
