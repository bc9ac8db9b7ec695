"""Everything that is to leave the scheduler: messages for peers, and news for the hub.

What concerns one peer goes out in the order in which it was posted. Records for the hub are held
back for a moment: nobody waits for them, and each wake-up of the hub costs.
"""

from __future__ import annotations

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer, Frames, encode, unnumbered
from hippodrome.protocol.messages import PeerId
from hippodrome.scheduler.forhub import ForHub
from hippodrome.scheduler.peers import Channel, Peers

RECORDS_AFTER_S = 0.05
MOST_RECORDS = 64

Destination = bytes | None  # a route, or None for the hub
NoFrames = tuple[()]


class Mail:
    """The messages that wait to be sent.

    Args:
        peers: who is connected, and where.
        for_hub: decides what the hub is given of large buffers.

    Attributes:
        now: the time, in seconds of a monotonic clock.
    """

    def __init__(self, peers: Peers, for_hub: ForHub) -> None:
        self.for_hub = for_hub
        self.now: float = 0.0
        self._peers = peers
        self._out: list[tuple[Destination, Frames]] = []
        self._records: list[Frames] = []
        self._records_due = 0.0

    def take(self) -> list[tuple[Destination, Frames]]:
        """Return what is to be sent now, in order, once."""
        out, self._out = self._out, []
        return out

    # ------------------------------------------------------------ to peers

    def post(self, channel: Channel, message: m.Message, buffers: Frames | NoFrames = ()) -> bytes:
        """Send a numbered message; over a closed connection it waits for the next one.

        Returns:
            its encoding.
        """
        body = encode(message)
        self.post_encoded(channel, body, buffers)
        return body

    def post_encoded(self, channel: Channel, body: Buffer, buffers: Frames | NoFrames = ()) -> None:
        """As `post`, of a message that has been encoded."""
        self.forward(channel, channel.session.stream.post(body, buffers))

    def show(self, channel: Channel, message: m.Message, buffers: Frames | NoFrames = ()) -> None:
        """Send what is only there to be looked at, unless the peer is behind."""
        if channel.route is not None and channel.live.has_room():
            channel.live.add([self.post(channel, message, buffers), *buffers])

    def post_to(
        self, uuid: PeerId, channel: str, message: m.Message, buffers: Frames | NoFrames = ()
    ) -> None:
        """Send a numbered message to a peer, if that is known and has such a channel."""
        peer = self._peers.get(uuid)
        if peer is not None and channel in peer.channels:
            self.post(peer.channels[channel], message, buffers)

    def post_data(self, uuid: PeerId, message: m.Message, buffers: Frames) -> bool:
        """Send a message about objects; return whether the peer has a connection for that."""
        peer = self._peers.get(uuid)
        channel = peer.channels.get("data") if peer is not None else None
        if channel is None:
            return False
        self.post(channel, message, buffers)
        return True

    def tell(self, channel: Channel, message: m.Message) -> None:
        """Send a message outside the stream; over a closed connection it is lost."""
        self.forward(channel, [unnumbered(message)])

    def forward(self, channel: Channel, many: list[Frames]) -> None:
        """Send frames that the channel's stream has returned."""
        route = channel.route
        if route is not None:
            for frames in many:
                self._out.append((route, frames))

    def answer(self, route: bytes, message: m.Message) -> None:
        """Send a message outside the stream to whoever is at the other end of a connection."""
        self._out.append((route, unnumbered(message)))

    # ------------------------------------------------------------ to the hub

    def report(self, message: m.Message, buffers: Frames | NoFrames = ()) -> None:
        """Let the hub know."""
        self._out.append((None, [encode(message), *buffers]))

    def record(
        self,
        kind: type[m.Submitted | m.Ended],
        client: PeerId,
        body: Buffer,
        frames: Frames,
        n_functions: int = 0,
    ) -> None:
        """Let the hub know in a while of a message from or for a client.

        Args:
            kind: which of the two it is.
            client: whose it is.
            body: the message.
            frames: its buffers.
            n_functions: how many of the frames, the first, are functions.
        """
        if not self._records:
            self._records_due = self.now + RECORDS_AFTER_S
        share = self.for_hub.share(frames, n_functions)
        message = kind(client, share.omitted, share.crowded, share.passing)
        self._records.append([encode(message), body, *share.frames])
        if len(self._records) >= MOST_RECORDS:
            self.send_records()

    def send_records(self) -> None:
        """Hold nothing back any more."""
        records, self._records = self._records, []
        self._out.extend((None, frames) for frames in records)

    def tick(self, now: float) -> None:
        """It is *now*: send the records whose time has come."""
        self.now = now
        if self._records and now >= self._records_due:
            self.send_records()

    def next_tick(self) -> float | None:
        """When `tick` next has something to do."""
        return self._records_due if self._records else None
