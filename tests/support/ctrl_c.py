"""Ctrl-C, as a person presses it: a signal for the main thread, at a moment that a test chooses."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

PATIENCE_S = 30.0


class CtrlC:
    """Sends SIGINT to the main thread when *is_so*, within its block.

    Attributes:
        at: when, by the monotonic clock.
    """

    def __init__(self, is_so: Callable[[], bool]) -> None:
        self.at = 0.0
        self._is_so = is_so
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="Ctrl-C")

    def __enter__(self) -> CtrlC:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._is_so():
            if self._is_over.wait(0.005) or time.monotonic() > deadline:
                return
        self.at = time.monotonic()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
