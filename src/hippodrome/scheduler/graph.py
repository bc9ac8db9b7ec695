"""Who waits for whom: jobs whose dependencies have not ended, found by what they wait for."""

from __future__ import annotations

from hippodrome.protocol.messages import Dependencies, MsgId
from hippodrome.scheduler.dependency import Endings, Prospect, TaskEnd, on_ending, prospect
from hippodrome.scheduler.job import Job, JobState, Wait


class Graph:
    """The edges from unfinished tasks to the jobs that wait for them; O(1) work per edge.

    Attributes:
        dependents: of each task that somebody waits for, who.
    """

    def __init__(self, endings: Endings) -> None:
        self._endings = endings
        self.dependents: dict[MsgId, list[Job]] = {}

    def add(self, job: Job) -> Prospect:
        """Judge what *job* depends on, and keep it if it has to wait."""
        for dependencies in (job.options.after, job.options.follow):
            outlook = prospect(dependencies, self._endings)
            if outlook is Prospect.UNREACHABLE:
                job.waits = []
                return outlook
            if outlook is Prospect.OPEN:
                assert dependencies is not None
                self._wait_for(job, dependencies)
        return Prospect.OPEN if job.waits else Prospect.MET

    def _wait_for(self, job: Job, dependencies: Dependencies) -> None:
        unfinished = {msg_id for msg_id in dependencies.msg_ids if msg_id not in self._endings}
        job.waits.append(Wait(dependencies, unfinished))
        for msg_id in unfinished:
            dependents = self.dependents.setdefault(msg_id, [])
            if not dependents or dependents[-1] is not job:
                dependents.append(job)

    def end(self, msg_id: MsgId, ending: TaskEnd) -> list[tuple[Job, Prospect]]:
        """Return the jobs that the end of *msg_id* decides, in the order they came."""
        decided: list[tuple[Job, Prospect]] = []
        for job in self.dependents.pop(msg_id, ()):
            if job.state is JobState.WAITING:  # not aborted or timed out since
                outlook = _advance(job, msg_id, ending)
                if outlook is not Prospect.OPEN:
                    decided.append((job, outlook))
        return decided

    def check(self) -> None:
        """Assert that nobody waits for what has ended."""
        assert not any(msg_id in self._endings for msg_id in self.dependents)


def _advance(job: Job, msg_id: MsgId, ending: TaskEnd) -> Prospect:
    """Note in *job* that one of its dependencies ended."""
    still: list[Wait] = []
    for wait in job.waits:
        if msg_id not in wait.unfinished:
            still.append(wait)
            continue
        wait.unfinished.discard(msg_id)
        outlook = on_ending(wait.dependencies, ending, len(wait.unfinished))
        if outlook is Prospect.UNREACHABLE:
            job.waits = []
            return outlook
        if outlook is Prospect.OPEN:
            still.append(wait)
    job.waits = still
    return Prospect.OPEN if still else Prospect.MET
