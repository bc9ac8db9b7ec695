"""All unfinished jobs, found by their tasks."""

from __future__ import annotations

from collections.abc import Container, Iterable

from hippodrome.protocol.messages import MsgId
from hippodrome.scheduler.job import Job, cut
from hippodrome.scheduler.room import EngineState


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

    def single_out(self, state: EngineState, job: Job, chosen: Container[MsgId]) -> list[Job]:
        """Split a job that an engine holds; return the pieces whose tasks are *chosen*."""
        if len(job.msg_ids) == 1:
            return [job]
        pieces = cut(job, chosen)
        if len(pieces) > 1:
            state.replace(job, [piece for _, piece in pieces])
            for _, piece in pieces:
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
