"""Who is silent, and for how long: supervisors, and the engines that they beat for.

A supervisor beats for all its engines, so that an engine whose interpreter is busy for a minute
is not taken for dead; it leaves out only those whose process is stopped. Only monotonic time
counts. When the hub itself was held up, everyone would seem silent; so time during which nobody
listened is not held against anyone.
"""

from __future__ import annotations

import enum

from hippodrome.protocol.messages import PeerId

LISTENED_S = 2.5  # ticks further apart than this mean that the hub was not listening


class Silence(enum.Enum):
    """How silent somebody is."""

    NONE = "none"
    SUSPECT = "suspect"
    LOST = "lost"


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
        self._ticked: float | None = None

    def hear(self, peer: PeerId, now: float) -> bool:
        """*peer* was heard; True if it had been silent."""
        self._heard[peer] = now
        return self._verdict.pop(peer, Silence.NONE) is not Silence.NONE

    def forget(self, peer: PeerId) -> None:
        """*peer* is gone."""
        self._heard.pop(peer, None)
        self._verdict.pop(peer, None)

    def tick(self, now: float) -> list[tuple[PeerId, Silence]]:
        """Return those about whom the verdict has got worse."""
        if self._ticked is not None and now - self._ticked > LISTENED_S:
            missed_s = now - self._ticked
            self._heard = {peer: at + missed_s for peer, at in self._heard.items()}
        self._ticked = now
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
