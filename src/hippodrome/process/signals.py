"""The signals that ask a program to stop, and handlers that take them for a while."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import Any, Final

from hippodrome.process.wakepipe import WakePipe

Handler = Callable[[int, FrameType | None], Any]  # Any: what a handler returns is not looked at

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stopping_signals() -> list[signal.Signals]:
    """Return the signals that ask this program to stop; SIGHUP is none under ``nohup``."""
    return [
        signum
        for signum in STOPPING
        if signum is not signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN
    ]


@contextmanager
def handled(signums: Iterable[int], handler: Handler, then: Any = None) -> Iterator[None]:
    """Let *handler* take signals for a while. Main thread only.

    Args:
        signums: which.
        handler: as for `signal.signal`.
        then: what takes them afterwards; by default whatever did so before.
    """
    before = {signum: signal.signal(signum, handler) for signum in signums}
    try:
        yield
    finally:
        for signum, former in before.items():
            signal.signal(signum, former if then is None else then)


@contextmanager
def stop_pipe(signums: Iterable[int] | None = None, then: Any = None) -> Iterator[int]:
    """Yield a descriptor that becomes readable when somebody asks this program to stop.

    Args:
        signums: which signals do so; by default all of `stopping_signals`.
        then: what takes them afterwards; by default whatever did so before.
    """
    wakes = WakePipe()
    wanted = stopping_signals() if signums is None else signums
    with closing(wakes), handled(wanted, lambda _signum, _frame: wakes.wake(), then):
        yield wakes.fd
