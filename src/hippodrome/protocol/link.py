"""A peer's side of its connection to the controller: introduce, number, resume.

Used by client, engine and supervisor alike; knows nothing of sockets or clocks. Whatever has to
go out is returned as a list of frames, to be sent in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer, Frames, decode, encode, read_head, unnumbered
from hippodrome.protocol.receiving import Received, receive
from hippodrome.protocol.stream import SIZES, Sizes, Stream

HELLO_AGAIN_S = 1.0
PROBE_AFTER_S = 5.0
PROBE_ENGINE_AFTER_S = 60.0  # of these there are many, and each is told of a new connection


class Link:
    """One channel of one peer.

    Args:
        role: ``"client"``, ``"engine"`` or ``"node"``.
        channel: ``"task"`` or ``"control"``.
        uuid: names the peer for as long as its process lives.
        info: what the controller should know of it: host, pid, versions.
        sizes: how large things may be.
        secret: proves to the controller that a later connection is this peer's; the same for all
            of its channels.

    Attributes:
        maps: tells whether the segments that a welcome announces can be mapped here.
    """

    def __init__(
        self,
        role: str,
        channel: str,
        uuid: m.PeerId,
        info: dict[str, str | int] | None = None,
        sizes: Sizes = SIZES,
        secret: bytes = b"",
    ) -> None:
        self.role = role
        self.channel = channel
        self.uuid = uuid
        self.info: dict[str, str | int] = info or {}
        self.stream: Stream = Stream(sizes)
        self.is_open: bool = False
        self.welcome_info: dict[str, str | int] = {}
        self.maps: Callable[[dict[str, str | int]], bool] = lambda info: False
        self._secret = secret
        self._session = 0  # the introduction at which the present numbering began
        self._hellos = 0
        self._hello_due: float | None = None
        self._was_heard = True
        self._heard_at = 0.0
        self._probe_after_s = PROBE_ENGINE_AFTER_S if role == "engine" else PROBE_AFTER_S

    def hello(self) -> list[Frames]:
        """Return the introduction; to be called once for each new connection."""
        self.is_open = False
        self._hellos += 1
        self._hello_due = None
        hello = m.Hello(
            m.PROTOCOL,
            self.role,
            self.channel,
            self.uuid,
            self._hellos,
            self.stream.received,
            self.info,
            self._session,
            self._secret,
        )
        return [unnumbered(hello)]

    def send(self, message: m.Message, buffers: Sequence[Buffer] = ()) -> list[Frames]:
        """Return what to send now; before the welcome nothing, as it will go out then."""
        if isinstance(message, m.UNNUMBERED):
            return [unnumbered(message)]
        released = self.stream.post(encode(message), buffers)
        return released if self.is_open else []

    def receive(self, frames: Frames) -> Received:
        """Take one message off the wire.

        Before the welcome numbers mean nothing yet, so that numbered messages are left to be
        sent again.

        Raises:
            ProtocolError: it is no message of this protocol. It counts as received, as it would
                be no better the next time; nothing else has changed.
        """
        self._was_heard = True
        if not frames:
            raise ProtocolError("a message without frames")
        number, acknowledged, body = read_head(frames[0])
        if number == 0:
            return self._on_unnumbered(decode(body), frames)
        if not self.is_open:
            return Received()
        received = receive(self.stream, number, acknowledged, body, frames)
        if received.error is not None:
            raise received.error
        received.replies += self.stream.acknowledgement_due()
        return received

    def _on_unnumbered(self, message: m.PeerMessage, frames: Frames) -> Received:
        match message:
            case m.Welcome():
                return self._on_welcome(message)
            case m.WhoAreYou():
                return Received(replies=self.hello() if self.is_open else [])
            case m.Sync():
                return Received(replies=self.stream.on_sync(message) if self.is_open else [])
            case m.Refused():
                self.is_open = False
        return Received(message, frames[1:])

    def _on_welcome(self, welcome: m.Welcome) -> Received:
        if self.is_open or welcome.number != self._hellos:
            return Received()  # the answer to an introduction that has been repeated since
        if welcome.fresh:
            replies = self.stream.restart()
            self._session = welcome.number
        else:
            replies = self.stream.resume(welcome.received)
        self.is_open = True
        self.welcome_info = welcome.info
        if self.channel == "task" and self.maps(welcome.info):
            replies.insert(0, unnumbered(m.Maps()))  # before what may refer to segments
        return Received(welcome, replies=replies)

    def tick(self, now: float) -> list[Frames]:
        """Repeat what may have been lost; *now* is any monotonic time in seconds."""
        if self.is_open:
            return self.stream.tick(now) or self._probe(now)
        if self._hello_due is None:
            self._hello_due = now + HELLO_AGAIN_S
        if now < self._hello_due:
            return []
        hello = self.hello()
        self._hello_due = now + HELLO_AGAIN_S
        return hello

    def _probe(self, now: float) -> list[Frames]:
        """Say something after a long silence.

        ZeroMQ replaces a broken connection without telling anybody. The controller does not know
        whose the new one is until something comes over it, and has nowhere to send to.
        """
        if self._was_heard:
            self._was_heard, self._heard_at = False, now
        if now - self._heard_at < self._probe_after_s:
            return []
        self._heard_at = now
        return [self.stream.sync()]
