"""The jobs of one engine set, and what is to be done about them. Pure: events in, answers out.

Three sources tell of a job, and none is believed alone: the batch system, whenever it is asked;
the file that the job itself writes; and the clock. A job that has ended without any engine having
been ready is a failed start.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hippodrome.launch.batchsystem import Report
from hippodrome.launch.state import LaunchPhase, LaunchState

ASK_PENDING_S: Final = 2.0
ASK_RUNNING_S: Final = 30.0
MOST_FAILURES: Final = 3
# An answer that does not tell of a job may be older than it.
_MISSING_TIMES: Final = 2

_ACTIVE: Final = (LaunchPhase.PENDING, LaunchPhase.RUNNING, LaunchPhase.UNKNOWN)


@dataclass(slots=True)
class BatchJob:
    """One job.

    Attributes:
        index: which one it is of its set.
        id: the batch system's; empty until it has been submitted.
        phase: how far it is.
        reason: why, as the batch system says it.
        end: when its time is up, in seconds since the epoch; None if nobody knows.
        hosts: where it runs.
        n_ready: how many of its engines have been ready.
        n_engines: how many it has; 0 until it runs.
        exit_code: with which it ended; None if nobody knows.
        said: why it says itself that it failed.
        is_queued: whether the batch system still has it; later than its own word that it has ended.
        engines: the ids of those that are ready, by the part of it that has said so.
        n_missing: how many answers in a row have not told of it.
    """

    index: int
    id: str = ""
    phase: LaunchPhase = LaunchPhase.UNKNOWN
    reason: str = ""
    end: float | None = None
    hosts: str = ""
    n_ready: int = 0
    n_engines: int = 0
    exit_code: int | None = None
    said: str = ""
    is_queued: bool = False
    n_missing: int = 0
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)
    engines: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        """Whether it waits or runs, as far as anybody knows."""
        return bool(self.id) and self.phase in _ACTIVE

    @property
    def is_settled(self) -> bool:
        """Whether all of its engines are ready, or it has ended."""
        is_ready = self.n_engines > 0 and self.n_ready >= self.n_engines
        return is_ready or not self.is_active


class JobSet:
    """The jobs of one set.

    Args:
        n: how many there are.
        hosts_each: how many hosts each has.
        hopeless: reasons for which a job that waits will never run.
    """

    def __init__(
        self, n: int, hosts_each: int = 1, hopeless: re.Pattern[str] = re.compile(r"(?!)")
    ) -> None:
        self.all: list[BatchJob] = [BatchJob(index) for index in range(n)]
        self._hosts_each = hosts_each
        self._hopeless = hopeless
        self._failed: list[BatchJob] = []
        self._n_in_a_row = 0
        self._asked_at = -math.inf
        self._trouble = ""
        self._n_troubles = 0

    @property
    def active(self) -> list[BatchJob]:
        """Those that wait or run."""
        return [job for job in self.all if job.is_active]

    @property
    def queued(self) -> list[BatchJob]:
        """Those that the batch system still has."""
        return [job for job in self.all if job.is_queued]

    @property
    def failed(self) -> list[BatchJob]:
        """Those that have ended without having been of use, in that order."""
        return list(self._failed)

    @property
    def must_stop(self) -> bool:
        """Whether so many have failed one after the other that the others would, too."""
        return self._n_in_a_row >= MOST_FAILURES

    @property
    def hopeless(self) -> list[BatchJob]:
        """Those that wait for what will not come."""
        waiting = [job for job in self.all if job.phase is LaunchPhase.PENDING]
        return [job for job in waiting if self._hopeless.fullmatch(job.reason)]

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return all(job.is_settled for job in self.all)

    @property
    def engine_ids(self) -> tuple[int, ...]:
        """The ids of the engines of jobs that have not ended, as far as they have said them."""
        return tuple(each for job in self.active for ids in job.engines.values() for each in ids)

    @property
    def n_ready(self) -> int:
        """How many engines have been ready, of jobs that have not ended."""
        return sum(job.n_ready for job in self.active)

    @property
    def standing(self) -> tuple[object, ...]:
        """What is another one whenever anything gets on."""
        return tuple((job.phase, job.n_ready, job.n_engines) for job in self.all)

    @property
    def only_waits(self) -> bool:
        """Whether some engines are ready, and all others are of jobs that do not run."""
        are_here = all(job.is_settled for job in self.all if job.phase is LaunchPhase.RUNNING)
        return self.n_ready > 0 and are_here

    def submitted(self, index: int, job_id: str) -> None:
        """A job is in the queue."""
        job = self.all[index]
        job.id, job.phase, job.is_queued = job_id, LaunchPhase.PENDING, True

    def due_in(self, now: float) -> float:
        """Return in how many seconds the batch system is to be asked.

        Args:
            now: the time, on any clock that does not jump.
        """
        if not self.active:
            return math.inf
        is_waiting = any(job.phase is not LaunchPhase.RUNNING for job in self.active)
        period = ASK_PENDING_S if is_waiting else ASK_RUNNING_S
        # who does not answer is asked less and less often
        period = max(period, min(ASK_PENDING_S * (1 + self._n_troubles), ASK_RUNNING_S))
        return max(self._asked_at + period - now, 0.0)

    def asked(self, now: float) -> None:
        """The batch system is being asked."""
        self._asked_at = now

    def answered(self, reports: Mapping[str, Report]) -> None:
        """It has told of jobs; of those that it has not told of, they have left the queue."""
        self._trouble, self._n_troubles = "", 0
        for job in self.queued:
            report = reports.get(job.id)
            job.n_missing = 0 if report is not None else job.n_missing + 1
            if report is not None:
                self._report(job, report)
            elif job.n_missing >= _MISSING_TIMES or not job.is_active:
                job.is_queued = False
                self._end(job, job.reason)

    def silent(self, why: str) -> None:
        """It has not answered, or nothing that could be read."""
        self._trouble, self._n_troubles = why, self._n_troubles + 1

    def progressed(self, index: int, part: str, lines: Iterable[str]) -> None:
        """A job has written how it gets on.

        Args:
            index: which one.
            part: which of its hosts.
            lines: what is new.
        """
        job = self.all[index]
        for line in lines:
            word, _, more = line.strip().partition(" ")
            numbers = [int(number) for number in more.split() if number.isdecimal()]
            if word == "state" and len(numbers) == 3:
                self._count(job, part, numbers[0], numbers[2])
            elif word == "ready":
                job.engines[part] = tuple(numbers)
                self._count(job, part, len(numbers), len(numbers))
            elif word == "failed":
                job.said = job.said or more
            elif word == "exit" and numbers:
                job.exit_code = numbers[0]
                self._end(job, job.reason)

    def state(self) -> LaunchState:
        """Return how far all are."""
        parts: dict[LaunchPhase, int] = {}
        reasons: dict[LaunchPhase, tuple[str, ...]] = {}
        for job in self.all:
            parts[job.phase] = parts.get(job.phase, 0) + 1
            if job.reason and job.reason not in reasons.get(job.phase, ()):
                reasons[job.phase] = (*reasons.get(job.phase, ()), job.reason)
        return LaunchState(parts, "job", reasons, self.n_ready, self._trouble)

    def _report(self, job: BatchJob, report: Report) -> None:
        job.hosts = report.hosts or job.hosts
        job.end = report.end if report.end is not None else job.end
        if report.exit_code is not None:
            job.exit_code = report.exit_code
        if report.phase not in _ACTIVE:
            job.is_queued = False
            self._end(job, report.reason)
        elif job.is_active:
            job.phase, job.reason = report.phase, report.reason

    def _count(self, job: BatchJob, part: str, n_ready: int, n: int) -> None:
        job.parts[part] = (n_ready, n)
        job.n_ready = sum(ready for ready, _ in job.parts.values())
        # as many again on hosts that have not been heard of
        missing = self._hosts_each - len(job.parts)
        job.n_engines = sum(each for _, each in job.parts.values()) + max(missing, 0) * n
        if job.n_ready:
            self._n_in_a_row = 0
        if job.is_active:
            job.phase, job.reason = LaunchPhase.RUNNING, ""

    def _end(self, job: BatchJob, reason: str) -> None:
        if not job.is_active:
            return
        is_failed = job.n_ready == 0
        job.phase = LaunchPhase.FAILED if is_failed else LaunchPhase.ENDED
        job.reason = reason
        if is_failed:
            self._failed.append(job)
            self._n_in_a_row += 1
