"""Which process of this host stands behind a connection file: proof before any signal.

A number of a process is given to another one when it is free. So it counts for nothing unless that
process, or the scheduler below it, has the very socket that the file names.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from typing import TYPE_CHECKING

from hippodrome.cluster.asking import wait_until
from hippodrome.security.connection_file import ConnectionInfo

if TYPE_CHECKING:
    import psutil


def is_here(info: ConnectionInfo) -> bool:
    """Tell whether the controller of *info* is, or was, on this host."""
    return not info.host or info.host == socket.gethostname()


def holder(info: ConnectionInfo) -> psutil.Process | None:
    """Return the controller's process, if it runs on this host and is certainly that one."""
    import psutil

    if not is_here(info) or info.pid <= 0:
        return None
    paths = {address.removeprefix("ipc://") for address in info.addresses}
    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(info.pid)
        if not has_ended(process) and any(_sockets(one) & paths for one in _family(process)):
            return process
    return None


def stopped(info: ConnectionInfo) -> list[int]:
    """Return those of the controller's processes that were stopped, as by SIGSTOP."""
    import psutil

    process = holder(info)
    with contextlib.suppress(psutil.Error):
        family = [] if process is None else _family(process)
        return [one.pid for one in family if one.status() == psutil.STATUS_STOPPED]
    return []


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process has ended, also if nobody has taken note of it yet."""
    import psutil

    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def end(process: psutil.Process, timeout_s: float) -> None:
    """End a controller: ask by a signal, and after *timeout_s* kill it and what is below it."""
    import psutil

    below: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        below = process.children(recursive=True)
        process.send_signal(signal.SIGTERM)
    if not wait_until(lambda: has_ended(process), timeout_s):
        for one in [process, *below]:
            with contextlib.suppress(psutil.Error):
                one.kill()
        wait_until(lambda: all(map(has_ended, [process, *below])), timeout_s)


def _family(process: psutil.Process) -> list[psutil.Process]:
    """Return the hub and what is below it: the scheduler."""
    return [process, *process.children()]


def _sockets(process: psutil.Process) -> set[str]:
    """Return the paths of the private sockets that a process has; nobody is connected to."""
    look = getattr(process, "net_connections", None) or process.connections
    return {str(one.laddr) for one in look("unix")}
