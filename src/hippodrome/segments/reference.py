"""A reference travels in place of a buffer in a segment: its name, in a small frame.

A reference begins with a random token that the controller made for this run, so that no buffer
is mistaken for one. Pure: nothing here touches a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

Buffer = Any  # bytes, memoryview, or the transport's own frame

LEAST_BYTES: Final = 256 << 10  # of a large buffer; below this a frame is as cheap
TOKEN: Final = "segments_token"  # noqa: S105 - the name of a field of a welcome
TOKEN_BYTES: Final = 16
MOST_BYTES: Final = 256
_NAME: Final = re.compile(rb"[A-Za-z0-9_-]{1,200}")


def large_bytes(frames: Sequence[Buffer]) -> int:
    """Return how many bytes the large ones of some frames hold together."""
    sizes = (memoryview(frame).nbytes for frame in frames)
    return sum(size for size in sizes if size >= LEAST_BYTES)


def encode(token: bytes, name: str) -> bytes:
    """Return the frame that refers to the segment *name*."""
    return token + name.encode("ascii")


def decode(token: bytes, frame: Buffer) -> str | None:
    """Return the name that *frame* refers to; None if it is a buffer like any other."""
    view = memoryview(frame)
    if not TOKEN_BYTES < view.nbytes <= MOST_BYTES:
        return None
    data = bytes(view)
    name = data[TOKEN_BYTES:]
    if not data.startswith(token) or not _NAME.fullmatch(name):
        return None
    return name.decode("ascii")


def names(token: bytes, buffers: Sequence[Buffer]) -> list[str]:
    """Return the segments that *buffers* refer to."""
    found = (decode(token, buffer) for buffer in buffers)
    return [name for name in found if name is not None]


def token_of(info: Mapping[str, str | int]) -> bytes:
    """Return what begins references, as a welcome tells; empty if there are none."""
    token = info.get(TOKEN)
    try:
        return bytes.fromhex(token) if isinstance(token, str) else b""
    except ValueError:
        return b""
