"""Numbered messages in both directions, so that what a connection loses is sent again.

ZeroMQ keeps order and loses nothing while a connection lives; a connection that is replaced
takes with it whatever was on its way. So each message of a stream has a number, each head
acknowledges what came the other way, and the sender keeps a message until it is acknowledged.
A receiver takes messages in order only: it drops duplicates, and at a gap asks for the rest
again. For as long as both processes live, each message is therefore handled exactly once.

A large message goes in pieces (`pieces`), each with a number of its own. And only so many bytes
are under way at a time: the rest waits here, where it costs nothing beyond itself, until more is
acknowledged. So no queue of the transport grows with what is sent, or with who does not read.

The cost is per message, never per item. A `Stream` knows nothing of sockets or clocks: it
returns frames to send, and is told the time.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hippodrome.errors import ProtocolError
from hippodrome.protocol.frames import Buffer, Frames, encode, head, unnumbered
from hippodrome.protocol.messages import Message, Part, Sync
from hippodrome.protocol.pieces import MOST_BYTES, PIECE_BYTES, WHOLE_BYTES, Joiner, Pieces

SYNC_AFTER_S = 1.0
SYNC_AT_MOST_S = 30.0
ACK_EVERY_MESSAGES = 64
ACK_EVERY_BYTES = 4 << 20
WINDOW_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large things may be, in bytes.

    Attributes:
        whole: a larger message goes in pieces.
        piece: of these, each.
        window: of what is under way.
        owed: of what comes before it is acknowledged at the latest. A window is more than that and
            a whole message together, or each side would wait for the other.
        most: of a message that is put together.
    """

    whole: int = WHOLE_BYTES
    piece: int = PIECE_BYTES
    window: int = WINDOW_BYTES
    owed: int = ACK_EVERY_BYTES
    most: int = MOST_BYTES


SIZES: Final = Sizes()
LOCAL_SIZES: Final = Sizes(whole=MOST_BYTES)  # what is not encrypted holds up nobody


class Verdict(enum.Enum):
    """The decision that a numbered message meets."""

    HANDLE = "handle"
    DUPLICATE = "duplicate"  # handled before: drop it
    GAP = "gap"  # something before it is missing: drop it, the sender is asked again


@dataclass(slots=True)
class _Sent:
    """A message that the other side does not have yet, or not all of.

    Attributes:
        first: the number of its first piece, or of itself.
        last: the number of its last piece, or of itself.
        frames: its body and its buffers.
        size_bytes: of all of them.
        pieces: what it is cut into; None if it goes whole.
    """

    first: int
    last: int
    frames: Frames
    size_bytes: int
    pieces: Pieces | None

    def size_of(self, number: int) -> int:
        return (
            self.size_bytes if self.pieces is None else self.pieces.size_bytes(number - self.first)
        )

    def make(self, number: int, received: int) -> Frames:
        """Return the frames that go out under this number."""
        if self.pieces is None:
            return [head(number, received, self.frames[0]), *self.frames[1:]]
        part, buffers = self.pieces.make(number - self.first)
        return [head(number, received, encode(part)), *buffers]


class Stream:
    """Both directions of one connection, as one side sees them.

    Args:
        sizes: how large things may be.

    Attributes:
        sent: the highest number that has been given to a message, whether it is on its way or
            waits.
        received: the last number that came in order.
    """

    def __init__(self, sizes: Sizes = SIZES) -> None:
        self.sent: int = 0
        self.received: int = 0
        self._sizes = sizes
        self._acknowledged = 0
        self._unacknowledged: deque[_Sent] = deque()
        self._released = 0  # the highest number that has been on its way
        self._waiting: deque[_Sent] = deque()  # those with a higher number
        self._behind_bytes = 0
        self._under_way: deque[tuple[int, int]] = deque()  # number and bytes
        self._under_way_bytes = 0
        self._joiner: Joiner | None = None
        self._owed_messages = 0
        self._owed_bytes = 0
        self._asked_for = -1  # the `received` at which a resend was last asked for
        self._sync_due: float | None = None
        self._sync_delay_s = SYNC_AFTER_S

    @property
    def n_unacknowledged(self) -> int:
        return self.sent - self._acknowledged

    @property
    def is_behind(self) -> bool:
        """Whether something waits until more of what is under way has been acknowledged."""
        return bool(self._waiting)

    @property
    def behind_bytes(self) -> int:
        """How much waits until more of what is under way has been acknowledged."""
        return self._behind_bytes

    @property
    def is_passing(self) -> bool:
        """Whether a large message is on its way here or there, and needs to be looked after."""
        return bool(self._waiting) or (self._joiner is not None and self._joiner.is_joining)

    # ------------------------------------------------------------ out

    def post(self, body: Buffer, buffers: Sequence[Buffer] = ()) -> list[Frames]:
        """Number a message, and return what may go out now, of this one or those before it.

        Args:
            body: the message, encoded.
            buffers: that belong to it; not copied.
        """
        self._queue([body, *buffers])
        return self.release()

    def send(self, message: Message, buffers: Sequence[Buffer] = ()) -> Frames:
        """As `post`, of a message that is known to go out at once and whole."""
        (frames,) = self.post(encode(message), buffers)
        return frames

    def _queue(self, frames: Frames) -> None:
        size_bytes = nbytes(frames)
        first = self.sent + 1
        pieces = None
        if size_bytes > self._sizes.whole:
            pieces = Pieces(frames, self._sizes.piece)
            self.sent += len(pieces)
        else:
            self.sent = first
        item = _Sent(first, self.sent, frames, size_bytes, pieces)
        self._unacknowledged.append(item)
        self._waiting.append(item)
        self._behind_bytes += size_bytes

    def release(self) -> list[Frames]:
        """Return what may go out of what has waited: to be called when something has come."""
        out: list[Frames] = []
        waiting = self._waiting
        while waiting:
            item = waiting[0]
            number = self._released + 1
            size_bytes = item.size_of(number)
            if self._under_way and self._under_way_bytes + size_bytes > self._sizes.window:
                break
            self._released = number
            self._under_way.append((number, size_bytes))
            self._under_way_bytes += size_bytes
            self._behind_bytes -= size_bytes
            out.append(item.make(number, self.received))
            self._owed_messages = self._owed_bytes = 0
            if number == item.last:
                waiting.popleft()
        return out

    def acknowledge(self, number: int) -> None:
        """Forget the messages up to *number*: the other side has them.

        Raises:
            ProtocolError: *number* was never sent.
        """
        if number > self._released:
            raise ProtocolError(f"message {number} is acknowledged, {self._released} were sent")
        if number <= self._acknowledged:
            return
        self._acknowledged = number
        self._sync_due = None
        self._sync_delay_s = SYNC_AFTER_S
        under_way, unacknowledged = self._under_way, self._unacknowledged
        while under_way and under_way[0][0] <= number:
            self._under_way_bytes -= under_way.popleft()[1]
        while unacknowledged and unacknowledged[0].last <= number:
            unacknowledged.popleft()

    def resume(self, received: int) -> list[Frames]:
        """The connection was replaced; return what was on its way and did not arrive.

        Raises:
            ProtocolError: the other side claims to have what was never sent.
        """
        self.acknowledge(received)
        self._asked_for = -1
        return [*self.resend(), *self.release()]

    def restart(self) -> list[Frames]:
        """The other side starts anew: number everything that it may not have had from one.

        A message of which it had only pieces goes from the first of these again.
        """
        kept = list(self._unacknowledged)
        self.__init__(self._sizes)  # type: ignore[misc]
        for item in kept:
            self._queue(item.frames)
        return self.release()

    def resend(self) -> list[Frames]:
        """Return again what is under way."""
        return list(self._resent())

    def _resent(self) -> Iterator[Frames]:
        for item in self._unacknowledged:
            first = max(item.first, self._acknowledged + 1)
            for number in range(first, min(item.last, self._released) + 1):
                yield item.make(number, self.received)

    # ------------------------------------------------------------ in

    def receive(self, number: int, acknowledged: int, size_bytes: int = 0) -> Verdict:
        """Say what to do with message *number*, and note what it acknowledges.

        Raises:
            ProtocolError: it acknowledges what was never sent.
        """
        self.acknowledge(acknowledged)
        if number <= self.received:
            return Verdict.DUPLICATE
        if number > self.received + 1:
            return Verdict.GAP
        self.received = number
        self._owed_messages += 1
        self._owed_bytes += size_bytes
        return Verdict.HANDLE

    def join(self, part: Part, buffers: Sequence[Buffer]) -> Frames | None:
        """Take a part of a large message; return body and buffers of the message if it is whole.

        Raises:
            ProtocolError: it is not the next part of anything, or of what is too large.
        """
        if self._joiner is None:
            self._joiner = Joiner(self._sizes.most)
        return self._joiner.take(part, buffers)

    def on_sync(self, sync: Sync) -> list[Frames]:
        """Return what to send in answer to the other side's `Sync`."""
        self.acknowledge(sync.received)
        if sync.sent > self.received:
            answer = [self.sync(resend=True)]
        elif sync.sent and not sync.resend:
            answer = [unnumbered(Sync(0, self.received))]
        else:
            answer = []
        if sync.resend:
            answer.extend(self.resend())
        answer.extend(self.release())
        return answer

    def on_gap(self) -> list[Frames]:
        """Ask for what is missing, once for each gap; a lost question is asked again by `tick`."""
        if self._asked_for == self.received:
            return []
        self._asked_for = self.received
        return [self.sync(resend=True)]

    def acknowledgement_due(self) -> list[Frames]:
        """Acknowledge if the other side would otherwise keep a lot for a long time."""
        if self._owed_messages < ACK_EVERY_MESSAGES and self._owed_bytes < self._sizes.owed:
            return []
        return [self.acknowledgement()]

    def acknowledgement(self) -> Frames:
        """Return what says how much has come."""
        self._owed_messages = self._owed_bytes = 0
        return unnumbered(Sync(0, self.received))

    # ------------------------------------------------------------ questions

    def sync(self, *, resend: bool = False) -> Frames:
        """Return a `Sync` that tells where this side stands."""
        return unnumbered(Sync(self._released, self.received, resend))

    def tick(self, now: float) -> list[Frames]:
        """Ask about messages that have gone unacknowledged for long, ever more rarely."""
        if not self._unacknowledged:
            self._sync_due = None
            return []
        if self._sync_due is None:
            self._sync_due = now + self._sync_delay_s
        if now < self._sync_due:
            return []
        self._sync_delay_s = min(2 * self._sync_delay_s, SYNC_AT_MOST_S)
        self._sync_due = now + self._sync_delay_s
        self._asked_for = -1
        return [self.sync()]

    def next_tick(self) -> float | None:
        """When `tick` next has something to do; None if it does not yet know or never will."""
        return self._sync_due

    def check(self) -> None:
        """Assert that the kept messages are the last ones sent, without a hole."""
        ends = [self._acknowledged, *(item.last for item in self._unacknowledged)]
        for before, item in zip(ends, self._unacknowledged, strict=False):
            assert item.first == before + 1 or item.first <= self._acknowledged < item.last
        assert ends[-1] == self.sent
        assert self._acknowledged <= self._released <= self.sent
        numbers = [number for number, _ in self._under_way]
        assert numbers == list(range(self._acknowledged + 1, self._released + 1))
        assert self._under_way_bytes == sum(size for _, size in self._under_way)
        assert self._under_way_bytes <= self._sizes.window or len(self._under_way) == 1
        assert self._behind_bytes == sum(
            item.size_of(number)
            for item in self._waiting
            for number in range(max(item.first, self._released + 1), item.last + 1)
        )
        assert bool(self._waiting) == (self._released < self.sent)


def nbytes(frames: Sequence[Buffer]) -> int:
    """Return how many bytes *frames* hold together."""
    n = 0
    for frame in frames:
        n += len(frame) if type(frame) is bytes else memoryview(frame).nbytes
    return n
