"""Writes to descriptors of which one call may take only a part."""

from __future__ import annotations

import os
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
