"""Engine processes: how they start, and what the operating system tells about their end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from hippodrome.node import engine_config, page
from hippodrome.node.engine_config import EngineConfig
from hippodrome.node.page import Page
from hippodrome.protocol.messages import Death, PeerId

TAIL_LINES: Final = 20
TAIL_BYTES: Final = 8192
_PR_SET_PDEATHSIG: Final = 1
_READ_BYTES: Final = 65536


class Pipe:
    """The reading end of a pipe, which never blocks."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.is_open = True

    def read(self) -> bytes:
        """Return what is there; at the end of the file the pipe closes itself."""
        try:
            data = os.read(self.descriptor, _READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            self.close()
        return data

    def close(self) -> None:
        """Close it, if that has not been done."""
        if self.is_open:
            self.is_open = False
            os.close(self.descriptor)


class EngineProcess:
    """One engine's process, from its start to its end.

    Attributes:
        uuid: the engine.
        stdout, stderr: what it writes there.
        status: lines that it writes to its supervisor.
        page: what it has started.
        pidfd: readable when it has ended; None where the system has no such thing.
    """

    def __init__(self, uuid: PeerId, popen: subprocess.Popen[bytes], page_: Page, status: int):
        assert popen.stdout is not None
        assert popen.stderr is not None
        self.uuid = uuid
        self.page = page_
        self.stdout = Pipe(os.dup(popen.stdout.fileno()))
        self.stderr = Pipe(os.dup(popen.stderr.fileno()))
        self.status = Pipe(status)
        self.pidfd = os.pidfd_open(popen.pid) if hasattr(os, "pidfd_open") else None
        self._popen = popen
        self._tail = b""
        self._status_rest = b""
        popen.stdout.close()
        popen.stderr.close()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def status_lines(self) -> list[str]:
        """Return the whole lines that the engine has written to its supervisor."""
        *lines, self._status_rest = (self._status_rest + self.status.read()).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]

    def keep_tail(self, data: bytes) -> None:
        """Remember the last lines of the engine's error output."""
        self._tail = (self._tail + data)[-TAIL_BYTES:]

    def tail(self) -> str:
        """Return the last lines of the engine's error output."""
        lines = self._tail.decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def has_ended(self) -> bool:
        """Whether the process has ended; it stays a zombie until `bury`."""
        if not hasattr(os, "waitid"):
            return self._popen.poll() is not None
        flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return os.waitid(os.P_PID, self.pid, flags) is not None

    def send_signal(self, signum: int) -> None:
        """Deliver a signal to the process alone. It is our child, so its id is not another's."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signum)

    def kill_group(self) -> None:
        """Kill the process and those of its children that are still in its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def bury(self, oom_kills: int | None) -> Death:
        """Release what an ended process held, and tell how it ended.

        Args:
            oom_kills: how many processes the system killed for want of memory meanwhile.
        """
        self.kill_group()  # before the zombie goes, so that the group's id is still its own
        returncode = self._popen.wait()
        exit_code, signum = (None, -returncode) if returncode < 0 else (returncode, None)
        started = self.page.started
        death = Death(
            self.uuid,
            exit_code,
            signum,
            started,
            expected=False,
            stderr=self.tail(),
            reason=_reason(exit_code, signum, oom_kills),
        )
        assert self._popen.stdin is not None
        with suppress(OSError):
            self._popen.stdin.close()
        self.page.close()
        for pipe in (self.stdout, self.stderr, self.status):
            pipe.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
        return death


def spawn(make_config: Callable[[int, int], EngineConfig]) -> EngineProcess:
    """Start an engine in a session of its own.

    Args:
        make_config: returns what to tell it, given the descriptors of its page and status pipe.
    """
    page_fd = page.create()
    status_read, status_write = os.pipe()
    config = make_config(page_fd, status_write)
    popen = subprocess.Popen(
        [sys.executable, "-m", "hippodrome.engine"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        pass_fds=(page_fd, status_write),
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )
    shared = Page(page_fd)
    os.close(page_fd)
    os.close(status_write)
    assert popen.stdin is not None
    with suppress(BrokenPipeError):  # it is dead already, which will be noticed
        engine_config.write(popen.stdin.fileno(), config)
    return EngineProcess(config.uuid, popen, shared, status_read)


def count_oom_kills() -> int | None:
    """Return how many processes of this control group were killed for want of memory, if known."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        group = next(line[3:] for line in lines if line.startswith("0::"))
        events = Path(f"/sys/fs/cgroup{group}/memory.events").read_text()
        return int(next(line for line in events.splitlines() if line.startswith("oom_kill "))[9:])
    except (OSError, StopIteration, ValueError):
        return None


_libc: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Runs in the new process: it is to be killed when the supervisor dies, however that dies."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _reason(exit_code: int | None, signum: int | None, oom_kills: int | None) -> str:
    if signum is None:
        return f"exited with code {exit_code}"
    try:
        name = signal.Signals(signum).name
    except ValueError:
        name = f"signal {signum}"
    out_of_memory = signum == signal.SIGKILL and oom_kills
    return f"killed by {name}" + (" (out of memory)" if out_of_memory else "")
