"""Who is silent, and for how long: supervisors, and the engines that they beat for.

A supervisor beats for all its engines, so that an engine whose interpreter is busy for a minute
is not taken for dead; it leaves out only those whose process is stopped. When the hub itself was
held up, or the scheduler, through which all news comes, everyone would seem silent; so only time in
which both were there to listen is held against anyone.
"""

from __future__ import annotations

import enum

from hippodrome.protocol.messages import PeerId
from hippodrome.protocol.silence import ListeningClock

DEAF_AFTER_S = 2.5  # without a word of the scheduler, which says something each second


class Silence(enum.Enum):
    """How silent somebody is."""

    NONE = "none"
    SUSPECT = "suspect"
    LOST = "lost"


class Attention:
    """Time that counts: in which this process ran, and the scheduler was heard.

    Attributes:
        time: how much of it there was, in seconds.
    """

    def __init__(self) -> None:
        self.time: float = 0.0
        self._clock = ListeningClock()
        self._heard_at = 0.0
        self._was_heard = True

    def hear(self) -> None:
        """The scheduler said something."""
        self._was_heard = True

    def tick(self, now: float) -> float:
        """It is *now* on a monotonic clock; return `time`."""
        before = self._clock.time
        after = self._clock.tick(now)
        if self._was_heard:
            self._was_heard, self._heard_at = False, after
        if after - self._heard_at < DEAF_AFTER_S:
            self.time += after - before
        return self.time


class Liveness:
    """When each supervisor, or each engine, was last heard.

    Args:
        suspect_after_s: silence after which there is no new work.
        lost_after_s: silence after which it is given up.
    """

    def __init__(self, suspect_after_s: float, lost_after_s: float) -> None:
        self._suspect_after_s = suspect_after_s
        self._lost_after_s = lost_after_s
        self._heard: dict[PeerId, float] = {}
        self._verdict: dict[PeerId, Silence] = {}

    def hear(self, peer: PeerId, now: float) -> bool:
        """*peer* was heard; True if it had been silent. *now* is as `Attention` counts."""
        self._heard[peer] = now
        return self._verdict.pop(peer, Silence.NONE) is not Silence.NONE

    def forget(self, peer: PeerId) -> None:
        """*peer* is gone."""
        self._heard.pop(peer, None)
        self._verdict.pop(peer, None)

    def tick(self, now: float) -> list[tuple[PeerId, Silence]]:
        """Return those about whom the verdict has got worse."""
        worse: list[tuple[PeerId, Silence]] = []
        for peer, at in self._heard.items():
            verdict = self._judge(now - at)
            if verdict is not self._verdict.get(peer, Silence.NONE):
                self._verdict[peer] = verdict
                worse.append((peer, verdict))
        return worse

    def _judge(self, silent_s: float) -> Silence:
        if silent_s >= self._lost_after_s:
            return Silence.LOST
        return Silence.SUSPECT if silent_s >= self._suspect_after_s else Silence.NONE
