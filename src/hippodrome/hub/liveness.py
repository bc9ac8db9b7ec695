"""Which supervisors are silent, and for how long.

A supervisor beats for all its engines, so that an engine whose interpreter is busy for a minute
is not taken for dead. Only monotonic time counts. When the hub itself was held up, everyone
would seem silent; so time during which nobody listened is not held against anyone.
"""

from __future__ import annotations

import enum

from hippodrome.protocol.messages import PeerId

LISTENED_S = 2.5  # ticks further apart than this mean that the hub was not listening


class Silence(enum.Enum):
    """How silent a supervisor is."""

    NONE = "none"
    SUSPECT = "suspect"
    LOST = "lost"


class Liveness:
    """When each supervisor was last heard.

    Args:
        suspect_after_s: silence after which its engines get no new work.
        lost_after_s: silence after which they are given up.
    """

    def __init__(self, suspect_after_s: float, lost_after_s: float) -> None:
        self._suspect_after_s = suspect_after_s
        self._lost_after_s = lost_after_s
        self._heard: dict[PeerId, float] = {}
        self._verdict: dict[PeerId, Silence] = {}
        self._ticked: float | None = None

    def hear(self, node: PeerId, now: float) -> bool:
        """*node* was heard; True if it had been silent."""
        self._heard[node] = now
        return self._verdict.pop(node, Silence.NONE) is not Silence.NONE

    def forget(self, node: PeerId) -> None:
        """*node* is gone."""
        self._heard.pop(node, None)
        self._verdict.pop(node, None)

    def tick(self, now: float) -> list[tuple[PeerId, Silence]]:
        """Return the supervisors about which the verdict has got worse."""
        if self._ticked is not None and now - self._ticked > LISTENED_S:
            missed_s = now - self._ticked
            self._heard = {node: at + missed_s for node, at in self._heard.items()}
        self._ticked = now
        worse: list[tuple[PeerId, Silence]] = []
        for node, at in self._heard.items():
            verdict = self._judge(now - at)
            if verdict is not self._verdict.get(node, Silence.NONE):
                self._verdict[node] = verdict
                worse.append((node, verdict))
        return worse

    def _judge(self, silent_s: float) -> Silence:
        if silent_s >= self._lost_after_s:
            return Silence.LOST
        return Silence.SUSPECT if silent_s >= self._suspect_after_s else Silence.NONE
