"""Hands calls from other threads over to the thread of a loop."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from hippodrome.process.wakepipe import WakePipe

log: logging.Logger = logging.getLogger(__name__)

Call = Callable[[], object]


class Handover:
    """Calls that wait for the loop.

    Attributes:
        fd: readable when there is something to collect; None once it is closed.
    """

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()
        self._wakes = WakePipe()
        self.fd: int | None = self._wakes.fd

    def later(self, call: Call) -> None:
        """Have *call* called by `collect`. Any thread."""
        self._calls.append(call)
        with suppress(BrokenPipeError):  # nobody listens any more
            self._wakes.wake()

    def collect(self) -> None:
        """Call what is to be called; one that fails does not end those behind it."""
        if self.fd is not None:
            self._wakes.clear()
        while self._calls:
            try:
                self._calls.popleft()()
            except Exception:
                log.exception("what was handed over was not answered")

    def close(self, *, is_last: bool) -> None:
        """Listen no more.

        Args:
            is_last: no thread uses this any more, so that nothing of it has to stay open.
        """
        if self.fd is None:
            return
        os.close(self.fd)
        self.fd = None
        if is_last:
            os.close(self._wakes.write_fd)
