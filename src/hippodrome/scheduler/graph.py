"""Who waits for whom: jobs whose dependencies have not ended, found by what they wait for."""

from __future__ import annotations

from collections.abc import Sequence

from hippodrome.protocol.messages import MsgId
from hippodrome.scheduler.dependency import Endings, Prospect, TaskEnd, on_ending, prospect
from hippodrome.scheduler.job import Blocked, Job, Wait


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
        waits: list[Wait] = []
        for dependencies in (job.options.after, job.options.follow):
            outlook = prospect(dependencies, self._endings)
            if outlook is Prospect.UNREACHABLE:
                return outlook
            if outlook is Prospect.OPEN and dependencies is not None:
                unfinished = {id_ for id_ in dependencies.msg_ids if id_ not in self._endings}
                waits.append(Wait(dependencies, unfinished))
        for wait in waits:
            for msg_id in wait.unfinished:
                dependents = self.dependents.setdefault(msg_id, [])
                if not dependents or dependents[-1] is not job:
                    dependents.append(job)
        job.state = Blocked(waits)
        return Prospect.OPEN if waits else Prospect.MET

    def end(self, msg_id: MsgId, ending: TaskEnd) -> list[tuple[Job, Prospect]]:
        """Return the jobs that the end of *msg_id* decides, in the order they came."""
        decided: list[tuple[Job, Prospect]] = []
        for job in self.dependents.pop(msg_id, ()):
            if isinstance(job.state, Blocked):  # not aborted or timed out since
                outlook = _advance(job, job.state.waits, msg_id, ending)
                if outlook is not Prospect.OPEN:
                    decided.append((job, outlook))
        return decided

    def check(self) -> None:
        """Assert that nobody waits for what has ended."""
        assert not any(msg_id in self._endings for msg_id in self.dependents)


def _advance(job: Job, waits: Sequence[Wait], msg_id: MsgId, ending: TaskEnd) -> Prospect:
    """Note in *job* that one of its dependencies ended."""
    still: list[Wait] = []
    for wait in waits:
        if msg_id not in wait.unfinished:
            still.append(wait)
            continue
        wait.unfinished.discard(msg_id)
        outlook = on_ending(wait.dependencies, ending, len(wait.unfinished))
        if outlook is Prospect.UNREACHABLE:
            return outlook
        if outlook is Prospect.OPEN:
            still.append(wait)
    job.state = Blocked(still)
    return Prospect.OPEN if still else Prospect.MET
