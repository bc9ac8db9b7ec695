"""Signals to an engine: KeyboardInterrupt in user code, and nowhere else.

Whether user code runs is read off the stack, not off a flag: a flag is set a moment too early
or too late, and a signal in that moment would strike our own bookkeeping. An exception that a
handler raises below `call_user` can only come out of `call_user`, where its caller expects it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

_T = TypeVar("_T")


class Stopped(BaseException):
    """Raised in user code when this process has been told to stop."""


def call_user(function: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
    """Call *function* such that signals interrupt it: only what runs below here is user code.

    Raises:
        KeyboardInterrupt: SIGINT came.
        Stopped: SIGTERM came.
    """
    return function(*args, **kwargs)


class Interrupts:
    """The signal handlers of an engine's main thread.

    Args:
        wake_fd: where to write a byte when a signal comes, so that no wait is begun in vain.

    Attributes:
        is_stopping: SIGTERM has come.
        serial: of the attempt that runs, or ran last.
    """

    def __init__(self, wake_fd: int) -> None:
        self.is_stopping: bool = False
        self.serial = 0
        self._main_thread = threading.main_thread().ident or 0
        self._only: int | None = None  # the attempt that the next interrupt is for
        self._early: int | None = None  # the one that was interrupted outside of user code
        self._wake_fd = wake_fd
        self._handlers = {signal.SIGINT: self._on_interrupt, signal.SIGTERM: self._on_terminate}

    def install(self) -> None:
        """Take over SIGINT and SIGTERM, also from user code that did. On the main thread only."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._handlers)
        for signum, handler in self._handlers.items():
            if signal.getsignal(signum) is not handler:  # to ask costs less than to set
                signal.signal(signum, handler)
        signal.set_wakeup_fd(self._wake_fd, warn_on_full_buffer=False)

    def interrupt(self, serial: int) -> None:
        """Interrupt the attempt *serial*, and no other if it has just ended. Any thread."""
        self._only = serial
        signal.pthread_kill(self._main_thread, signal.SIGINT)

    @property
    def is_pending(self) -> bool:
        """Whether an interrupt has not been noticed yet."""
        return self._only is not None

    def repeat(self) -> None:
        """Send it again: a signal that comes just before the main thread waits ends no wait."""
        if signal.getsignal(signal.SIGINT) is not self._handlers[signal.SIGINT]:
            self._only = None  # user code has its own: once is what it expects
        if self.is_pending:
            signal.pthread_kill(self._main_thread, signal.SIGINT)

    def restore_in_children(self) -> None:
        """Let forked children have the usual handlers, and never wake their parent."""
        os.register_at_fork(after_in_child=_restore_defaults)

    def begin(self, serial: int) -> None:
        """User code of the attempt *serial* begins; called below `call_user`.

        Raises:
            KeyboardInterrupt: it was meant to be interrupted before it came so far.
            Stopped: this process was told to stop before it came so far.
        """
        if self.is_stopping:
            raise Stopped
        if self._early == serial:
            raise KeyboardInterrupt

    def _on_interrupt(self, _signum: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True  # users want to see their own frames
        only, self._only = self._only, None
        if _is_user_code(frame):
            if only is None or only == self.serial:
                raise KeyboardInterrupt
        elif only is not None:
            self._early = only  # it is about to begin, or over

    def _on_terminate(self, _signum: int, frame: FrameType | None) -> None:
        self.is_stopping = True
        if _is_user_code(frame):
            raise Stopped


def _is_user_code(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is call_user.__code__:
            return True
        frame = frame.f_back
    return False


def _restore_defaults() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
