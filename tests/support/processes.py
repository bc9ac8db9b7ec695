"""Real processes, started through the public command line in a world of their own.

A `Site` is a temporary IPYTHONDIR and runtime directory. A process is ready once it has said so;
one that ends without having been asked to fails the test, which then shows its log.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

import psutil

from support import leaks

START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 10.0
SHORT: Final = Path("/tmp")  # addresses of sockets must be shorter than 107 bytes

READY: Final[Mapping[str, str]] = {
    "ipcontroller": "listening on",
    "ipengine": "ready: engines",
    "ipcluster": "the cluster is ready",
}

running: list[Process] = []
sites: list[Site] = []


class Process:
    """One child process and all that it has said.

    Args:
        command: the program and its arguments.
        environment: its whole environment.
        ready: a word that is in the line by which it tells that it is ready.
        start: starts it, called as `subprocess.Popen`.
    """

    def __init__(
        self,
        command: list[str],
        environment: Mapping[str, str],
        ready: str,
        start: Callable[..., subprocess.Popen[str]] = subprocess.Popen,
    ) -> None:
        self.name = Path(command[0]).name
        self.is_death_wanted = False
        self._lines: list[str] = []
        self._ready = ready
        self._is_ready = threading.Event()
        self.popen = start(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"log of {self.name}")
        self._reader.start()
        running.append(self)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def log(self) -> str:
        """What it has written so far."""
        return "".join(self._lines)

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait for the line that says so; fail if the process ends first, or takes too long."""
        in_time = self._is_ready.wait(timeout_s)
        said = any(self._ready in line for line in self._lines)
        if not said:
            self.kill()
        assert said, f"{self.name} {'ended' if in_time else 'hung'} before ready:\n{self.log}"

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait for an end that is wanted; return the exit code, negative for a signal."""
        self.is_death_wanted = True
        code = self.popen.wait(timeout_s)
        self._forget()
        return code

    def stop(self) -> int:
        """Ask it to end, as a person would; return the exit code."""
        self.is_death_wanted = True
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop when asked:\n{self.log}") from None

    def kill(self) -> None:
        """End it at once: says that its death is wanted."""
        self.is_death_wanted = True
        self.popen.kill()
        self.popen.wait()
        self._forget()

    def _forget(self) -> None:
        self._reader.join(STOP_TIMEOUT_S)
        if self in running:
            running.remove(self)

    def _read(self) -> None:
        """Keep what it says, on a thread of its own, so that its pipe never fills."""
        assert self.popen.stdout is not None
        with self.popen.stdout as lines:
            for line in lines:
                self._lines.append(line)
                if self._ready in line:
                    self._is_ready.set()
        self._is_ready.set()  # it will say no more


class Site:
    """A world of its own for some processes; use it as a context manager."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="hh-", dir=SHORT))
        self.ipython_dir = self.directory / "ipython"
        self.runtime_dir = self.directory / "run"
        self.runtime_dir.mkdir(mode=0o700)
        self.variables = {
            "IPYTHONDIR": str(self.ipython_dir),
            "XDG_RUNTIME_DIR": str(self.runtime_dir),
            "DASK_TEMPORARY_DIRECTORY": str(self.directory / "dask"),
            "JUPYTER_RUNTIME_DIR": str(self.directory / "jupyter"),
        }
        self._processes: list[Process] = []
        sites.append(self)

    @property
    def security_dir(self) -> Path:
        return self.ipython_dir / "profile_default" / "security"

    @property
    def client_file(self) -> Path:
        return self.security_dir / "ipcontroller-client.json"

    def __enter__(self) -> Site:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        dead = dead_unasked()
        try:
            self.stop()
        finally:
            left = self._left_behind()
            shutil.rmtree(self.directory)
            sites.remove(self)
        assert not dead, "\n".join(dead)
        assert not left, "left behind:\n" + "\n".join(left)

    def _left_behind(self) -> list[str]:
        """Return what there still is of this world, also of processes that left the family."""
        survivors = leaks.settle(self._survivors)
        names = [leaks.describe(process) for process in survivors]
        for process in survivors:
            process.kill()
        files = leaks.settle(lambda: [p for p in self.runtime_dir.rglob("*") if not p.is_dir()])
        return [*(f"process {name}" for name in names), *(f"file {path}" for path in files)]

    def _survivors(self) -> list[psutil.Process]:
        """Find by their environment what was started here and still runs."""
        directory = self.variables["IPYTHONDIR"]
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("IPYTHONDIR") == directory:
                    found.append(process)
        return found

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables}

    def start(self, name: str, *options: str) -> Process:
        """Start one of the programs and wait until it is ready."""
        process = Process([program(name), *options], self.environment(), READY[name])
        self._processes.append(process)
        process.wait_ready()
        return process

    def adopt(self, process: Process) -> Process:
        """Stop *process*, which was started elsewhere, together with what was started here."""
        self._processes.append(process)
        return process

    def start_cluster(self, n: int = 2, *options: str) -> tuple[Process, Process]:
        """Start a controller, with *options*, and a supervisor of *n* engines."""
        return self.start("ipcontroller", *options), self.start("ipengine", "-n", str(n))

    def run(
        self, *command: str, timeout_s: float = START_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the programs to its end and return what it said; never raises for its code."""
        return self._run([program(command[0]), *command[1:]], timeout_s)

    def python(
        self, *arguments: str, timeout_s: float = START_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with *arguments* to its end; as `run`."""
        return self._run([sys.executable, *arguments], timeout_s)

    def _run(self, command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def stop(self) -> None:
        """Stop what still runs, engines before the controller; every exit code must be 0."""
        stopped = [process for process in reversed(self._processes) if process in running]
        codes = [process.stop() for process in stopped]
        unclean = [p.log for p, code in zip(stopped, codes, strict=True) if code]
        assert not unclean, f"unclean exit codes {codes}:\n" + "\n".join(unclean)


def program(name: str) -> str:
    """Return the path of one of the programs as pip has installed it."""
    path = Path(sysconfig.get_path("scripts"), name)
    return str(path) if path.exists() else name


def dead_unasked() -> list[str]:
    """Return the logs of the processes that have ended though nobody wanted it."""
    dead = [p for p in running if not p.is_death_wanted and p.popen.poll() is not None]
    for process in dead:
        running.remove(process)
    return [f"{p.name} ended by itself, code {p.popen.returncode}:\n{p.log}" for p in dead]
