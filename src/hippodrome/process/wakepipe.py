"""Ends a loop's wait, from any other thread and from a signal's handler."""

from __future__ import annotations

import os
from contextlib import suppress


class WakePipe:
    """A pipe that is polled beside what else is waited for.

    Attributes:
        fd: becomes readable when somebody calls `wake`.
        write_fd: what a byte may be written to instead.
    """

    def __init__(self) -> None:
        self.fd: int
        self.write_fd: int
        self.fd, self.write_fd = os.pipe()
        for descriptor in (self.fd, self.write_fd):
            os.set_blocking(descriptor, False)

    def wake(self, note: int = 0) -> None:
        """End the wait, or the next one. Any thread; after `close`, nothing happens.

        Args:
            note: a byte for whoever reads the pipe, instead of `clear`.
        """
        with suppress(OSError):  # it is full: the wait ends anyway
            os.write(self.write_fd, bytes((note,)))

    def clear(self) -> None:
        """Let the next wait be one."""
        with suppress(BlockingIOError):
            os.read(self.fd, 4096)

    def close(self) -> None:
        """Close both ends."""
        ends = self.fd, self.write_fd
        self.fd = self.write_fd = -1  # their numbers will soon be those of other files
        for descriptor in ends:
            os.close(descriptor)
