"""Running a user's program in the foreground, as a shell would, and passing signals on to it.

It has a process group of its own, which is the terminal's if there is one, so that each signal
reaches it once: from the terminal, or from here. It does not outlive this process, whatever ends
that: then a guard, which is forked before anything else, ends the whole group.
"""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from hippodrome.apps.exitcodes import NOT_EXECUTABLE, NOT_FOUND
from hippodrome.errors import ClusterError
from hippodrome.process.forking import fork
from hippodrome.process.signals import STOPPING, handled
from hippodrome.process.wakepipe import WakePipe

BY_SIGNAL: Final = 128
PASSED_ON: Final = (
    *STOPPING,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGWINCH,
    signal.SIGXCPU,
)
_GUARD_S: Final = 2.0
_LOOK_S: Final = 0.02


class CannotRun(ClusterError):
    """The program is not there, or is none.

    Attributes:
        exit_code: what a shell ends with then.
    """

    code = "cannot_run"

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class Signals:
    """Signals to this process: first they end it, then they are passed on.

    Attributes:
        is_early: there is no program yet to which they could be passed on.
        stopped_by: what ended this process while it was early; 0 if nothing has.
        fd: readable when one has come.
    """

    def __init__(self) -> None:
        self.is_early: bool = True
        self.stopped_by: int = 0
        self._wakes = WakePipe()
        self.fd: int = self._wakes.fd

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take them for a while; what is ignored here remains so, there too."""
        heeded = [s for s in PASSED_ON if signal.getsignal(s) is not signal.SIG_IGN]
        with handled([*heeded, signal.SIGCHLD], self._on_signal):
            yield

    def read(self) -> list[int]:
        """Return those that have come."""
        with suppress(BlockingIOError):
            return list(os.read(self.fd, 256))
        return []

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        if self.is_early and signum in STOPPING:
            self.stopped_by = signum
            raise KeyboardInterrupt
        self._wakes.wake(signum)


class GroupGuard:
    """Another process, which ends a process group if this one ends before it says so."""

    def __init__(self) -> None:
        reading, self._writing = os.pipe()
        self._pid = fork(lambda: _guard(reading), keep=[reading])
        os.close(reading)

    def watch(self, group: int) -> None:
        """Let *group* not outlive this process; 0 is none."""
        with suppress(OSError):
            os.write(self._writing, f"{group}\n".encode())

    def close(self) -> None:
        """End it; the group lives on."""
        self.watch(0)
        os.close(self._writing)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _guard(reading: int) -> int:
    os.setsid()
    for signum in STOPPING:
        signal.signal(signum, signal.SIG_IGN)
    said = b""
    while data := os.read(reading, 256):
        said += data
    groups = said.split()
    group = int(groups[-1]) if groups else 0
    if group:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGTERM)
            deadline = time.monotonic() + _GUARD_S
            while time.monotonic() < deadline:
                time.sleep(_LOOK_S)
                os.killpg(group, 0)
            os.killpg(group, signal.SIGKILL)
    return 0


def find_program(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the path of the program of *command*.

    Raises:
        CannotRun: it is not there, or is none.
    """
    name = command[0]
    if path := shutil.which(name, path=environ.get("PATH", os.defpath)):
        return path
    if os.path.exists(name) and os.sep in name:
        what = "is a folder" if os.path.isdir(name) else "is not executable"
        raise CannotRun(f"{name}: {what}", NOT_EXECUTABLE)
    hint = f"; did you mean python {name}?" if os.path.isfile(name) else ""
    raise CannotRun(f"{name}: no such program{hint}", NOT_FOUND)


def run_program(
    command: Sequence[str],
    environ: Mapping[str, str],
    signals: Signals,
    guard: GroupGuard,
    look: Callable[[], None],
) -> int:
    """Run *command* to its end, and return what a shell would say of that.

    Args:
        command: the program and its arguments.
        environ: its environment.
        signals: what comes meanwhile, and what has come before.
        guard: ends it with this process.
        look: called when a child of this process has ended or stopped.

    Raises:
        CannotRun: it is no program.
    """
    terminal = _own_terminal()
    path = find_program(command, environ)
    try:
        popen = subprocess.Popen(
            command,
            executable=path,
            env=dict(environ),
            preexec_fn=lambda: _lead(terminal),
        )
    except OSError as error:
        text = "has no line that says what runs it" if error.errno == errno.ENOEXEC else ""
        raise CannotRun(f"{command[0]}: {text or error.strerror}", NOT_EXECUTABLE) from error
    guard.watch(popen.pid)
    try:
        return _wait(popen.pid, signals, terminal, look)
    finally:
        popen.returncode = 0  # it has been waited for, or is given up
        guard.watch(0)
        _take_terminal(terminal, os.getpgrp())


def _wait(pid: int, signals: Signals, terminal: int | None, look: Callable[[], None]) -> int:
    signals.is_early = False
    poller = select.poll()
    poller.register(signals.fd, select.POLLIN)
    while True:
        found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if found and os.WIFSTOPPED(status):
            _stop_too(pid, terminal)
        elif found:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else BY_SIGNAL - code
        poller.poll()
        for signum in signals.read():
            if signum != signal.SIGCHLD:
                with suppress(ProcessLookupError):
                    os.kill(pid, signum)
        look()


def _own_terminal() -> int | None:
    """Return the descriptor of the terminal whose foreground we are, if there is one."""
    with suppress(OSError, ValueError, AttributeError):
        descriptor = sys.stdin.fileno()
        if os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp():
            return descriptor
    return None


def _lead(terminal: int | None) -> None:
    """Begin a process group, in the child."""
    os.setpgid(0, 0)
    _take_terminal(terminal, os.getpgrp())


def _take_terminal(terminal: int | None, group: int) -> None:
    if terminal is None:
        return
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # who asks for it is in the background
    with suppress(OSError):
        os.tcsetpgrp(terminal, group)
    signal.signal(signal.SIGTTOU, before)


def _stop_too(pid: int, terminal: int | None) -> None:
    """Stop as the program has, as by Ctrl-Z, and go on with it."""
    if terminal is None:
        return  # whoever has stopped it alone lets it go on
    _take_terminal(terminal, os.getpgrp())
    os.kill(os.getpid(), signal.SIGSTOP)
    _take_terminal(terminal, pid)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGCONT)
