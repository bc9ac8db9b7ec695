"""Jobs that are ready, in lanes: those of one lane may run on the same engines.

A lane is first in, first out, also after a put-back: a job that returns takes the place that its
number gives it. Most clusters only ever use the open lane, whose jobs may run anywhere.

A job that ends in line (aborted, timed out) is not looked for there: it stays until it is the head,
and `head` drops what is not ready any more. That is safe, as a job that an engine got was taken out
of its line, one that is done stays so, and a put-back makes a new entry.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator

from hippodrome.protocol.messages import EngineId, MsgId
from hippodrome.scheduler.job import READY, Job

LaneKey = tuple[frozenset[EngineId] | None, frozenset[EngineId]]
OPEN: LaneKey = (None, frozenset())


class Lane:
    """Ready jobs that may run on the same engines.

    Attributes:
        key: engines that the jobs named (None: any), and engines that they must not use.
        engines: those of them that are here; for the open lane None, as it is all of them.
        n_tasks: how many tasks stand here, or more: some may have ended in line.
    """

    def __init__(self, key: LaneKey, engines: set[EngineId] | None) -> None:
        self.key = key
        self.engines = engines
        self.n_tasks: int = 0
        self._line: deque[Job] = deque()
        self._returned: list[tuple[int, MsgId, Job]] = []

    def push(self, job: Job) -> None:
        """Add *job* where its number belongs; O(1) at the end, O(log n) elsewhere."""
        self.n_tasks += len(job.msg_ids)
        if not self._line or job.number > self._line[-1].number:
            self._line.append(job)
        else:
            heapq.heappush(self._returned, _entry(job))

    def head(self) -> Job | None:
        """Return the job that is next, or None."""
        line, returned = self._line, self._returned
        # Jobs that ended while they stood in line (aborted, timed out) are dropped here.
        while line and line[0].state is not READY:
            line.popleft()
        while returned and returned[0][2].state is not READY:
            heapq.heappop(returned)
        if returned and not (line and line[0].number < returned[0][0]):
            return returned[0][2]
        if line:
            return line[0]
        self.n_tasks = 0
        return None

    def take(self, head: Job, n: float = math.inf) -> Job:
        """Remove `head`, or its first *n* tasks, and return what was removed."""
        has_returned = bool(self._returned) and self._returned[0][2] is head
        if len(head.msg_ids) > n:
            job = head.split(int(n))
            if has_returned:
                heapq.heapreplace(self._returned, _entry(head))
        else:
            job = head
            if has_returned:
                heapq.heappop(self._returned)
            else:
                self._line.popleft()
        self.n_tasks -= len(job.msg_ids)
        return job

    def drain(self) -> Iterator[Job]:
        """Remove and yield all jobs in order."""
        while (head := self.head()) is not None:
            yield self.take(head)

    def admits(self, engine: EngineId) -> bool:
        """Tell whether jobs of this lane may use *engine*."""
        targets, excluded = self.key
        return (targets is None or engine in targets) and engine not in excluded

    def __repr__(self) -> str:
        return f"<Lane {self.key}, head {self.head()}>"


def _entry(job: Job) -> tuple[int, MsgId, Job]:
    return job.number, job.msg_ids[0], job  # jobs themselves cannot be compared


class LaneLine:
    """The restricted lanes that one engine may serve, the one with the oldest head first.

    Entries are only ever too low (a head leaves, the next one has a higher number) except after
    a put-back, which adds an entry; so the top is either true or is corrected on sight.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Lane]] = []

    def __bool__(self) -> bool:
        return bool(self._heap)

    def note(self, lane: Lane) -> None:
        """*lane* has a new, possibly lower, head."""
        head = lane.head()
        if head is not None:
            heapq.heappush(self._heap, (head.number, id(lane), lane))

    def best(self) -> Lane | None:
        """Return the lane whose head is oldest, or None if none of them has a job."""
        heap = self._heap
        while heap:
            number, _, lane = heap[0]
            head = lane.head()
            if head is None:
                heapq.heappop(heap)
            elif head.number != number:
                heapq.heapreplace(heap, (head.number, id(lane), lane))
            else:
                return lane
        return None
