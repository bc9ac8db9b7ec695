"""A page of memory that an engine writes and its supervisor can read, also after its death.

It holds the serial number of the last attempt that the engine started, since when that has been
running, and how much of its error output the engine has passed on. The memory has no name in any
file system; its descriptor is inherited.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import Final

SIZE_BYTES: Final = 4096


def create() -> int:
    """Return the descriptor of a new page."""
    descriptor = _create_nameless("page")
    os.ftruncate(descriptor, SIZE_BYTES)
    return descriptor


def create_output_file() -> int:
    """Return the descriptor of a new file at whose end every writer writes."""
    descriptor = _create_nameless("output")
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
    return descriptor


def _create_nameless(kind: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(f"hippodrome-{kind}", os.MFD_CLOEXEC)
    import tempfile  # engines import this module too, and need none of it

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Page:
    """Both sides' view of a page.

    No lock is needed: only the engine writes, and each value is one aligned machine word, stored at
    once, so that no reader sees half of it. Of the two that `start` writes a reader may see one:
    then an attempt seems, for one look, to have run for as long as the one before it, or not to
    run. The serial number is first, as it counts after death: an attempt that is named and did not
    run is taken for begun, and fails; the other way round it might run twice.

    Args:
        descriptor: from `create`; not closed, and not needed afterwards.
    """

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, SIZE_BYTES)
        view = memoryview(self._memory)
        self._serial = view[:8].cast("Q")
        self._since = view[8:16].cast("d")
        self._passed_on = view[16:24].cast("Q")

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

    def passed_on(self, n: int) -> None:
        """Note that *n* bytes have been read of the file that descriptor 2 leads into."""
        self._passed_on[0] = n

    @property
    def n_passed_on(self) -> int:
        """How many bytes the engine has read of that file."""
        return self._passed_on[0]

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
        self._passed_on.release()
        self._memory.close()
