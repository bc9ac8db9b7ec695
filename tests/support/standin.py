"""One stand-in for a batch system on PATH of a test, and of what it starts."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from fakes.carrier import MARK
from fakes.main import PROGRAMS, put_on_path
from fakes.store import Job, Store

SYSTEMS = tuple(PROGRAMS)
_PATIENCE_S = 30.0


class StandIn(Store):
    """The state of a stand-in, with ways to wait for it."""

    def __init__(self, system: str, root: Path) -> None:
        super().__init__(root)
        self.system = system

    def until(self, holds: Callable[[], bool], timeout_s: float = _PATIENCE_S) -> None:
        """Wait until something holds, which only the jobs' own processes can bring about."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, [vars(job) for job in self.jobs()]
            time.sleep(0.02)

    @property
    def last(self) -> Job:
        """What was submitted last."""
        return self.jobs()[-1]

    def processes(self) -> list[int]:
        """Return the processes that belong to its jobs."""
        mark = f"{MARK}={self.root}:".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in path.read_bytes():
                    found.append(int(path.parent.name))
        return found

    def close(self) -> None:
        """End all jobs, and those that carry them."""
        for job in self.jobs():
            if job.carrier:
                with suppress(ProcessLookupError):
                    os.kill(job.carrier, signal.SIGKILL)
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def stand_in(system: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Put the programs of *system* first on PATH, with their state below *folder*."""
    store = StandIn(system, folder / "state")
    programs = put_on_path(system, folder / "bin", store.root)
    patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    try:
        yield store
    finally:
        store.close()


@contextmanager
def emptied_stand_in(system: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Make a stand-in for a user with an empty home, to which nothing must be left to do."""
    home = folder / "home"
    home.mkdir()
    patch.setenv("HOME", str(home))
    with stand_in(system, folder / "batch", patch) as store:
        yield store
        store.until(lambda: not store.unfinished())
        store.until(lambda: not store.processes())
