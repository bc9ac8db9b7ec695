"""When a supervisor leaves by itself: its host's time is nearly up, or there was no work for long.

Before the end it closes: its engines get no new work, what has not begun goes elsewhere, and it
leaves as soon as they are idle. Pure: times in, a reason out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from hippodrome.protocol.messages import PeerId

CLOSE_S: Final = 60.0  # before the end of the time that a host has; a tenth of it if that is less
LEAVE_S: Final = 5.0
_SHARE: Final = 0.1
_SETTLED_S: Final = 2.0  # what was on its way when it began to close has come by then


class Term(msgspec.Struct):
    """How long a supervisor serves.

    Attributes:
        leaves_at: when it leaves whatever its engines do.
        closes_at: from when on its engines get no new work.
        idle_s: after how long without work it leaves.
        idle_since: since when no engine has had any.
        started: the number of the last task that each had begun then.
    """

    leaves_at: float = math.inf
    closes_at: float = math.inf
    idle_s: float = math.inf
    idle_since: float = math.inf
    started: Mapping[PeerId, int] = {}

    @classmethod
    def of(cls, now: float, left_s: float = math.inf, idle_s: float = math.inf) -> Term:
        """Return the term of a supervisor that begins *now*, and has *left_s* seconds."""
        if left_s == math.inf or left_s <= 0.0:  # whoever says so has another clock
            return cls(idle_s=idle_s)
        margin_s = min(CLOSE_S, _SHARE * left_s)
        return cls(now + left_s - min(LEAVE_S, margin_s / 2), now + left_s - margin_s, idle_s)

    def close(self, now: float) -> None:
        """Somebody says that the end is near."""
        self.closes_at = min(self.closes_at, now)

    def is_closing(self, now: float) -> bool:
        """Whether engines get no new work."""
        return now >= self.closes_at

    def look(
        self, now: float, busy_s: Mapping[PeerId, float], started: Mapping[PeerId, int]
    ) -> str:
        """Return why to leave now; empty if there is no reason.

        Args:
            now: the monotonic time, in seconds.
            busy_s: for how long each engine has been in its current task; 0.0 if it is in none.
            started: the number of the last task that each has begun.
        """
        has_worked = any(busy_s.values()) or dict(started) != self.started
        if has_worked or self.idle_since == math.inf:
            self.started, self.idle_since = dict(started), now
        if now >= self.leaves_at:
            return "the time of this host is up"
        if now >= max(self.idle_since, self.closes_at) + _SETTLED_S:
            return "the time of this host is nearly up, and its engines are idle"
        if now >= self.idle_since + self.idle_s:
            return f"there was no work for {self.idle_s:g} s"
        return ""
