"""The signals that ask a program to stop, and handlers that take them for a while."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from hippodrome.process.wakepipe import WakePipe

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stopping_signals() -> list[signal.Signals]:
    """Return the signals that ask this program to stop; SIGHUP is none under ``nohup``."""
    return [
        signum
        for signum in STOPPING
        if signum is not signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN
    ]


@contextmanager
def handled(
    signums: Iterable[int], handler: Callable[[int, FrameType | None], Any]
) -> Iterator[None]:
    """Let *handler* take signals for a while. Main thread only."""
    before = {signum: signal.signal(signum, handler) for signum in signums}
    try:
        yield
    finally:
        for signum, former in before.items():
            # what is not Python's handler cannot be put back by Python
            signal.signal(signum, signal.SIG_DFL if former is None else former)


@contextmanager
def stop_pipe() -> Iterator[int]:
    """Yield a descriptor that becomes readable when somebody asks this program to stop."""
    wakes = WakePipe()
    try:
        with handled(stopping_signals(), lambda _signum, _frame: wakes.wake()):
            yield wakes.fd
    finally:
        wakes.close()
