"""Silence: for how long somebody was not heard by one who listened, and when that is too long.

Pure. Who is stopped, suspended or swapped out hears nothing meanwhile, which says nothing about
others. So time counts only as far as its owner was there to listen, which it shows by ticking.
Silence is not death either: it is waited out for as long as patience lasts, and said aloud once.
"""

from __future__ import annotations

import enum
from typing import Final

PATIENCE_S: Final = 120.0
REGISTRATION_S: Final = 60.0
NOTICE_AFTER_S: Final = 10.0
_STEP_S: Final = 1.0  # the most that counts between two ticks, which are half of this apart


class ListeningClock:
    """A clock that stands still while its owner does not run.

    Attributes:
        time: for how long its owner has listened, in seconds.
    """

    def __init__(self) -> None:
        self.time: float = 0.0
        self._ticked: float | None = None

    def tick(self, now: float) -> float:
        """It is *now* on a monotonic clock; return `time`."""
        if self._ticked is not None:
            self.time += min(max(now - self._ticked, 0.0), _STEP_S)
        self._ticked = now
        return self.time


class News(enum.Enum):
    """A change that befell somebody whose silence is watched."""

    NONE = "none"
    LONG = "long"  # silent for so long that a person should know
    OVER = "over"  # silent for longer than patience lasts
    BACK = "back"  # heard again after either


class Patience:
    """Watches the silence of one peer.

    Args:
        patience_s: how much of it is waited out.

    Attributes:
        silent_s: for how long it lasts, as of the last tick.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self.silent_s: float = 0.0
        self._patience_s = patience_s
        self._clock = ListeningClock()
        self._was_heard = True
        self._heard_at = 0.0
        self._last = News.NONE

    @property
    def listened_s(self) -> float:
        """For how long the peer has been listened to, as of the last tick."""
        return self._clock.time

    def hear(self) -> None:
        """The peer was heard."""
        self._was_heard = True

    def tick(self, now: float) -> News:
        """Return what is new at *now*, each piece of news once."""
        time = self._clock.tick(now)
        if self._was_heard:
            self._was_heard, self._heard_at = False, time
        self.silent_s = time - self._heard_at
        state = self._judge()
        if state is self._last:
            return News.NONE
        self._last = state
        return News.BACK if state is News.NONE else state

    def _judge(self) -> News:
        if self.silent_s >= self._patience_s:
            return News.OVER
        return News.LONG if self.silent_s >= NOTICE_AFTER_S else News.NONE
