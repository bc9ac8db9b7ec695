"""How much may pass now, where a flood is not to: so much at once, and then so much a second."""

from __future__ import annotations


class Allowance:
    """Grows with time up to a limit, and is used up by what passes.

    Args:
        rate: how much it grows in a second.
        burst: its limit, and its beginning.
        now: in seconds of a monotonic clock.
    """

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._at = now

    def left(self, now: float) -> float:
        """Return how much there is."""
        self._left = min(self._burst, self._left + self._rate * (now - self._at))
        self._at = now
        return self._left

    def take(self, n: int) -> None:
        """Use some of it, perhaps more than there is."""
        self._left -= n
