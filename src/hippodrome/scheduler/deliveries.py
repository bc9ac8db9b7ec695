"""What leaves for clients: results, one message for each client and turn, and answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer, Frames, encode
from hippodrome.protocol.functions import FunctionCache
from hippodrome.protocol.messages import Digest, MsgId, PeerId
from hippodrome.scheduler import refusals
from hippodrome.scheduler.burden import Burden
from hippodrome.scheduler.events import Deliver
from hippodrome.scheduler.outbox import Mail
from hippodrome.scheduler.outcomes import dropped
from hippodrome.scheduler.packing import pack_results
from hippodrome.scheduler.peers import Channel, Peers
from hippodrome.segments.leases import Leases


@dataclass(slots=True, repr=False)
class Deliveries:
    """Results that are yet to be sent, and what ends with their tasks.

    Attributes:
        waiting: the results, by client.
        relayed: buffers that the present outcomes passed on.
    """

    peers: Peers
    mail: Mail
    functions: FunctionCache
    leases: Leases
    burden: Burden
    waiting: dict[PeerId, list[Deliver]] = field(default_factory=dict)
    relayed: set[int] = field(default_factory=set)

    def add(self, action: Deliver) -> None:
        """Let a client have the end of tasks, with this turn's message."""
        self.waiting.setdefault(action.client, []).append(action)
        result = action.result
        if isinstance(result, m.ResultBundle):  # then no segments
            self.functions.release(action.function, len(result.msg_ids))
            return
        self.functions.release(action.function)
        self.leases.end(result.msg_id)
        self.burden.end(result.msg_id)
        if action.buffers:
            self.relayed.add(id(action.buffers))
            if self.peers.get(action.client) is None:
                self.leases.drop(action.buffers)

    def reject(self, client: PeerId, msg_ids: Iterable[MsgId], failure: m.Failure) -> None:
        """Answer tasks that no core has seen."""
        for msg_id in msg_ids:
            result = m.Result(msg_id, "unreachable", None, failure=failure)
            self.waiting.setdefault(client, []).append(Deliver(client, Digest(b""), result))

    def begin(self) -> None:
        """Outcomes come in, some of which may be late."""
        self.relayed.clear()

    def drop_late(self, buffers: Iterable[tuple[Buffer, ...]]) -> None:
        """Those of *buffers* that nothing was relayed with since `begin` reach nobody."""
        for owned in buffers:
            if owned and id(owned) not in self.relayed:
                self.leases.drop(owned)

    def pack(self) -> None:
        """Send the results that have come in this turn."""
        waiting, self.waiting = self.waiting, {}
        for client, items in waiting.items():
            self._send_results(client, items)

    def _send_results(self, client: PeerId, items: list[Deliver]) -> None:
        peer = self.peers.get(client)
        channel = peer.channels.get("task") if peer is not None else None
        for message, buffers in pack_results(items):
            body: Buffer = encode(message)
            kept = buffers
            if channel is not None:
                opened = self._opened(channel, buffers)
                body, sent = self._admit(channel, message, body, opened)
                self.mail.post_encoded(channel, body, sent)
                self._pass_on(client, channel, sent)
                if opened is buffers or not sent:
                    kept = sent
            self.mail.record(m.Ended, client, body, kept)

    def _admit(
        self, channel: Channel, message: m.Results, body: Buffer, buffers: Frames
    ) -> tuple[Buffer, Frames]:
        """Return body and buffers as they can wait for a client that may be behind."""
        admitted = self.burden.admit(channel.session.stream.behind_bytes, [body, *buffers])
        if admitted is not None:
            return admitted[0], admitted[1:]
        self.leases.drop(buffers)
        failure = refusals.NO_ROOM_FOR_RESULT
        rest = [one for result in message.results for one in dropped(result, failure)]
        return encode(m.Results([*rest])), []

    def _opened(self, channel: Channel, buffers: Frames) -> Frames:
        """Return *buffers* as a client can read them; what is in segments is the last one's."""
        if channel.peer.maps or not buffers:
            return buffers
        opened = self.leases.opened(buffers)
        self.leases.drop(buffers)
        return opened

    def answer(self, client: PeerId, answer: m.Answer, buffers: Frames) -> None:
        """Pass an answer on; one with buffers over the channel for what is large."""
        peer = self.peers.get(client)
        channel = peer.channels.get("task" if buffers else "control") if peer else None
        if channel is None:
            self.leases.drop(buffers)
            return
        buffers = self._opened(channel, buffers)
        behind_bytes = channel.session.stream.behind_bytes
        admitted = self.burden.admit(behind_bytes, [encode(answer), *buffers])
        if admitted is None:
            self.leases.drop(buffers)
            failure = refusals.NO_ROOM_FOR_RESULT
            self.mail.post(channel, m.Answer(answer.number, error=failure))
            return
        self.mail.post_encoded(channel, admitted[0], admitted[1:])
        if buffers:
            self._pass_on(client, channel, buffers)

    def _pass_on(self, client: PeerId, channel: Channel, buffers: Frames) -> None:
        """Note which segments the last message to a client hands over to it."""
        stream = channel.session.stream
        received = stream.sent - stream.n_unacknowledged
        self.leases.pass_on(client, stream.sent, received, buffers)
