"""One child process in a session of its own: starting, watching, ending.

Two pipes lead to it. It writes a line to one when it is ready, and the kernel closes it when the
process ends, so that waiting for either is one wait. Of the other this process holds the writing
end: it is closed when this process ends, however that happens, and the child takes that as a
request to stop.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from hippodrome.errors import LaunchError
from hippodrome.launch.waiting import StartOutcome, Waiting
from hippodrome.paths import is_full
from hippodrome.process.standard import pipe_aside

if TYPE_CHECKING:
    import psutil

# Processes that are meant to outlive their launcher: kept, as nobody will wait for them.
_left_running: Final[list[subprocess.Popen[bytes]]] = []
_SAME_START_S: Final = 2.0
_KILL_WAIT_S: Final = 5.0
_POLL_S: Final = 0.02


class ChildProcess:
    """One child process, or one that another process started.

    Args:
        title: what errors call it.
        log_file: where its output goes.

    Attributes:
        ready: the numbers that it said when it was ready; None if it has not been asked.
        tell: takes a sentence now and then while it is waited for.
    """

    def __init__(self, title: str, log_file: Path) -> None:
        self.title = title
        self.log_file = log_file
        self.pid: int = 0
        self.ready: tuple[int, ...] | None = None
        self.tell: Callable[[str], None] = _say_nothing
        self._started = 0.0
        self._is_asked_to_stop = False
        self._popen: subprocess.Popen[bytes] | None = None
        self._ready_fd = -1
        self._parent_fd = -1

    def start(self, command: Sequence[str], section: str, *, follows: bool) -> None:
        """Start *command*.

        Args:
            command: the program and its arguments.
            section: the class whose options ``ready_fd`` and ``parent_fd`` the program has.
            follows: whether it must end when this process does.

        Raises:
            LaunchError: it cannot be started.
        """
        self._ready_fd, ready = pipe_aside()
        passed = [ready]
        options = [f"--{section}.ready_fd={ready}"]
        if follows:
            parent, self._parent_fd = pipe_aside()
            passed.append(parent)
            options.append(f"--{section}.parent_fd={parent}")
        try:
            self._popen = self._spawn([*command, *options], passed)
        except OSError as error:
            self._close()
            raise LaunchError(f"cannot start {self.title}: {error}") from error
        finally:
            for descriptor in passed:
                os.close(descriptor)
        self.pid = self._popen.pid
        self._started = time.time()
        if not follows:
            _left_running.append(self._popen)

    def start_fed(
        self,
        command: Sequence[str],
        environ: Mapping[str, str] | None = None,
        *,
        says_ready: bool = False,
    ) -> None:
        """Start *command*, to which only its input and output lead: it starts others elsewhere.

        Its input ends when this process does, however that happens.

        Args:
            command: the program and its arguments.
            environ: its variables; those of this process by default.
            says_ready: whether it writes to its output when it is ready.

        Raises:
            LaunchError: it cannot be started.
        """
        reading, self._parent_fd = pipe_aside()
        log = output = self._open_log()
        if says_ready:
            self._ready_fd, output = pipe_aside()
        try:
            self._popen = subprocess.Popen(
                command,
                stdin=reading,
                stdout=output,
                stderr=log,
                env=environ,
                start_new_session=True,
            )
        except OSError as error:
            self._close()
            raise LaunchError(f"cannot start {command[0]}: {error.strerror}") from error
        finally:
            for descriptor in {reading, log, output}:
                os.close(descriptor)
        self.pid = self._popen.pid
        self._started = time.time()

    def _open_log(self) -> int:
        return os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def _spawn(self, command: list[str], passed: list[int]) -> subprocess.Popen[bytes]:
        log = self._open_log()
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=passed,
                start_new_session=True,  # a terminal's Ctrl-C must reach the parent only
            )
        finally:
            os.close(log)

    def wait_ready(self, timeout_s: float) -> None:
        """Wait for the line that says so.

        Raises:
            LaunchError: the process ended, took too long, or says that something failed.
        """
        if self._ready_fd < 0:
            return
        waiting = self._waiting(timeout_s)
        try:
            outcome, text = waiting.wait()
        finally:
            self.ready = waiting.ready
        if outcome is StartOutcome.LATE:
            why = f": {text}" if text else ""
            raise LaunchError(self._trouble(f"was not ready within {timeout_s:g} s{why}"))
        os.close(self._ready_fd)
        self._ready_fd = -1
        if outcome is StartOutcome.FAILED:
            raise LaunchError(f"{text}\nthe log is {self.log_file}")
        if outcome is StartOutcome.ENDED:
            raise LaunchError(self._trouble(f"ended with exit code {self.wait(_KILL_WAIT_S)}"))

    def _waiting(self, timeout_s: float) -> Waiting:
        return Waiting(self._ready_fd, timeout_s, self.tell)

    def _trouble(self, what: str) -> str:
        output = self.output(20)
        said = f"; the last that it wrote:\n{output}" if output else ""
        if is_full(self.log_file.parent):
            said = f": the disk of its log is full{said}"
        return f"{self.title} {what}, see {self.log_file}{said}"

    def poll(self) -> int | None:
        """Return None while it runs, else its exit code; -1 if nobody knows that."""
        if self._popen is not None:
            return self._popen.poll()
        return None if self._found() else -1

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for its end; return as `poll` does after at most *timeout_s*."""
        if self._popen is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout_s)
        elif self._found():
            _wait_gone(self.pid, lambda: self._found() is not None, timeout_s)
        return self.poll()

    def send(self, signum: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def send_to_sessions(self, signum: int) -> None:
        """Send a signal to those of its children that lead a session of their own."""
        import psutil

        if self.poll() is not None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.pid).children():
                with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                    if os.getsid(child.pid) == child.pid:
                        child.send_signal(signum)

    def request_stop(self) -> None:
        """Ask it to end, once: a second signal would find it without its handler."""
        if not self._is_asked_to_stop:
            self._is_asked_to_stop = True
            self.send(signal.SIGTERM)

    def stop(self, timeout_s: float) -> int | None:
        """End it, and if it does not end within *timeout_s*, kill it and all below it."""
        self.request_stop()
        if self.wait(timeout_s) is None:
            self._kill_all()
        self._close()
        return self.poll()

    def _kill_all(self) -> None:
        import psutil

        processes: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            processes += psutil.Process(self.pid).children(recursive=True)
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.send(signal.SIGKILL)
        self.wait(_KILL_WAIT_S)
        for process in processes:
            _wait_gone(process.pid, process.is_running, _KILL_WAIT_S)

    def output(self, lines: int) -> str:
        """Return the last lines that it wrote."""
        try:
            with self.log_file.open(encoding="utf-8", errors="replace") as log:
                return "".join(deque(log, lines)).rstrip()
        except OSError:
            return ""

    def to_dict(self) -> dict[str, Any]:
        """Return what it takes to find it again from another process."""
        return {"pid": self.pid, "started": self._started, "log_file": str(self.log_file)}

    @classmethod
    def from_dict(cls, title: str, state: Mapping[str, Any]) -> Self:
        """Return the process that `to_dict` of another one described."""
        process = cls(title, Path(state["log_file"]))
        process.pid = int(state["pid"])
        process._started = float(state["started"])
        return process

    def _found(self) -> psutil.Process | None:
        """Return it if it still runs, and is no later process with the same number."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self._started) < _SAME_START_S
            runs = process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, ValueError):
            return None
        return process if is_same and runs else None

    def _let_go(self) -> None:
        """Let it find that nobody holds the pipe that it watches."""
        if self._parent_fd >= 0:
            os.close(self._parent_fd)
            self._parent_fd = -1

    def _close(self) -> None:
        for descriptor in (self._ready_fd, self._parent_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._ready_fd = self._parent_fd = -1


def _say_nothing(text: str) -> None:
    """Be who is told and does not pass it on."""


def _wait_gone(pid: int, is_running: Callable[[], bool], timeout_s: float | None) -> None:
    """Wait for the end of a process that need not be a child of this one.

    Not by `psutil.Process.wait`, which also waits for its parent to notice, and the parent of an
    orphan may take seconds for that.
    """
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            poller.poll(None if timeout_s is None else timeout_s * 1000)
            os.close(descriptor)
        return
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while is_running() and (deadline is None or time.monotonic() < deadline):
        time.sleep(_POLL_S)
