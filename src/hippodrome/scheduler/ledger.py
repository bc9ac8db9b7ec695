"""All tasks from their submission to their end: what they wait for, and how they ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection

from msgspec import structs

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import MsgId
from hippodrome.scheduler import refusals
from hippodrome.scheduler.deadlines import Deadlines
from hippodrome.scheduler.dependency import Endings, Prospect, TaskEnd, places, ruling_out
from hippodrome.scheduler.events import Action, Deliver
from hippodrome.scheduler.graph import Graph
from hippodrome.scheduler.job import DONE, READY, Blocked, Job
from hippodrome.scheduler.jobs import Jobs
from hippodrome.scheduler.schemes import PURE


class Ledger:
    """Jobs, of which those that may run are left in a line for whoever knows the engines.

    Args:
        scheme: see `TaskScheduler`.
        is_elsewhere: see `TaskScheduler`.
        out: where to put what is to be delivered.

    Attributes:
        ready: jobs that have become ready, in order, until somebody takes them.
        news: tasks that others wait for, and how these have ended, until `update_graph`.
    """

    def __init__(
        self, scheme: str, is_elsewhere: Callable[[MsgId], bool], out: list[Action]
    ) -> None:
        self.jobs: Jobs = Jobs()
        self.endings: Endings = Endings()
        self.deadlines: Deadlines = Deadlines(self.jobs)
        self.ready: deque[Job] = deque()
        self.news: deque[tuple[MsgId, TaskEnd]] = deque()
        self._graph = Graph(self.endings)
        self._scheme = scheme
        self._is_elsewhere = is_elsewhere
        self._out = out

    def knows_none_of(self, msg_ids: Collection[MsgId]) -> bool:
        """Tell whether none of *msg_ids* names a task that is here, or ended lately."""
        if len(msg_ids) == 1:
            (msg_id,) = msg_ids
            return msg_id not in self.jobs and msg_id not in self.endings
        return self.jobs.keys().isdisjoint(msg_ids) and self.endings.has_none_of(msg_ids)

    def add_job(self, job: Job, now: float) -> None:
        """Take a job in: it waits, is ready, or fails at once."""
        refusal = self._refusal(job)
        if refusal is not None:
            self.fail(job, "unreachable", refusal)
            return
        self.deadlines.set(job, now)
        self.save_unmet(job)

    def _refusal(self, job: Job) -> m.Failure | None:
        """Say why *job* cannot be taken, if so."""
        options = job.options
        if self._scheme == PURE and refusals.needs_decisions(options):
            return refusals.PURE_SCHEME
        for dependencies in (options.after, options.follow):
            for msg_id in dependencies.msg_ids if dependencies else ():
                if self.jobs.get(msg_id) is job:
                    return refusals.DEPENDS_ON_ITSELF
                if self.knows_none_of([msg_id]) and not self._is_elsewhere(msg_id):
                    return refusals.unknown_dependency(msg_id)
        return None

    def save_unmet(self, job: Job) -> None:
        """Judge a job's dependencies: let it run, fail it, or keep it until they have ended."""
        self._decide(job, self._graph.add(job))

    def _decide(self, job: Job, outlook: Prospect) -> None:
        if outlook is Prospect.MET:
            self.maybe_run(job)
        elif outlook is Prospect.UNREACHABLE:
            self.fail_unreachable(job)

    def maybe_run(self, job: Job) -> None:
        """The dependencies of *job* are met: it is ready, where it may run."""
        follow = job.options.follow
        if follow is not None and follow.msg_ids:
            here = places(follow, self.endings)
            job.targets = here if job.targets is None else job.targets & here
            if not job.targets:
                self.fail(job, "unreachable", refusals.NOWHERE_TO_FOLLOW)
                return
        job.move(READY)
        self.ready.append(job)

    # ------------------------------------------------------------ ends

    def finish_job(
        self, job: Job, result: m.Result | m.ResultBundle, buffers: tuple[Buffer, ...] = ()
    ) -> None:
        """Deliver how *job* ended on an engine, and let go whatever waited for it."""
        self._out.append(Deliver(job.client, job.function, result, buffers))
        ok = isinstance(result, m.ResultBundle) or result.status == "ok"
        self._close(job, TaskEnd(ok, result.engine))

    def fail_unreachable(self, job: Job) -> None:
        """The dependencies of *job* can no longer be met."""
        after, follow = job.options.after, job.options.follow
        by = ruling_out(after, self.endings) or ruling_out(follow, self.endings)
        self.fail(job, "unreachable", refusals.ruled_out(by))

    def job_timeout(self, job: Job) -> None:
        """*job* was not assigned in time."""
        waiting = isinstance(job.state, Blocked)
        waited_s = job.options.timeout_s or 0.0
        self.give_up(job, "timeout", refusals.timed_out(waited_s, dependencies=waiting))

    def give_up(self, job: Job, status: str, failure: m.Failure) -> None:
        """No engine takes *job*; if it has failed before, that is what its client is told."""
        self.end_all(job, job.failed or failed(job, status, failure))

    def fail(self, job: Job, status: str, failure: m.Failure) -> None:
        """*job* ends without a result."""
        self.end_all(job, failed(job, status, failure))

    def end_all(self, job: Job, result: m.Result) -> None:
        """Deliver the same end to each task of *job*."""
        for msg_id in job.msg_ids:
            one = structs.replace(result, msg_id=msg_id)
            self._out.append(Deliver(job.client, job.function, one))
        self._close(job, TaskEnd(False, result.engine))

    def _close(self, job: Job, ending: TaskEnd) -> None:
        """The outcome of each task of *job* has been delivered."""
        job.move(DONE)
        self.jobs.forget(job)
        self.end(job.msg_ids, ending)

    def end(self, msg_ids: list[MsgId], ending: TaskEnd) -> None:
        """Tasks have ended, here or elsewhere."""
        self.endings.add(msg_ids, ending)
        awaited = self._graph.dependents
        if awaited:
            self.news.extend((msg_id, ending) for msg_id in msg_ids if msg_id in awaited)

    def update_graph(self, dep_id: MsgId, ending: TaskEnd) -> None:
        """A task that others may wait for has ended: run or fail those that it decides."""
        for job, outlook in self._graph.end(dep_id, ending):
            self._decide(job, outlook)

    def check(self) -> None:
        """Assert that jobs are what their states say."""
        self.jobs.check()
        self._graph.check()
        assert not self.ready
        assert not self.news
        for msg_id, job in self.jobs.items():
            assert job.state is not DONE
            assert not isinstance(job.state, Blocked) or job.state.waits
            assert msg_id not in self.endings


def failed(job: Job, status: str, failure: m.Failure) -> m.Result:
    """Return what the client of *job* is told; for a job of many, of its first task."""
    return m.Result(job.msg_ids[0], status, job.engine, job.attempt, failure=failure)
