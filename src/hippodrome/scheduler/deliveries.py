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
from hippodrome.scheduler.cargo import READY, Cargo
from hippodrome.scheduler.events import Deliver
from hippodrome.scheduler.outbox import Mail
from hippodrome.scheduler.outcomes import dropped, unfetched
from hippodrome.scheduler.packing import pack_results
from hippodrome.scheduler.peers import Channel, Peer, Peers
from hippodrome.segments.leases import Leases


@dataclass(slots=True, repr=False)
class Deliveries:
    """Results that are yet to be sent, and what ends with their tasks.

    Attributes:
        held: results that are on their way to the client's host, by client.
        n_changes: of what has come there, when these were last looked at.
        waiting: the results, by client.
        relayed: buffers that the present outcomes passed on.
    """

    peers: Peers
    mail: Mail
    functions: FunctionCache
    leases: Leases
    burden: Burden
    cargo: Cargo
    held: dict[PeerId, list[Deliver]] = field(default_factory=dict)
    n_changes: int = 0
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
        if self.held and self.n_changes != self.cargo.n_changes:
            held, self.held = self.held, {}
            for client, items in held.items():
                waiting.setdefault(client, []).extend(items)
        self.n_changes = self.cargo.n_changes
        for client, items in waiting.items():
            peer = self.peers.get(client)
            ready = items if peer is None else self._arrived(peer, items)
            self._send_results(client, peer, ready)

    def _arrived(self, peer: Peer, items: list[Deliver]) -> list[Deliver]:
        """Return those that the client can have now, and hold the others."""
        ready: list[Deliver] = []
        for item in items:
            found = self.cargo.look(peer, item.buffers) if item.buffers else READY
            if found == READY:
                ready.append(item)
            elif found is None:
                self.held.setdefault(item.client, []).append(item)
            else:
                assert isinstance(item.result, m.Result)  # a bundle has no buffers
                self.leases.drop(item.buffers)
                ready.append(Deliver(item.client, item.function, unfetched(item.result, found)))
        return ready

    def forget(self, client: PeerId) -> None:
        """*client* is gone, and gets nothing."""
        for item in self.held.pop(client, ()):
            self.leases.drop(item.buffers)

    def _send_results(self, client: PeerId, peer: Peer | None, items: list[Deliver]) -> None:
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
        """Return *buffers* as a client can read them; what it cannot map is not needed any more."""
        if not buffers:
            return buffers
        loaded = self.cargo.load(channel.peer, buffers)
        if not channel.peer.maps or loaded is not buffers:
            self.leases.drop(buffers)
        return loaded

    def answer(self, client: PeerId, answer: m.Answer, buffers: Frames) -> None:
        """Pass an answer on; one with buffers over the channel for what is large."""
        peer = self.peers.get(client)
        channel = peer.channels.get("task" if buffers else "control") if peer else None
        if channel is None:
            self.leases.drop(buffers)
            return
        if not channel.peer.maps:  # what the hub lends is here
            opened = self.leases.opened(buffers)
            self.leases.drop(buffers)
            buffers = opened
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
