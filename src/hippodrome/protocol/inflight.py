"""How much of what need not arrive is on its way.

Live output is passed on only while the other side keeps up. Messages are counted by their bytes:
one may be a line of text or a film.
"""

from __future__ import annotations

from collections import deque

from hippodrome.protocol.frames import Frames
from hippodrome.protocol.stream import Stream


class InFlight:
    """Messages of one kind that *stream* has sent, and nobody has acknowledged.

    Args:
        stream: where it is sent; other messages may go there too.
        limit_bytes: with so much on its way there is no room for more. It has to be more than
            `stream.ACK_EVERY_BYTES`, or the other side's silence would be taken for slowness.
        limit_messages: the same for all messages of the stream, whatever their kind.
    """

    def __init__(self, stream: Stream, limit_bytes: int, limit_messages: int) -> None:
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._limit_messages = limit_messages
        self._sent: deque[tuple[int, int]] = deque()
        self._n_bytes = 0

    def has_room(self) -> bool:
        """Whether more may be sent now."""
        stream = self._stream
        acknowledged = stream.sent - stream.n_unacknowledged
        while self._sent and not acknowledged < self._sent[0][0] <= stream.sent:
            self._n_bytes -= self._sent.popleft()[1]  # a number too high is of an earlier session
        return (
            self._n_bytes < self._limit_bytes
            and stream.n_unacknowledged < self._limit_messages
            and not stream.is_behind
        )

    def add(self, frames: Frames) -> None:
        """Count the message that was sent last."""
        n_bytes = sum(memoryview(frame).nbytes for frame in frames)
        self._sent.append((self._stream.sent, n_bytes))
        self._n_bytes += n_bytes
