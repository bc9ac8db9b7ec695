"""Large messages: cut for their way, and put together again.

What is encrypted, sent and decrypted in one go holds up everything beside it for as long, and
needs its size in memory once more at each step. So a message of more than 2 MiB leaves as `Part`
messages of 1 MiB, numbered like any others. The bytes of its frames, the body first, are one long
row; each part brings the next of them, and the first part says how long each frame is.

What is put together takes up as much memory as has come of it, whatever was announced.
"""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from hippodrome.errors import ProtocolError
from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.messages import Part

PIECE_BYTES: Final = 1 << 20
WHOLE_BYTES: Final = 2 << 20  # up to here a message leaves as it is
MOST_BYTES: Final = 16 << 30  # in one message
MAPPED_BYTES: Final = 256 << 10  # a frame from here on gets pages of its own
MANY_FRAMES: Final = 1 << 16  # of a message; beyond it each costs as if it had
FRAME_BYTES: Final = 1024
_PRIVATE: Final = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


class Pieces:
    """The pieces that make up one message, cut when they are asked for and as often.

    Args:
        frames: of the message; not copied.
        piece_bytes: in each piece but the last.
    """

    def __init__(self, frames: Sequence[Buffer], piece_bytes: int = PIECE_BYTES) -> None:
        self._views = [memoryview(frame).cast("B") for frame in frames]
        self._sizes = [view.nbytes for view in self._views]
        self._ends = list(accumulate(self._sizes))
        self._piece_bytes = piece_bytes

    def __len__(self) -> int:
        return -(-self._ends[-1] // self._piece_bytes)

    def size_bytes(self, index: int) -> int:
        """Return how much of the message is in a piece."""
        return min(self._piece_bytes, self._ends[-1] - index * self._piece_bytes)

    def make(self, index: int) -> tuple[Part, Frames]:
        """Return a piece, counted from 0: the message and its buffers."""
        start = index * self._piece_bytes
        left = self.size_bytes(index)
        place = bisect_right(self._ends, start)
        at = start - (self._ends[place] - self._sizes[place])
        buffers: Frames = []
        while left:
            view = self._views[place][at : at + left]
            if view.nbytes:
                buffers.append(view)
            left -= view.nbytes
            place, at = place + 1, 0
        return Part([] if index else self._sizes), buffers


class Joiner:
    """Puts the messages of one stream together again, one at a time.

    Args:
        most_bytes: a message that would be larger is passed over.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._assembly: _Assembly | None = None
        self._passes_over = False

    @property
    def is_joining(self) -> bool:
        """Whether there is a part of a message, and not the rest."""
        return self._assembly is not None

    def take(self, part: Part, buffers: Sequence[Buffer]) -> Frames | None:
        """Take the next part, and return the frames of the message if it was the last one.

        Raises:
            ProtocolError: it is not the next part of anything, or of what is too large.
        """
        if part.sizes:
            self._begin(part.sizes)
        assembly = self._assembly
        if assembly is None:
            if self._passes_over:
                return None
            raise ProtocolError("a part of no message")
        try:
            for buffer in buffers:
                assembly.add(memoryview(buffer).cast("B"))
        except ProtocolError:
            self.forget()
            raise
        if not assembly.is_complete:
            return None
        self._assembly = None
        return assembly.frames

    def forget(self) -> None:
        """Drop what there is of a message; the rest of it will be passed over."""
        self._assembly, self._passes_over = None, True

    def _begin(self, sizes: list[int]) -> None:
        is_in_between = self._assembly is not None
        self.forget()
        if is_in_between:
            raise ProtocolError("a message began in the middle of another one")
        if min(sizes) < 0 or sum(sizes) > self._most_bytes:
            raise ProtocolError(f"a message of {sum(sizes)} bytes; the most is {self._most_bytes}")
        if len(sizes) > max(MANY_FRAMES, sum(sizes) // FRAME_BYTES):
            raise ProtocolError(f"a message of {len(sizes)} frames in {sum(sizes)} bytes")
        self._assembly, self._passes_over = _Assembly(sizes), False


class _Assembly:
    """One message of which a part has come."""

    def __init__(self, sizes: list[int]) -> None:
        self.frames: Frames = []
        self._sizes = sizes
        self._target = memoryview(b"")
        self._at = 0
        self._next_frame()

    @property
    def is_complete(self) -> bool:
        return len(self.frames) == len(self._sizes)

    def add(self, view: memoryview) -> None:
        while view.nbytes:
            if self.is_complete:
                raise ProtocolError("more of a message than was announced")
            n = min(view.nbytes, self._target.nbytes - self._at)
            self._target[self._at : self._at + n] = view[:n]
            self._at += n
            view = view[n:]
            if self._at == self._target.nbytes:
                self.frames.append(self._target)
                self._next_frame()

    def _next_frame(self) -> None:
        """Make room for the next frame that is not empty."""
        self._at = 0
        while not self.is_complete:
            size_bytes = self._sizes[len(self.frames)]
            self._target = room_for(size_bytes)
            if size_bytes:
                return
            self.frames.append(self._target)
        self._target = memoryview(b"")


def room_for(size_bytes: int) -> memoryview:
    """Return memory whose pages, if there are many, come only when they are written to.

    They also go at once when nobody needs them any more. Private, so that a forked child has its
    own.

    Raises:
        ProtocolError: there is no room.
    """
    if size_bytes < MAPPED_BYTES:
        return memoryview(bytearray(size_bytes))
    try:
        return memoryview(mmap.mmap(-1, size_bytes, flags=_PRIVATE))
    except (OSError, OverflowError, ValueError) as error:
        raise ProtocolError(f"no room for a frame of {size_bytes} bytes: {error}") from None
