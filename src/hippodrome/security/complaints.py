"""Complaints about peers go to the log: a few short lines per second, and no more."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Final

from hippodrome.protocol.reading import one_line

LINES_PER_S: Final = 5


class Complaints:
    """Logs them.

    Args:
        log: where to.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._second = 0
        self._n = 0

    def warn(self, texts: Iterable[str]) -> None:
        """Log what others did wrong; it may hold whatever they sent."""
        for text in texts:
            if self._may_log():
                self._log.warning("%s", one_line(text))

    def fail(self, what: str) -> None:
        """Log the exception that is being handled: a fault of ours, of which the place matters."""
        if self._may_log():
            self._log.exception("%s", what)

    def _may_log(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._n = second, 0
        self._n += 1
        return self._n <= LINES_PER_S
