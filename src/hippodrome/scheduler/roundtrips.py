"""How far away an engine is: the time from an assignment to its outcome in which nothing ran.

Only an engine that held nothing tells it, as its first attempt begins when it arrives; how long
attempts ran, the engine says itself, so that long ones are not taken for a long way. What holds up
a message makes a trip longer and never shorter: of the latest trips the shortest counts, and one
alone counts for nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Final

LATEST: Final = 8
FEWEST: Final = 2
NEAR_S: Final = 0.0025  # no farther: what an engine holds anyway covers it
MOST_S: Final = 1.0


class RoundTrips:
    """The way to one engine and back.

    Attributes:
        away_s: how long it takes, as far as that matters; 0.0 for one that is near.
    """

    __slots__ = ("_asked_at", "_latest", "away_s")

    def __init__(self) -> None:
        self.away_s: float = 0.0
        self._asked_at: float | None = None
        self._latest: deque[float] = deque(maxlen=LATEST)

    def ask(self, now: float) -> None:
        """The engine, which holds nothing, is sent something."""
        self._asked_at = now

    def answer(self, now: float, run_s: float) -> None:
        """The first that it was sent has ended, with what came in the same message.

        Args:
            now: the time, in seconds, of the clock of `ask`.
            run_s: how long these attempts ran, as the engine says.
        """
        asked_at, self._asked_at = self._asked_at, None
        if asked_at is None:
            return
        self._latest.append(min(max(now - asked_at - max(run_s, 0.0), 0.0), MOST_S))
        if len(self._latest) >= FEWEST:
            shortest = min(self._latest)
            self.away_s = shortest if shortest > NEAR_S else 0.0

    def forget(self) -> None:
        """What was asked says nothing: the engine was given up, or asked to give back."""
        self._asked_at = None
