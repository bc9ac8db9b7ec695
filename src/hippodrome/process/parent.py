"""The pipe from whoever started a supervisor, which must not outlive them."""

from __future__ import annotations

import os
import select
from typing import Final

_READ_BYTES: Final = 256


def has_ended(parent_fd: int) -> bool:
    """Return whether the other end of the pipe is closed; never waits."""
    return hear_parent(parent_fd) is None


def hear_parent(parent_fd: int) -> list[int] | None:
    """Return the signals that engines are to get, None if the other end of the pipe is closed.

    Each is a line ``signal NUMBER``. Never waits.
    """
    poller = select.poll()
    poller.register(parent_fd, select.POLLIN)
    if not poller.poll(0):
        return []
    data = os.read(parent_fd, _READ_BYTES)
    if not data:
        return None
    words = (line.split() for line in data.decode("ascii", "replace").splitlines())
    return [int(line[1]) for line in words if len(line) == 2 and line[1].isdecimal()]
