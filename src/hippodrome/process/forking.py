"""Forking processes that go on as programs of their own, and whom they must not outlive.

A process is only forked while it has one thread and no ZeroMQ context: whatever else a fork
copied, it would copy broken. Where that cannot be had, a program is started the usual way.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Final, NoReturn

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def can_fork() -> bool:
    """Whether this process may be forked now. Never on macOS, whose libraries do not bear it."""
    return sys.platform == "linux" and threading.active_count() == 1


def fork(main: Callable[[], int], keep: Collection[int] = ()) -> int:
    """Fork a child that runs *main*, and return its process id.

    Args:
        main: what the child does; it ends with the exit code that this returns.
        keep: descriptors that the child keeps, besides the three standard ones.
    """
    _flush()  # or what is held back would be written twice
    child = os.fork()
    if child:
        return child
    _run_to_the_end(lambda: _close_all_but(keep), main)


def fork_orphan(main: Callable[[], int]) -> int:
    """Fork a grandchild that runs *main*, and return its process id.

    It has been adopted when this returns: by the next process upwards that `adopt_orphans`.

    Raises:
        OSError: there is no room for another process.
    """
    read_fd, write_fd = os.pipe()
    between = os.fork()
    if not between:
        try:
            os.close(read_fd)
            orphan = os.fork()
            if orphan:
                os.write(write_fd, str(orphan).encode())
        except BaseException:
            os._exit(1)
        if orphan:
            os._exit(0)
        _run_to_the_end(lambda: os.close(write_fd), main)
    os.close(write_fd)
    os.waitpid(between, 0)
    said = os.read(read_fd, 64)  # no later than the wait, for both ends of the pipe
    os.close(read_fd)
    if not said:
        raise OSError("no process could be forked")
    return int(said)


def die_with_parent(parent: int) -> bool:
    """Let the kernel kill this process when its parent dies, where it can do that.

    Args:
        parent: the parent's process id.

    Returns:
        whether the parent was still alive, and there is something to go on for.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def adopt_orphans(yes: bool) -> bool:
    """Become the parent of whatever is orphaned below this process, or cease to.

    Returns:
        whether that is possible here.
    """
    return _prctl(_PR_SET_CHILD_SUBREAPER, int(yes))


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    import ctypes

    prctl: Any = ctypes.CDLL(None).prctl  # Any: what C declares, Python does not
    return bool(prctl(option, *(ctypes.c_ulong(n) for n in (value, 0, 0, 0))) == 0)


def _close_all_but(keep: Collection[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            with suppress(OSError):  # the one by which the directory was read
                os.close(int(name))


def _run_to_the_end(*functions: Callable[[], int | None]) -> NoReturn:
    """Run *functions*, then end as a program does, but without unwinding its parent's stack."""
    code: int | None = 1
    try:
        for function in functions:
            code = function()
    except BaseException:  # this is the outermost frame of a process
        code = 1
        traceback.print_exc()
    finally:
        try:
            threading._shutdown()  # type: ignore[attr-defined]  # what an interpreter does
            atexit._run_exitfuncs()
            _flush()
        finally:
            os._exit(code or 0)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with suppress(AttributeError, OSError, ValueError):  # it is none, broken, or closed
            stream.flush()  # type: ignore[union-attr]
