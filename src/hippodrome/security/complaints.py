"""What is logged of peers: who comes and goes, and who does wrong; short, and never without bound.

A storm of either must not fill the disk that holds the log. So there is room for a burst, which
comes back slowly; what was left out is counted, and the number said with the next line.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Final

from hippodrome.protocol.allowance import Allowance
from hippodrome.protocol.reading import one_line

LINES_PER_S: Final = 5
BURST: Final = 200
BACK_PER_S: Final = 0.2  # some 17,000 lines a day
NEWS_BURST: Final = 1_000  # as many engines may come at once
NEWS_BACK_PER_S: Final = 1.0


class Room:
    """Room for some lines at once, and for some more in each second.

    Args:
        burst: how many at once.
        back_per_s: how many of these come back in a second.
        most_per_s: how many there may be in one second at all; 0 is no limit.
    """

    def __init__(self, burst: int, back_per_s: float, most_per_s: int = 0) -> None:
        self._allowance = Allowance(back_per_s, burst, 0.0)
        self._most_per_s = most_per_s
        self._second = 0
        self._n_now = 0
        self._n_omitted = 0

    def take(self, now: float) -> bool:
        """Return whether there is room for a line at *now*, in seconds of a monotonic clock."""
        if int(now) != self._second:
            self._second, self._n_now = int(now), 0
        self._n_now += 1
        is_much = self._most_per_s and self._n_now > self._most_per_s
        if self._allowance.left(now) < 1.0 or is_much:
            self._n_omitted += 1
            return False
        self._allowance.take(1)
        return True

    def take_omitted(self) -> int:
        """Return how many lines had no room since this was last asked."""
        n, self._n_omitted = self._n_omitted, 0
        return n


class Complaints:
    """Logs what peers do wrong, and what goes wrong with their messages.

    Args:
        log: where to.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._room = Room(BURST, BACK_PER_S, LINES_PER_S)

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
        may = self._room.take(time.monotonic())
        if may and (n := self._room.take_omitted()):
            self._log.warning("%d complaints before this one were left out", n)
        return may


class NewsLog:
    """Logs who comes and who goes.

    Args:
        log: where to.
        level: how much they matter.
    """

    def __init__(self, log: logging.Logger, level: int = logging.INFO) -> None:
        self._log = log
        self._level = level
        self._room = Room(NEWS_BURST, NEWS_BACK_PER_S)

    def tell(self, texts: Iterable[str]) -> None:
        """Log what has happened; it may hold whatever peers say of themselves."""
        for text in texts:
            if self._room.take(time.monotonic()):
                if n := self._room.take_omitted():
                    left_out = "%d comings and goings before this one were left out"
                    self._log.log(self._level, left_out, n)
                self._log.log(self._level, "%s", one_line(text))
