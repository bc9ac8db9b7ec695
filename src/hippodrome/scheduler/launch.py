"""Starts a scheduler as a process or as a thread, and tells when it has ended."""

from __future__ import annotations

import logging
import os
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
from hippodrome.scheduler.room import AUTO
from hippodrome.scheduler.schemes import SCHEME_NAMES
from hippodrome.scheduler.server import SchedulerSettings, serve
from hippodrome.security.paths import SOCKET_NAME

log = logging.getLogger(__name__)

IPC = "ipc://"


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
    """

    def __init__(self, settings: SchedulerSettings) -> None:
        self.ended_fd, child_end = os.pipe()
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "hippodrome.scheduler"],
                stdin=subprocess.PIPE,
                pass_fds=(child_end,),
            )
        finally:
            os.close(child_end)
        assert self._popen.stdin is not None
        self._popen.stdin.write(msgspec.msgpack.encode(settings) + END_OF_SETTINGS)
        self._popen.stdin.flush()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def stop(self) -> None:
        if self._popen.stdin is not None:
            with suppress(OSError):
                self._popen.stdin.close()

    def wait(self, timeout_s: float) -> int | None:
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        self._popen.kill()

    def close(self) -> None:
        self.stop()
        os.close(self.ended_fd)


class SchedulerThread:
    """A scheduler in a thread of this process."""

    def __init__(self, settings: SchedulerSettings) -> None:
        self.ended_fd, self._ended = os.pipe()
        self._parent_fd, self._alive = os.pipe()
        self._code: int | None = None
        self._thread = threading.Thread(
            target=self._run, args=(settings,), name="scheduler", daemon=True
        )
        self._thread.start()

    def _run(self, settings: SchedulerSettings) -> None:
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


def start(settings: SchedulerSettings, *, in_thread: bool) -> RunningScheduler:
    """Start a scheduler and return at once; it reports to the hub when it listens."""
    return SchedulerThread(settings) if in_thread else SchedulerProcess(settings)


def main() -> int:
    """Be the process that `SchedulerProcess` started; returns an exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the hub's business
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    received = b""
    while not received.endswith(END_OF_SETTINGS):
        chunk = os.read(0, 1 << 16)
        if not chunk:
            return 1  # the parent died before it had said anything
        received += chunk
    settings = msgspec.msgpack.decode(received[: -len(END_OF_SETTINGS)], type=SchedulerSettings)
    try:
        return serve(settings, 0)
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
