"""Starts a scheduler as a process or as a thread, and tells when it has ended."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from hippodrome.errors import ClusterError, LaunchError
from hippodrome.paths import SOCKET_NAME
from hippodrome.process import forking
from hippodrome.process.descriptors import write_all
from hippodrome.process.signals import stop_pipe
from hippodrome.process.titles import set_title
from hippodrome.scheduler.room import AUTO
from hippodrome.scheduler.schemes import SCHEME_NAMES
from hippodrome.scheduler.settings import SchedulerSettings

log: logging.Logger = logging.getLogger(__name__)

IPC = "ipc://"
LOG_FORMAT = "%(asctime)s [%(process)d] %(levelname)s %(message)s"
WAIT_S = 5.0


class RunningScheduler(Protocol):
    """A scheduler that was started.

    Attributes:
        ended_fd: becomes readable when it has ended, however it ended.
    """

    ended_fd: int

    def stop(self) -> None:
        """Let it know that its parent is done with it."""

    def wait(self, timeout_s: float) -> int | None:
        """Wait for its end and return its exit code; None if it still runs."""

    def kill(self) -> None:
        """End it at once, if that is possible."""

    def close(self) -> None:
        """Give back what is held for it; it must have ended."""


class SchedulerProcess:
    """A scheduler in a process of its own.

    It gets its settings over its standard input, which then stays open: when it closes, the
    parent is gone. The other way around, it holds the one end of a pipe that closes with it.

    Attributes:
        pid: its process id.
    """

    def __init__(self, pid: int, settings_fd: int, ended_fd: int) -> None:
        self.pid = pid
        self.ended_fd = ended_fd
        self._settings_fd = settings_fd
        self._code: int | None = None

    def tell(self, settings: SchedulerSettings) -> None:
        """Tell it what it waits for."""
        with suppress(BrokenPipeError):  # it has ended, which will be noticed
            write_all(self._settings_fd, msgspec.msgpack.encode(settings) + END_OF_SETTINGS)

    def stop(self) -> None:
        if self._settings_fd >= 0:
            os.close(self._settings_fd)
            self._settings_fd = -1

    def wait(self, timeout_s: float) -> int | None:
        poller = select.poll()
        poller.register(self.ended_fd, select.POLLIN)
        if self._code is None and poller.poll(timeout_s * 1000):
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code

    def kill(self) -> None:
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        self.stop()
        os.close(self.ended_fd)


def fork_scheduler() -> SchedulerProcess | None:
    """Fork a scheduler that waits to be told its settings; None where that cannot be done.

    Best done before much is imported: the two processes load what they need side by side.
    """
    if not forking.can_fork():
        return None
    settings_read, settings_fd = os.pipe()
    ended_fd, child_end = os.pipe()

    def be_scheduler() -> int:
        os.dup2(settings_read, 0)
        os.close(settings_read)
        return main()

    pid = forking.fork(be_scheduler, keep=(settings_read, child_end))
    os.close(settings_read)
    os.close(child_end)
    return SchedulerProcess(pid, settings_fd, ended_fd)


def _execute() -> SchedulerProcess:
    settings_read, settings_fd = os.pipe()
    ended_fd, child_end = os.pipe()
    try:
        popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "hippodrome.scheduler"],
            stdin=settings_read,
            pass_fds=(child_end,),
        )
    except OSError:
        os.close(settings_fd)
        os.close(ended_fd)
        raise
    finally:
        os.close(settings_read)
        os.close(child_end)
    popen.returncode = 0  # it is waited for here, and by no one else
    return SchedulerProcess(popen.pid, settings_fd, ended_fd)


class SchedulerThread:
    """A scheduler in a thread of this process."""

    ended_fd: int

    def __init__(self, settings: SchedulerSettings) -> None:
        self.ended_fd, self._ended = os.pipe()
        self._parent_fd, self._alive = os.pipe()
        self._code: int | None = None
        self._thread = threading.Thread(
            target=self._run, args=(settings,), name="scheduler", daemon=True
        )
        self._thread.start()

    def _run(self, settings: SchedulerSettings) -> None:
        from hippodrome.scheduler.server import serve

        code = 1
        try:
            code = serve(settings, self._parent_fd)
        except ClusterError as error:
            log.error("%s", error)  # noqa: TRY400 - a message: the user can mend this
        finally:
            self._code = code
            os.close(self._ended)
            os.close(self._parent_fd)

    def stop(self) -> None:
        if self._alive >= 0:
            os.close(self._alive)
            self._alive = -1

    def wait(self, timeout_s: float) -> int | None:
        self._thread.join(timeout_s)
        return None if self._thread.is_alive() else self._code

    def kill(self) -> None:
        self.stop()

    def close(self) -> None:
        self.stop()
        os.close(self.ended_fd)


END_OF_SETTINGS = b"\nend of settings\n"


def start(
    settings: SchedulerSettings, *, in_thread: bool, waiting: SchedulerProcess | None = None
) -> RunningScheduler:
    """Start a scheduler and return at once; it reports to the hub when it listens.

    Args:
        settings: what it is told.
        in_thread: run it as a thread.
        waiting: a process that was forked beforehand; unless it is a thread, it becomes this one.
    """
    if in_thread:
        if waiting is not None:
            waiting.stop()
            waiting.wait(WAIT_S)
            waiting.close()
        return SchedulerThread(settings)
    process = waiting or _execute()
    process.tell(settings)
    return process


def main() -> int:
    """Be the process that `SchedulerProcess` started; returns an exit code."""
    set_title("ipp-scheduler", "ipcontroller: scheduler")
    for signum in (signal.SIGINT, signal.SIGHUP):  # what a terminal sends is the hub's business
        signal.signal(signum, signal.SIG_IGN)
    from hippodrome.scheduler.server import serve  # while the hub finds out what to tell

    logging.basicConfig(format=LOG_FORMAT)
    received = b""
    while not received.endswith(END_OF_SETTINGS):
        chunk = os.read(0, 1 << 16)
        if not chunk:
            return 1  # the parent died before it had said anything
        received += chunk
    settings = msgspec.msgpack.decode(received[: -len(END_OF_SETTINGS)], type=SchedulerSettings)
    if settings.log_file:
        logging.basicConfig(format=LOG_FORMAT, filename=settings.log_file, force=True)
    try:
        with stop_pipe([signal.SIGTERM], then=signal.SIG_IGN) as stop_fd:  # it ends anyway
            return serve(settings, 0, stop_fd)
    except ClusterError as error:
        log.error("%s", error)  # noqa: TRY400 - a message: the user can mend this
        return 1


def launch_scheduler(
    in_addr: str,
    out_addr: str,
    mon_addr: str,
    not_addr: str,
    reg_addr: str,
    config: Mapping[str, Any] | None = None,
    logname: str = "root",
    log_url: str | None = None,
    loglevel: int = logging.DEBUG,
    identity: bytes | str = b"task",
    in_thread: bool = False,
) -> RunningScheduler:
    """Start a scheduler as a process, or with *in_thread* as a thread of this one.

    Clients and engines share one endpoint, and everything that concerns the hub goes over one
    connection; the names of the arguments are those that users of this model know.

    Args:
        in_addr: the endpoint, ``ipc://<directory>/endpoint``, in a directory closed to others.
        out_addr: the endpoint for engines: the same, or empty.
        mon_addr: where the hub listens, as does *not_addr* and *reg_addr*: the same or empty.
        not_addr: see *mon_addr*.
        reg_addr: the hub's address.
        config: ``{"scheme_name": ..., "hwm": ...}``, on its own or under ``"TaskScheduler"``.
        logname: the logger to take the level of; accepted for compatibility.
        log_url: where to send the log; accepted for compatibility, must be None.
        loglevel: from which level on messages are logged.
        identity: accepted for compatibility; peers are told apart by what the endpoint knows.
        in_thread: run it as a thread.

    Returns:
        What was started.

    Raises:
        LaunchError: the addresses do not fit together, or an option is unknown.
    """
    if out_addr not in ("", in_addr):
        raise LaunchError("clients and engines share one endpoint: out_addr must be in_addr")
    if {mon_addr, not_addr} - {"", reg_addr}:
        raise LaunchError("the hub has one address: mon_addr and not_addr must be reg_addr")
    if log_url is not None:
        raise LaunchError("a scheduler logs to stderr: log_url is not supported")
    if not in_addr.startswith(IPC) or Path(in_addr).name != SOCKET_NAME:
        raise LaunchError(f"in_addr must be ipc://<directory>/{SOCKET_NAME}, not {in_addr!r}")
    options = dict(config or {})
    options = dict(options.get("TaskScheduler", options))
    scheme, hwm = options.pop("scheme_name", "leastload"), options.pop("hwm", AUTO)
    if options or scheme not in SCHEME_NAMES:
        raise LaunchError(f"options are scheme_name (one of {', '.join(SCHEME_NAMES)}) and hwm")
    if hwm != "auto" and not isinstance(hwm, int):
        raise LaunchError(f"hwm is a number of tasks or 'auto', not {hwm!r}")
    settings = SchedulerSettings(
        socket_dir=str(Path(in_addr.removeprefix(IPC)).parent),
        hub_address=reg_addr,
        scheme=scheme,
        hwm=AUTO if hwm == "auto" else hwm,
        log_level=loglevel,
    )
    return start(settings, in_thread=in_thread)
