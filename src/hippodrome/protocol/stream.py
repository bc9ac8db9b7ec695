"""Numbered messages in both directions, so that what a connection loses is sent again.

ZeroMQ keeps order and loses nothing while a connection lives; a connection that is replaced
takes with it whatever was on its way. So each message of a stream has a number, each head
acknowledges what came the other way, and the sender keeps a message until it is acknowledged.
A receiver takes messages in order only: it drops duplicates, and at a gap asks for the rest
again. For as long as both processes live, each message is therefore handled exactly once.

The cost is per message, never per item. A `Stream` knows nothing of sockets or clocks: it
returns frames to send, and is told the time.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hippodrome.errors import ProtocolError
from hippodrome.protocol.frames import Buffer, Frames, encode, head, unnumbered
from hippodrome.protocol.messages import Message, Sync

SYNC_AFTER_S = 1.0
SYNC_AT_MOST_S = 30.0
ACK_EVERY_MESSAGES = 64
ACK_EVERY_BYTES = 4 << 20


class Verdict(enum.Enum):
    """What to do with a numbered message that came."""

    HANDLE = "handle"
    DUPLICATE = "duplicate"  # handled before: drop it
    GAP = "gap"  # something before it is missing: drop it, the sender is asked again


@dataclass(slots=True)
class _Sent:
    number: int
    frames: Frames


class Stream:
    """Both directions of one connection, as one side sees them."""

    def __init__(self) -> None:
        self.sent: int = 0
        self.received: int = 0
        self._unacknowledged: deque[_Sent] = deque()
        self._owed_messages = 0
        self._owed_bytes = 0
        self._asked_for = -1  # the `received` at which a resend was last asked for
        self._sync_due: float | None = None
        self._sync_delay_s = SYNC_AFTER_S

    @property
    def n_unacknowledged(self) -> int:
        return len(self._unacknowledged)

    def send(self, message: Message, buffers: Iterable[Buffer] = ()) -> Frames:
        """Number *message* and return its frames."""
        self.sent += 1
        frames = [head(self.sent, self.received, encode(message)), *buffers]
        self._unacknowledged.append(_Sent(self.sent, frames))
        self._owed_messages = self._owed_bytes = 0
        return frames

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

    def acknowledge(self, number: int) -> None:
        """Forget the messages up to *number*: the other side has them.

        Raises:
            ProtocolError: *number* was never sent.
        """
        if number > self.sent:
            raise ProtocolError(f"message {number} is acknowledged, {self.sent} were sent")
        waiting = self._unacknowledged
        while waiting and waiting[0].number <= number:
            waiting.popleft()
            self._sync_due = None
            self._sync_delay_s = SYNC_AFTER_S

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
        return answer

    def on_gap(self) -> list[Frames]:
        """Ask for what is missing, once for each gap; a lost question is asked again by `tick`."""
        if self._asked_for == self.received:
            return []
        self._asked_for = self.received
        return [self.sync(resend=True)]

    def acknowledgement_due(self) -> list[Frames]:
        """Acknowledge if the other side would otherwise keep a lot for a long time."""
        if self._owed_messages < ACK_EVERY_MESSAGES and self._owed_bytes < ACK_EVERY_BYTES:
            return []
        self._owed_messages = self._owed_bytes = 0
        return [unnumbered(Sync(0, self.received))]

    def resume(self, received: int) -> list[Frames]:
        """The connection was replaced; return all that the other side does not have.

        Raises:
            ProtocolError: the other side claims to have what was never sent.
        """
        self.acknowledge(received)
        self._asked_for = -1
        return self.resend()

    def restart(self) -> list[Frames]:
        """The other side starts anew: number everything that it may not have had from one."""
        waiting = list(self._unacknowledged)
        self.__init__()  # type: ignore[misc]
        return [self._renumber(item.frames) for item in waiting]

    def resend(self) -> list[Frames]:
        return [item.frames for item in self._unacknowledged]

    def sync(self, *, resend: bool = False) -> Frames:
        """Return a `Sync` that tells where this side stands."""
        return unnumbered(Sync(self.sent, self.received, resend))

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
        numbers = [item.number for item in self._unacknowledged]
        assert numbers == list(range(self.sent - len(numbers) + 1, self.sent + 1))

    def _renumber(self, frames: Sequence[Buffer]) -> Frames:
        self.sent += 1
        renumbered = [head(self.sent, self.received, bytes(frames[0])[16:]), *frames[1:]]
        self._unacknowledged.append(_Sent(self.sent, renumbered))
        return renumbered
