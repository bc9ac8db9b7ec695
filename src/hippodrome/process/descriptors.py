"""Descriptors: writes of which one call may take only a part, and what is behind them."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Final

PIECE_BYTES: Final = 8 << 20  # a signal is handled after each


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of *data*, from where the descriptor is.

    Args:
        descriptor: one that blocks.
        data: bytes; of what has other items, its ``cast("B")``.

    Raises:
        OSError: nobody listens, or there is no room.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view[:PIECE_BYTES]) :]


def file_behind(descriptor: int) -> str:
    """Return the path of the file that a descriptor leads into; empty where there is none."""
    with contextlib.suppress(OSError):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            return path.encode(errors="backslashreplace").decode()
    return ""
