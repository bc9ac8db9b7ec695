"""The thread of a larder: what takes long, one thing after the other, what is asked for first."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Final

from hippodrome.process.handover import Call, Handover

log: logging.Logger = logging.getLogger(__name__)

CLOSE_S: Final = 3.0


class Worker:
    """Does things on a thread of its own, and hands back to the one that calls `collect`.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._urgent: deque[Call] = deque()
        self._calls: deque[Call] = deque()
        self._is_busy = False
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._answers = Handover()

    @property
    def wake_fd(self) -> int | None:
        """The descriptor that tells of something to collect; None once it is closed."""
        return self._answers.fd

    def do(self, call: Call, *, urgent: bool = False) -> None:
        """Have *call* called on the thread."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            (self._urgent if urgent else self._calls).append(call)
            self._changed.notify_all()

    def later(self, call: Call) -> None:
        """Have *call* called by `collect`; on any thread."""
        self._answers.later(call)

    def collect(self) -> None:
        """Call what is to be called on this thread."""
        self._answers.collect()

    def wait_done(self, timeout_s: float) -> bool:
        """Wait until all is done; tell whether it is."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not (self._urgent or self._calls or self._is_busy), timeout_s
            )

    def close(self) -> bool:
        """Do what is left, if that can be done in time; tell whether the thread has ended."""
        has_ended = True
        if self._thread is not None:
            self.wait_done(CLOSE_S)
            with self._changed:
                self._is_closing = True
                self._changed.notify_all()
            self._thread.join(CLOSE_S)
            has_ended = not self._thread.is_alive()
        self._answers.close(is_last=has_ended)
        return has_ended

    def _run(self) -> None:
        while (call := self._next()) is not None:
            try:
                call()
            except Exception:  # whatever it was, the others are not to wait for ever
                log.exception("%s: one thing failed", self._name)
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()

    def _next(self) -> Call | None:
        with self._changed:
            self._changed.wait_for(lambda: self._urgent or self._calls or self._is_closing)
            if self._is_closing:
                return None
            self._is_busy = True
            return (self._urgent or self._calls).popleft()
