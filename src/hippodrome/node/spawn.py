"""Engine processes: how they start, and what the operating system tells about their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from hippodrome.node.lastwords import last_words
from hippodrome.node.template import Started, Template, TemplateLost, Theirs
from hippodrome.process import engine_config, forking, page
from hippodrome.process.engine_config import EngineConfig
from hippodrome.process.page import Page
from hippodrome.protocol.messages import Death, PeerId

TAIL_BYTES: Final = 8192
_READ_BYTES: Final = 65536


class Pipe:
    """The reading end of a pipe, which never blocks."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.is_open: bool = True

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


class Berth:
    """All that connects a supervisor with one engine, made before there is a process.

    Attributes:
        theirs: the engine's ends.
        life: the writing end of its standard input, at whose end of file it must not live on.
        stdout, stderr: what it passes on.
        error_file: a file that its descriptor 2 leads into; its own copy is closed last.
        status: lines that it writes to its supervisor.
        page: what it has started.
    """

    life: int
    stdout: Pipe
    stderr: Pipe
    status: Pipe

    def __init__(self) -> None:
        page_fd = page.create()
        stdin, self.life = os.pipe()
        stdout_read, stdout = os.pipe()
        stderr_read, stderr = os.pipe()
        status_read, status = os.pipe()
        self.error_file: int = page.create_output_file()
        error_file = os.dup(self.error_file)
        self.theirs: Theirs = Theirs(stdin, stdout, stderr, page_fd, status, error_file)
        self.stdout, self.stderr, self.status = map(Pipe, (stdout_read, stderr_read, status_read))
        self.page: Page = Page(page_fd)

    def hand_over(self) -> None:
        """Close the engine's ends here: it has them."""
        for descriptor in self.theirs.all():
            os.close(descriptor)

    def close(self) -> None:
        """Close what is left; an engine that is there and was not told what to do ends."""
        os.close(self.life)
        os.close(self.error_file)
        self.page.close()
        for pipe in (self.stdout, self.stderr, self.status):
            pipe.close()


class EngineProcess:
    """One engine's process, from its start to its end.

    Attributes:
        uuid: the engine.
        pid: its process id; it is our child, and a zombie until `bury`.
        stdout, stderr, status, page: as in its `Berth`.
        pidfd: readable when it has ended; None where the system has no such thing.
        file: that must not outlive it; may be empty.
    """

    stdout: Pipe
    stderr: Pipe
    status: Pipe

    def __init__(self, uuid: PeerId, pid: int, berth: Berth) -> None:
        self.uuid = uuid
        self.pid = pid
        self.stdout, self.stderr, self.status = berth.stdout, berth.stderr, berth.status
        self.page: Page = berth.page
        self.pidfd: int | None = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
        self.files: list[str] = []
        self._berth = berth
        self._code: int | None = None  # once it is known
        self._tail = b""
        self._status_rest = b""

    def status_lines(self) -> list[str]:
        """Return the whole lines that the engine has written to its supervisor."""
        *lines, self._status_rest = (self._status_rest + self.status.read()).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]

    def keep_tail(self, data: bytes) -> None:
        """Remember the last lines of the engine's error output."""
        self._tail = (self._tail + data)[-TAIL_BYTES:]

    def tail(self) -> str:
        """Return the last lines of the engine's error output, also what it did not pass on."""
        return last_words(self._tail.decode("utf-8", "replace"))

    def _last_words(self) -> bytes:
        """Return what the engine has written to descriptor 2 and did not live to pass on."""
        file = self._berth.error_file
        size = os.fstat(file).st_size
        start = max(self.page.n_passed_on, size - TAIL_BYTES)
        return os.pread(file, TAIL_BYTES, start) if start < size else b""

    def has_ended(self) -> bool:
        """Whether the process has ended; it stays a zombie until `bury`."""
        if not hasattr(os, "waitid"):
            return self._wait(os.WNOHANG) is not None
        flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return os.waitid(os.P_PID, self.pid, flags) is not None

    def is_frozen(self) -> bool:
        """Whether the process is stopped, as by SIGSTOP: it lives, and can do nothing."""
        if not hasattr(os, "waitid"):
            return False
        flags = os.WSTOPPED | os.WNOWAIT | os.WNOHANG
        with suppress(ChildProcessError):
            return os.waitid(os.P_PID, self.pid, flags) is not None
        return False

    def send_signal(self, *signums: int) -> None:
        """Deliver signals to the process alone. It is our child, so its id is not another's."""
        with suppress(ProcessLookupError):
            for signum in signums:
                os.kill(self.pid, signum)

    def kill_group(self) -> None:
        """Kill the process and those of its children that are still in its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _wait(self, options: int) -> int | None:
        """Return the exit code, negative for a signal; None if it has not ended."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def bury(self, oom_kills: int | None) -> Death:
        """Release what an ended process held, and tell how it ended.

        Args:
            oom_kills: how many processes the system killed for want of memory meanwhile.
        """
        self.kill_group()  # before the zombie goes, so that the group's id is still its own
        returncode = self._wait(0)
        assert returncode is not None
        exit_code, signum = (None, -returncode) if returncode < 0 else (returncode, None)
        self.keep_tail(self._last_words())
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
        self._berth.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
        for path in self.files:
            _remove(path)
        return death


def _remove(path: str) -> None:
    """Remove what an engine has left: a file, or a folder with all that is in it."""
    with suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            import shutil  # which few need

            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


class Nursery:
    """Starts engines: forks of the template as far as it has been asked for them, else programs.

    Args:
        template: the template, if there is one.
    """

    def __init__(self, template: Template | None) -> None:
        self._template = template
        self._requested: deque[Berth] = deque()

    def prepare(self, n: int) -> None:
        """Let *n* engines be on their way, which will be told later what to do.

        Raises:
            OSError: there are not enough descriptors for so many.
        """
        if self._template is not None and not forking.adopt_orphans(True):
            self._lose_template()
        for _ in range(n):
            self._request()

    def start(self, make_config: Callable[[Started], EngineConfig]) -> EngineProcess:
        """Start an engine in a session of its own.

        Args:
            make_config: returns what to tell it.

        Raises:
            OSError: no process can be started.
        """
        started, berth = self._fork() or _execute()
        config = make_config(started)
        with suppress(BrokenPipeError):  # it is dead already, which will be noticed
            engine_config.write(berth.life, config)
        return EngineProcess(config.uuid, started.pid, berth)

    def close(self) -> None:
        """Do without the template from now on."""
        self._lose_template()

    def _request(self) -> None:
        if self._template is None:
            return
        berth = Berth()
        try:
            self._template.request(berth.theirs)
        except TemplateLost:
            berth.close()
            self._lose_template()
        else:
            self._requested.append(berth)
        finally:
            berth.hand_over()

    def _fork(self) -> tuple[Started, Berth] | None:
        if self._template is None or not self._requested:
            return None
        try:
            started = self._template.collect()
        except TemplateLost:
            self._lose_template()
            return None
        return started, self._requested.popleft()

    def _lose_template(self) -> None:
        """Let what was requested end, if it is there at all: nobody will tell it what to do."""
        for berth in self._requested:
            berth.close()
        self._requested.clear()
        if self._template is not None:
            self._template.close()
            self._template = None
            forking.adopt_orphans(False)


def _execute() -> tuple[Started, Berth]:
    berth = Berth()
    theirs = berth.theirs
    try:
        popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "hippodrome.engine.spawned"],
            stdin=theirs.stdin,
            stdout=theirs.stdout,
            stderr=theirs.stderr,
            pass_fds=(theirs.page, theirs.status, theirs.error_file, *_of_mpi()),
            start_new_session=True,
        )
    except OSError:
        berth.close()
        raise
    finally:
        berth.hand_over()
    popen.returncode = 0  # it is waited for here, and by no one else
    return Started(popen.pid, theirs.page, theirs.status, theirs.error_file), berth


def _of_mpi() -> list[int]:
    """Return the descriptors by which a process that MPI started speaks with whoever did so."""
    found = []
    for text in (os.environ.get("PMI_FD", ""), os.environ.get("HYDI_CONTROL_FD", "")):
        with suppress(OSError, ValueError):
            os.fstat(int(text))
            found.append(int(text))
    return found


def count_oom_kills() -> int | None:
    """Return how many processes of this control group were killed for want of memory, if known."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        group = next(line[3:] for line in lines if line.startswith("0::"))
        events = Path(f"/sys/fs/cgroup{group}/memory.events").read_text()
        return int(next(line for line in events.splitlines() if line.startswith("oom_kill "))[9:])
    except (OSError, StopIteration, ValueError):
        return None


def _reason(exit_code: int | None, signum: int | None, oom_kills: int | None) -> str:
    if signum is None:
        return f"exited with code {exit_code}"
    try:
        name = signal.Signals(signum).name
    except ValueError:
        name = f"signal {signum}"
    out_of_memory = signum == signal.SIGKILL and oom_kills
    return f"killed by {name}" + (" (out of memory)" if out_of_memory else "")
