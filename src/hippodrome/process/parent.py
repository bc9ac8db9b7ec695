"""The pipe from whoever started a supervisor, which must not outlive them."""

from __future__ import annotations

import os
import select
from typing import Final

_READ_BYTES: Final = 256


def has_ended(parent_fd: int) -> bool:
    """Return whether the other end of the pipe is closed; never waits."""
    poller = select.poll()
    poller.register(parent_fd, select.POLLIN)
    return bool(poller.poll(0)) and not os.read(parent_fd, _READ_BYTES)
