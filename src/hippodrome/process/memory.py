"""Memory that a flood took, given back to the system when the flood is over.

The C library keeps what was freed for later, and after a flood that may be gigabytes. Whoever has a
loop that ticks lets an `Ebb` look now and then.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

LOOK_S: Final = 2.0
AGAIN_S: Final = 30.0  # what is still in use now may be free then
AGAIN_AT_MOST_S: Final = 600.0
QUIET_BYTES: Final = 1 << 20  # with less of a change since the last look, nothing is going on
FLOOD_BYTES: Final = 32 << 20
_STATM: Final = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Return how much memory this process takes up; 0 where nobody knows."""
    with suppress(OSError, ValueError, IndexError):
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def give_back() -> None:
    """Return to the system what has been freed, as far as the C library can."""
    import ctypes

    with suppress(OSError, AttributeError):
        library: Any = ctypes.CDLL(None)  # Any: functions are looked up by name
        library.malloc_trim(0)


class Ebb:
    """Looks at the memory of this process, and gives back what a flood took.

    When it is much more than it has been, and does not change any more, something may have been
    freed: it is tried once, and ever more rarely after that for as long as nothing changes.

    Args:
        now: the monotonic time, in seconds.
        resident: tells how much memory this process takes up.
        free: gives back what it can.
    """

    def __init__(
        self,
        now: float,
        resident: Callable[[], int] = resident_bytes,
        free: Callable[[], None] = give_back,
    ) -> None:
        self._resident = resident
        self._free = free
        self._least = self._last = resident()
        self._look_due = now + LOOK_S
        self._free_due = 0.0
        self._pause_s = AGAIN_S

    def tick(self, now: float) -> None:
        """Look, if it is time; at most a few milliseconds."""
        if now < self._look_due:
            return
        self._look_due = now + LOOK_S
        before, self._last = self._last, self._resident()
        self._least = min(self._least, self._last)
        if abs(self._last - before) >= QUIET_BYTES:
            self._free_due, self._pause_s = now, AGAIN_S
        elif self._last - self._least >= FLOOD_BYTES and now >= self._free_due:
            self._free()
            self._last = self._resident()
            self._free_due = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, AGAIN_AT_MOST_S)
