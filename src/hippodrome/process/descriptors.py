"""Descriptors: writes of which one call may take only a part, and what is behind them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from typing import Final

PIECE_BYTES: Final = 8 << 20  # a signal is handled after each
READ_BYTES: Final = 1 << 16

Streams = dict[int, Callable[[bytes], None]]


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


def take_in(streams: Streams, descriptor: int) -> None:
    """Hand what is there at a descriptor to who takes it; after its end it is none of *streams*."""
    data = os.read(descriptor, READ_BYTES)
    if data:
        streams[descriptor](data)
    else:
        del streams[descriptor]


def file_behind(descriptor: int) -> str:
    """Return the path of the file that a descriptor leads into; empty where there is none."""
    with contextlib.suppress(OSError):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            return path.encode(errors="backslashreplace").decode()
    return ""
