"""All unfinished jobs, found by their tasks."""

from __future__ import annotations

from collections.abc import Container, Iterable

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import MsgId
from hippodrome.scheduler.job import Assigned, Job
from hippodrome.scheduler.outcomes import one_by_one
from hippodrome.scheduler.room import EngineState

Ended = tuple[Job, Assigned, m.Outcome | m.OutcomeBundle, tuple[Buffer, ...]]


class Jobs(dict[MsgId, Job]):
    """The job of each unfinished task; one job may stand under many ids."""

    def register(self, job: Job) -> None:
        """Let all tasks of *job* lead to it."""
        if len(job.msg_ids) == 1:
            self[job.msg_ids[0]] = job
        else:
            self.update(dict.fromkeys(job.msg_ids, job))

    def forget(self, job: Job) -> None:
        """All tasks of *job* have ended."""
        for msg_id in job.msg_ids:
            del self[msg_id]

    def of(self, msg_ids: Iterable[MsgId]) -> dict[Job, set[MsgId]]:
        """Return the jobs of those of *msg_ids* that are unfinished, each with these tasks."""
        found: dict[Job, set[MsgId]] = {}
        for msg_id in msg_ids:
            job = self.get(msg_id)
            if job is not None:
                found.setdefault(job, set()).add(msg_id)
        return found

    def held(self, state: EngineState, msg_id: MsgId, attempt: int) -> Job | None:
        """Return the job of a task whose current attempt is this one, with this engine."""
        job = self.get(msg_id)
        if job is None or job not in state.held or job.attempt != attempt:
            return None
        return job

    def end(
        self,
        state: EngineState,
        outcome: m.Outcome | m.OutcomeBundle,
        buffers: tuple[Buffer, ...],
        into: list[Ended],
    ) -> None:
        """Let an engine go of the tasks whose current attempts ended so, and note them *into*."""
        if isinstance(outcome, m.Outcome):
            job = self.held(state, outcome.msg_id, outcome.attempt)
            if job is not None:
                if len(job.msg_ids) > 1:
                    job = self.single_out(state, job, {outcome.msg_id})[0]
                into.append((job, state.release(job), outcome, buffers))
            return
        msg_ids = outcome.msg_ids
        job = self.held(state, msg_ids[0], outcome.attempt)
        if job is not None and not job.buffers and job.msg_ids[: len(msg_ids)] == msg_ids:
            into.append((*state.release_first(job, len(msg_ids)), outcome, ()))
        else:  # not what was sent: some may have been dropped or given up meanwhile
            for single in one_by_one(outcome):
                self.end(state, single, (), into)

    def single_out(self, state: EngineState, job: Job, chosen: Container[MsgId]) -> list[Job]:
        """Split a job that an engine holds; return the pieces whose tasks are *chosen*."""
        if len(job.msg_ids) == 1:
            return [job]
        pieces = state.cut(job, chosen)
        for _, piece in pieces[:-1]:
            self.register(piece)
        return [piece for chose, piece in pieces if chose]

    def take_out(self, job: Job, chosen: set[MsgId]) -> Job:
        """Take the *chosen* tasks out of a job that no engine holds; the rest stays there."""
        if len(chosen) == len(job.msg_ids):
            return job
        taken = job.take_out(chosen)
        self.register(taken)
        return taken

    def check(self) -> None:
        """Assert that each job stands under its tasks, and no other."""
        for msg_id, job in self.items():
            assert msg_id in job.msg_ids
            assert len(job.msg_ids) == len(job.payloads)
        for job in dict.fromkeys(self.values()):
            assert all(self.get(msg_id) is job for msg_id in job.msg_ids)
