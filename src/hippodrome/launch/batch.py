"""Engines as jobs of a batch system: one engine for all systems, over the table of them.

`JobSet` decides; here commands are run, files are read, and time passes. A job that starts when
nobody wants it any more ends at once: it finds the file that stopping leaves beside its script, or
no controller.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from hippodrome.errors import LaunchError
from hippodrome.launch import plans
from hippodrome.launch.base import (
    EngineSetLauncher,
    LaunchOrder,
    LaunchPhase,
    LaunchState,
    describe,
)
from hippodrome.launch.batchsystem import BatchSystem
from hippodrome.launch.guard import Guard
from hippodrome.launch.jobs import BatchJob, JobSet
from hippodrome.launch.oldtraits import has_template
from hippodrome.launch.options import AUTO, LAUNCHER_OPTIONS, LaunchOption
from hippodrome.launch.ownscripts import with_own_commands
from hippodrome.launch.queue import Queue, SilentQueue
from hippodrome.launch.script import JobPlan
from hippodrome.launch.state import STOP_FILE
from hippodrome.launch.systems import SYSTEMS
from hippodrome.launch.waiting import TELL_AFTER_S

log: logging.Logger = logging.getLogger(__name__)

_POLL_S: Final = 0.2
_STOP_POLL_S: Final = 0.5
_CANCEL_AGAIN_S: Final = 10.0
STOP_S: Final = 120.0
_QUIET_S: Final = 5.0  # after which nothing is under way that would be there in a moment
_MOST_SILENCE_S: Final = 60.0
LAST_LINES: Final = 20


class BatchEngineSetLauncher(EngineSetLauncher):
    """Runs engines as jobs, under a supervisor on each of their hosts.

    Attributes:
        system: the batch system.
    """

    name: ClassVar[str] = ""
    system: BatchSystem
    OPTIONS: ClassVar[Collection[LaunchOption]]
    knows_n = False
    is_elsewhere = True
    n_ready: int | None = None
    tell: Callable[[str], None] | None = None

    def __init_subclass__(cls, name: str = "", **kwargs: Any) -> None:
        """Make the class that of the system which is called *name*."""
        super().__init_subclass__(**kwargs)
        if name:
            cls.name, cls.system, cls.OPTIONS = name, SYSTEMS[name], LAUNCHER_OPTIONS[name]

    def __init__(self, order: LaunchOrder) -> None:
        self._order = order
        self._options = order.options
        self.system = with_own_commands(type(self).system, order.options)
        n_jobs, self._per_host = self.share(order.n, order.options)
        self._queue = Queue(self.system)
        self._jobs = JobSet(
            n_jobs, plans.parts(self._options, self._per_host), self.system.hopeless
        )
        name = "-".join(part for part in (order.cluster_id, order.engine_set) if part)
        self._folder = order.profile_dir / "log" / f"ipengine-{name}-{os.urandom(4).hex()}.jobs"
        self._read: dict[Path, int] = {}  # how much of each file has been read
        self._is_asked_to_stop = False
        self._guard: Guard | None = None

    @classmethod
    def count(cls, n: int | None, options: Mapping[str, Any]) -> int:
        if not n and has_template(options):
            n = super().count(None, options)
        n_jobs, per_host = cls.share(n or 0, options)
        return 0 if per_host == AUTO else n_jobs * options.get("nodes", 1) * int(per_host)

    @property
    def n(self) -> int:  # type: ignore[override]  # it is never set
        return self._order.n or sum(job.n_engines for job in self._jobs.all)

    @property
    def _stop_s(self) -> float:
        return float(self._options.get("stop_timeout", STOP_S))

    @property
    def may_be_left(self) -> bool:
        return bool(self._jobs.active)

    @property
    def engine_ids(self) -> tuple[int, ...]:  # type: ignore[override]  # it is never set
        self._read_progress()
        return self._jobs.engine_ids

    @property
    def job_ids(self) -> list[str]:
        """The ids of the jobs that were submitted."""
        return [job.id for job in self._jobs.all if job.id]

    def start(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True)
        if self._order.follows:
            self._guard = Guard(self.system.cancel, self._folder / STOP_FILE)
        try:
            for job in self._jobs.all:
                plan = self._plan(job.index)
                plans.write(self.system, plan)
                job_id = self._queue.submit(plan, self._order.wait_s)
                self._jobs.submitted(job.index, job_id)
                if self._guard is not None:
                    self._guard.watch(job_id)
        except BaseException:
            self.stop(STOP_S)
            raise

    def submissions(self) -> dict[str, str]:
        every = (self._plan(job.index) for job in self._jobs.all)
        return dict(
            plans.submission(self.system, self._queue.submitting(each), each) for each in every
        )

    @classmethod
    def share(cls, n: int, options: Mapping[str, Any]) -> tuple[int, int | str]:
        """Return as `plans.shares` does."""
        return plans.shares(n, options)

    def wait_ready(self, timeout_s: float) -> None:
        self._wait_settled(timeout_s)
        if hopeless := self._jobs.hopeless:
            job, reason = hopeless[0], hopeless[0].reason
            command = " ".join(self._queue.submitting(self._plan(job.index)))
            self.stop(STOP_S)
            raise LaunchError(
                f"{self.system.title} will not run job {job.id} ({reason}); it was: {command}"
            )
        if failed := self._jobs.failed:
            text = self._failure(failed[0])
            if self._jobs.must_stop or not self._jobs.active:
                self.stop(STOP_S)
                raise LaunchError(text)
            self._say(text)

    def _wait_settled(self, timeout_s: float) -> None:
        """Wait until there is nothing to wait for, or for long enough on what only waits."""
        began = told_at = changed_at = time.monotonic()
        pause_s, standing = TELL_AFTER_S, self._jobs.standing
        while True:
            self._look()
            now = time.monotonic()
            self.n_ready = self._jobs.n_ready
            if self._jobs.must_stop or self._jobs.is_settled or self._jobs.hopeless:
                return
            if self._jobs.standing != standing:
                standing, changed_at = self._jobs.standing, now
            is_late = now >= max(began + timeout_s, changed_at + _QUIET_S)
            if is_late and self._jobs.only_waits:
                self._say(f"{describe(self._jobs.state())}; more will join as their jobs start")
                return
            if now >= told_at + pause_s:
                told_at, pause_s = now, min(2 * pause_s, _MOST_SILENCE_S)
                self._say(describe(self._jobs.state()))
            time.sleep(_POLL_S)

    def state(self) -> LaunchState:
        self._look()
        return self._jobs.state()

    def poll(self) -> int | None:
        self._look()
        if self._jobs.active:
            return None
        return 1 if self._jobs.failed else 0

    def wait(self, timeout_s: float | None = None) -> int | None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (code := self.poll()) is None and (deadline is None or time.monotonic() < deadline):
            time.sleep(_POLL_S)
        return code

    def signal(self, signum: int) -> None:
        import signal

        name = signal.Signals(signum).name.removeprefix("SIG")
        running = [job.id for job in self._jobs.active if job.phase is LaunchPhase.RUNNING]
        self._queue.signal(name, running)

    def request_stop(self) -> None:
        if not self._is_asked_to_stop:
            self._is_asked_to_stop = True
            self._cancel()

    def stop(self, timeout_s: float) -> int | None:
        self.request_stop()
        began = cancelled = time.monotonic()
        while self._jobs.queued and (now := time.monotonic()) < began + max(
            timeout_s, self._stop_s
        ):
            if now >= cancelled + _CANCEL_AGAIN_S:
                if not self._jobs.active and self._jobs.state().trouble:
                    break  # they say themselves that they have ended, and nobody says otherwise
                cancelled = now
                self._cancel()
            self._ask()
            if self._jobs.queued:
                time.sleep(_STOP_POLL_S)
        if left := [job.id for job in self._jobs.active]:
            trouble = self._jobs.state().trouble
            log.warning("jobs %s may still be there: %s", " ".join(left), trouble)
        elif self._guard is not None:
            self._guard.dismiss()
            self._guard = None
        return self.poll()

    def output(self, lines: int = LAST_LINES) -> str:
        """Return the last lines of the jobs that have failed, else of all."""
        jobs = self._jobs.failed or self._jobs.all
        return "\n".join(filter(None, (self._last_lines(job, lines) for job in jobs)))

    def log_files(self) -> list[Path]:
        return [self._plan(job.index).output for job in self._jobs.all]

    def forget_output(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def to_dict(self) -> dict[str, Any]:
        return {
            "launcher": self.name,
            **self._order.to_dict(),
            "folder": str(self._folder),
            "jobs": [job.id for job in self._jobs.all],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        launcher = cls(LaunchOrder.from_dict(state))
        launcher._folder = Path(state["folder"])
        for index, job_id in enumerate(state["jobs"]):
            if job_id:
                launcher._jobs.submitted(index, str(job_id))
        return launcher

    def _plan(self, index: int) -> JobPlan:
        return plans.job_plan(self.system, self._order, index, self._folder, self._per_host)

    def _look(self) -> None:
        """Read what jobs have written, and ask for them if it is time to."""
        self._read_progress()
        if self._jobs.due_in(time.monotonic()) <= 0:
            self._ask()

    def _ask(self) -> None:
        ids = [job.id for job in self._jobs.queued]
        if not ids:
            return
        self._jobs.asked(time.monotonic())
        try:
            self._jobs.answered(self._queue.look(ids))
        except SilentQueue as silence:
            self._jobs.silent(str(silence))
        self._read_progress()

    def _read_progress(self) -> None:
        for job in self._jobs.active:
            for path in self._folder.glob(f"{job.index}.progress*"):
                with contextlib.suppress(OSError), path.open("rb") as file:
                    file.seek(self._read.get(path, 0))
                    data = file.read(1 << 20)
                    whole = data[: data.rfind(b"\n") + 1]
                    self._read[path] = self._read.get(path, 0) + len(whole)
                    lines = whole.decode("utf-8", "replace").splitlines()
                    self._jobs.progressed(job.index, path.suffix, lines)

    def _cancel(self) -> None:
        """Tell jobs to end, also those that will start later."""
        with contextlib.suppress(OSError):
            (self._folder / STOP_FILE).touch()
        self._queue.cancel([job.id for job in self._jobs.queued])

    def _failure(self, job: BatchJob) -> str:
        """Return what there is to say of a failed start."""
        code = "" if job.exit_code is None else f" with exit code {job.exit_code}"
        why = f" ({job.reason})" if job.reason else ""
        plan = self._plan(job.index)
        command = " ".join(self._queue.submitting(plan))
        text = f"job {job.id} ended{code}{why} before an engine was ready; it was: {command}"
        said = self._last_lines(job, self._options.get("output_limit", LAST_LINES))
        return f"{text}; the last that it wrote, in {plan.output}:\n{said}" if said else text

    def _last_lines(self, job: BatchJob, lines: int) -> str:
        with contextlib.suppress(OSError):
            text = self._plan(job.index).output.read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    def _say(self, text: str) -> None:
        if self.tell is not None:
            self.tell(text)


class SlurmEngineSetLauncher(BatchEngineSetLauncher, name="slurm"):
    """Runs engines as jobs of Slurm."""
