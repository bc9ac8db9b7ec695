"""A page of memory that an engine writes and its supervisor can read, also after its death.

It holds the serial number of the last attempt that the engine started, and since when that has
been running. The memory has no name in any file system; its descriptor is inherited.
"""

from __future__ import annotations

import mmap
import os
from typing import Final

SIZE_BYTES: Final = 4096


def create() -> int:
    """Return the descriptor of a new page."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("hippodrome-page", os.MFD_CLOEXEC)
    else:
        import tempfile  # engines import this module too, and need none of it

        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, SIZE_BYTES)
    return descriptor


class Page:
    """Both sides' view of a page.

    Each value is one aligned machine word, stored at once, so that no reader sees half of it.

    Args:
        descriptor: from `create`; not closed, and not needed afterwards.
    """

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, SIZE_BYTES)
        view = memoryview(self._memory)
        self._serial = view[:8].cast("Q")
        self._since = view[8:16].cast("d")

    def start(self, serial: int, now: float) -> None:
        """Note that attempt *serial* starts at *now*, seconds of the monotonic clock."""
        self._serial[0] = serial
        self._since[0] = now

    def idle(self) -> None:
        """Note that nothing is running."""
        self._since[0] = 0.0

    def start_over(self) -> None:
        """Note that serial numbers begin anew."""
        self._serial[0] = 0

    @property
    def started(self) -> int:
        """Serial number of the last attempt that was started; 0 if none was."""
        return self._serial[0]

    def busy_s(self, now: float) -> float:
        """Return for how long the running attempt has run at *now*; 0.0 if none runs."""
        since = self._since[0]
        return max(0.0, now - since) if since else 0.0

    def close(self) -> None:
        """Give the memory back."""
        self._serial.release()
        self._since.release()
        self._memory.close()
