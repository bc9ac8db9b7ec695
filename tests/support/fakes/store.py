"""The state of a stand-in: a folder with its settings, its jobs, and what it was asked.

There is no daemon: whoever submits starts a process that carries the job (`carrier`), waits until
it may start, runs it, ends it, and notes all that in the job's file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PENDING, RUNNING, ENDED = "pending", "running", "ended"


@dataclass
class Task:
    """One process of a job; of an array, one index."""

    index: int
    state: str = PENDING
    pid: int = 0
    exit_code: int = 0
    signal: int = 0
    started: float = 0.0
    ended: float = 0.0
    cause: str = ""  # cancelled, time, held, or nothing: it ended by itself


@dataclass
class Job:
    """A job as it was submitted, and what has become of it."""

    number: int
    name: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    tasks: list[Task]
    is_array: bool = False
    stdout: str = os.devnull  # {index} stands for the index
    stderr: str = ""
    queue: str = ""
    limit_s: float | None = None
    submitted: float = 0.0
    script: str = ""
    endings: list[tuple[int, float]] = field(default_factory=list)  # signal, seconds until the next
    whole: bool = True  # whether processes in sessions of their own are found too
    index_names: list[str] = field(default_factory=list)  # variables that hold the index
    task_env: dict[str, dict[str, str]] = field(default_factory=dict)
    carrier: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The state of all of it."""
        states = {task.state for task in self.tasks}
        if states == {ENDED}:
            return ENDED
        return PENDING if states == {PENDING} else RUNNING

    @property
    def started(self) -> float:
        """When the first of it started; 0 before."""
        return min((task.started for task in self.tasks if task.started), default=0.0)


DEFAULTS: Mapping[str, Any] = {
    "pending_s": 0.0,  # how long each job waits
    "held": False,  # nothing starts while this is set
    "slots": None,  # how many tasks run at once
    "reason": "",  # why jobs wait; by default what the real one says
    "reject": "",  # submit fails with these words
    "submit_hangs_s": 0.0,
    "garbage": "",  # what a query answers
    "query_fails": "",  # a query fails with these words
    "query_hangs_s": 0.0,
    "forgets": False,  # what has ended is known to nobody
    "time_scale": 1.0,  # a time limit of an hour ends after 3600 times this
    "grace_scale": 0.1,  # likewise the seconds between a polite signal and the last one
    "nodes": [],  # by default this host
}


class Store:
    """The folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        for name in ("jobs", "cancel", "scratch"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    @property
    def settings(self) -> dict[str, Any]:
        """What the test wants it to do."""
        try:
            return {**DEFAULTS, **json.loads((self.root / "settings.json").read_text())}
        except FileNotFoundError:
            return dict(DEFAULTS)

    def set(self, **settings: Any) -> None:
        """Change what it does."""
        assert settings.keys() <= DEFAULTS.keys(), settings
        _write(self.root / "settings.json", {**self.settings, **settings})

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Have the folder for oneself."""
        with (self.root / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def note_call(self, program: str, argv: Sequence[str]) -> None:
        """Remember that a program was called."""
        with self.locked(), (self.root / "calls.jsonl").open("a") as calls:
            calls.write(json.dumps([time.time(), program, list(argv)]) + "\n")

    @property
    def calls(self) -> list[tuple[float, str, list[str]]]:
        """What was called: when, which program, with what."""
        try:
            lines = (self.root / "calls.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [tuple(json.loads(line)) for line in lines]

    def called(self, program: str) -> list[list[str]]:
        """Return what a program was called with, each time."""
        return [argv for _, name, argv in self.calls if name == program]

    def next_number(self) -> int:
        """Return the number of the next job, which is that one's then."""
        with self.locked():
            path = self.root / "last"
            number = 1 + int(path.read_text() if path.exists() else 100)
            path.write_text(str(number))
            return number

    def submit(self, job: Job) -> Job:
        """Take a job."""
        job.submitted = time.time()
        self.save(job)
        with (self.root / "carrier.log").open("a") as log:
            carrier = subprocess.Popen(
                [sys.executable, "-S", _CARRIER, str(self.root), str(job.number)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={"PATH": os.defpath},
            )
        carrier.returncode = 0  # it outlives this process, which need not be told so
        return job

    def save(self, job: Job) -> None:
        _write(self._path(job.number), asdict(job))

    def load(self, number: int) -> Job:
        """Return a job.

        Raises:
            FileNotFoundError: there is none of this number.
        """
        state = json.loads(self._path(number).read_text())
        state["tasks"] = [Task(**task) for task in state["tasks"]]
        return Job(**state)

    def jobs(self) -> list[Job]:
        """Return all that were submitted."""
        return [self.load(int(path.stem)) for path in sorted((self.root / "jobs").glob("*.json"))]

    def known(self, number: int) -> Job | None:
        """Return a job as a query sees it; None if there is none, or no memory of it."""
        try:
            job = self.load(number)
        except FileNotFoundError:
            return None
        return None if job.state == ENDED and self.settings["forgets"] else job

    def ask(self, verb: str, number: int, index: int | None = None, signum: int = 0) -> None:
        """Leave word for a job's carrier: ``cancel`` or ``signal``."""
        name = f"{number}.{time.time_ns()}"
        _write(self.root / "cancel" / name, [verb, index, signum])

    def unfinished(self) -> list[Job]:
        """Return the jobs that have not ended."""
        return [job for job in self.jobs() if job.state != ENDED]

    def _path(self, number: int) -> Path:
        return self.root / "jobs" / f"{number}.json"


def _write(path: Path, value: Any) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(value))
    aside.replace(path)


_CARRIER = str(Path(__file__).with_name("carrier.py"))
