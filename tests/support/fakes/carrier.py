"""One process for each job of a stand-in: waits until it may start, runs its tasks, ends them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.store import ENDED, PENDING, RUNNING, Job, Store, Task

MARK = "STAND_IN_JOB"  # as a control group would, it tells what belongs to a job
_TURN_S = 0.02


class Carrier:
    """Carries one job."""

    def __init__(self, root: str, number: int) -> None:
        self.store = Store(root)
        self.job: Job = self.store.load(number)
        self.job.carrier = os.getpid()
        self.store.save(self.job)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._endings: dict[int, list[tuple[int, float]]] = {}
        self._next: dict[int, float] = {}

    def run(self) -> None:
        while self.job.state != ENDED and self.store.root.exists():
            before = repr(self.job)
            self._hear()
            for task in self.job.tasks:
                self._turn(task)
            if repr(self.job) != before:
                self.store.save(self.job)
            time.sleep(_TURN_S)
        self._end_all()

    def _turn(self, task: Task) -> None:
        now = time.time()
        if task.state == PENDING and self._may_start(now):
            self._start(task, now)
        process = self._processes.get(task.index)
        if task.state != RUNNING or process is None:
            return
        code = process.poll()
        if code is not None:
            task.signal, task.exit_code = max(-code, 0), max(code, 0)
            task.ended, task.state = now, ENDED
            self._kill_rest(task)
            return
        limit_s = self.job.limit_s
        if limit_s is not None and now > task.started + limit_s * self._scale("time_scale"):
            self._end(task, "time")
        if task.index in self._endings and now >= self._next[task.index]:
            self._strike(task, now)

    def _may_start(self, now: float) -> bool:
        settings = self.store.settings
        if settings["held"] or now < self.job.submitted + settings["pending_s"]:
            return False
        if settings["slots"] is None:
            return True
        others = [task for job in self.store.jobs() for task in job.tasks if task.state == RUNNING]
        return len(others) < settings["slots"]

    def _start(self, task: Task, now: float) -> None:
        job = self.job
        env = {**job.env, **dict.fromkeys(job.index_names, str(task.index))}
        env |= job.task_env.get(str(task.index), {})
        env[MARK] = f"{self.store.root}:{job.number}:{task.index}"
        out = Path(job.stdout.replace("{index}", str(task.index)))
        err = Path(job.stderr.replace("{index}", str(task.index))) if job.stderr else None
        task.started, task.state = now, RUNNING
        try:
            with out.open("ab") as stdout, (err or out).open("ab") as stderr:
                process = subprocess.Popen(
                    job.argv,
                    env=env,
                    cwd=job.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stdout if err is None else stderr,
                    start_new_session=True,
                )
        except OSError as error:
            print(f"job {job.number}: {error}", flush=True)
            task.state, task.ended, task.exit_code = ENDED, now, 127
            return
        task.pid = process.pid
        self._processes[task.index] = process
        self.store.save(job)

    def _hear(self) -> None:
        """Do what others have left word of."""
        for path in sorted((self.store.root / "cancel").glob(f"{self.job.number}.*")):
            verb, index, signum = json.loads(path.read_text())
            path.unlink()
            for task in self.job.tasks:
                if task.state == ENDED or index not in (None, task.index):
                    continue
                if verb == "cancel" and task.state == PENDING:
                    task.state, task.ended, task.cause = ENDED, time.time(), "cancelled"
                elif verb == "cancel":
                    self._end(task, "cancelled")
                elif task.state == RUNNING:
                    self._send(task, signum)

    def _end(self, task: Task, cause: str) -> None:
        if task.index not in self._endings:
            task.cause = cause
            self._endings[task.index] = list(self.job.endings)
            self._next[task.index] = 0.0

    def _strike(self, task: Task, now: float) -> None:
        endings = self._endings[task.index]
        signum, pause_s = endings.pop(0) if endings else (signal.SIGKILL, 1.0)
        self._next[task.index] = now + pause_s * self._scale("grace_scale")
        self._send(task, signum)

    def _send(self, task: Task, signum: int) -> None:
        if self.job.whole:
            for pid in self._belonging(task):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signum)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(task.pid, signum)

    def _kill_rest(self, task: Task) -> None:
        """End what a task has left behind, as far as this system finds it."""
        self._send(task, signal.SIGKILL)

    def _belonging(self, task: Task) -> list[int]:
        mark = f"{MARK}={self.store.root}:{self.job.number}:{task.index}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found

    def _scale(self, name: str) -> float:
        return float(self.store.settings[name])

    def _end_all(self) -> None:
        for task in self.job.tasks:
            if task.state == RUNNING:
                self._send(task, signal.SIGKILL)


if __name__ == "__main__":
    Carrier(sys.argv[1], int(sys.argv[2])).run()
