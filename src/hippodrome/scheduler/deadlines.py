"""When tasks must have been assigned."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

from hippodrome.protocol.messages import MsgId
from hippodrome.scheduler.job import Job
from hippodrome.scheduler.jobs import Jobs


class Deadlines:
    """The deadlines of *jobs*, the earliest first; some may be of jobs that have got an engine."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._heap: list[tuple[float, int, list[MsgId]]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, job: Job, now: float) -> None:
        """Let *job*, which has come *now*, wait only for as long as it may, if there is a limit."""
        if not job.options.timeout_s:
            return
        job.deadline = now + job.options.timeout_s
        heapq.heappush(self._heap, (job.deadline, job.number, job.msg_ids))
        if len(self._heap) > 64 + 2 * len(self._jobs):
            # Long deadlines of tasks that have ended; so rarely that it costs O(1) per task.
            is_here = self._jobs.__contains__
            self._heap = [entry for entry in self._heap if any(map(is_here, entry[2]))]
            heapq.heapify(self._heap)

    def next(self) -> float:
        """When a task has waited for too long; infinity if there is nothing to wait for."""
        return self._heap[0][0] if self._heap else math.inf

    def take_late(self, now: float) -> Iterator[Job]:
        """Yield the jobs whose deadline has passed and that no engine has got."""
        while self._heap and self._heap[0][0] <= now:
            deadline, _, msg_ids = heapq.heappop(self._heap)
            for job in self._jobs.of(msg_ids):
                if job.deadline == deadline and job.engine is None:
                    yield job
