"""The desk for engines: outcomes, output, and what they ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.bundles import deal, ids_of
from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.functions import FunctionCache
from hippodrome.protocol.messages import Digest, EngineId, MsgId, PeerId
from hippodrome.scheduler.cargo import Cargo
from hippodrome.scheduler.cores import Cores
from hippodrome.scheduler.deliveries import Deliveries
from hippodrome.scheduler.events import AttemptsDropped
from hippodrome.scheduler.outbox import Mail
from hippodrome.scheduler.outcomes import damaged
from hippodrome.scheduler.peers import Channel, Peer, Peers
from hippodrome.scheduler.salvage import attempts_in


@dataclass(frozen=True, slots=True, repr=False)
class EngineDesk:
    """What engines say, in their numbered messages."""

    peers: Peers
    mail: Mail
    cores: Cores
    deliveries: Deliveries
    functions: FunctionCache
    cargo: Cargo

    def receive(
        self, channel: Channel, message: m.PeerMessage, buffers: Frames, body: memoryview
    ) -> None:
        """Take one message of an engine."""
        peer = channel.peer
        if isinstance(message, m.Outcomes):  # almost all there is, and a match takes long
            self._on_outcomes(peer, message.outcomes, buffers)
            return
        match message:
            case m.NeedFunctions(digests):
                self._on_need(channel, digests)
            case m.Output(pieces):
                self._relay_output(peer, pieces)
            case m.Published():
                self._relay_data(peer, message, buffers)
            case m.Engaged(what):
                self._on_engaged(peer, what)
            case m.Dropped(attempts):
                self._on_dropped(peer, attempts)
            case _:
                raise ProtocolError(f"a {type(message).__name__} from a engine")

    def on_unreadable(self, peer: Peer, body: memoryview, why: str) -> None:
        """End the attempts that a message was about, as nothing else will."""
        if attempts := attempts_in(body):
            self._end_damaged(peer, attempts, why)

    # ------------------------------------------------------------ attempts

    def _on_outcomes(
        self, peer: Peer, outcomes: Sequence[m.Outcome | m.OutcomeBundle], buffers: Frames
    ) -> None:
        try:
            each = list(deal(outcomes, buffers))
        except ProtocolError as error:
            # The results cannot be told apart; that they ended is known all the same.
            attempts = ((msg_id, end.attempt) for end in outcomes for msg_id in ids_of(end))
            self._end_damaged(peer, attempts, str(error))
            raise
        self._end_attempts(peer, outcomes, each)

    def _end_damaged(self, peer: Peer, attempts: Iterable[tuple[MsgId, int]], why: str) -> None:
        rest = damaged(attempts, why)
        self._end_attempts(peer, rest, [()] * len(rest))

    def _end_attempts(
        self,
        peer: Peer,
        outcomes: Sequence[m.Outcome | m.OutcomeBundle],
        buffers: list[tuple[Buffer, ...]],
    ) -> None:
        self.deliveries.begin()
        for owned in buffers:
            if owned:
                self.cargo.announce(peer, owned)
        if peer.engine is not None:
            self.cores.end(peer.engine, outcomes, buffers, self.mail.now)
        self.deliveries.drop_late(buffers)

    def _on_dropped(self, peer: Peer, attempts: list[tuple[MsgId, int]]) -> None:
        if peer.engine is not None:
            self.cores.feed_both(AttemptsDropped(peer.engine, attempts))
            self.cores.note_named([peer.engine])

    def _on_engaged(self, peer: Peer, what: str) -> None:
        peer.engaged = what
        self.mail.report(m.Engages(peer.uuid, what))
        if peer.engine is not None:
            self.cores.note_named([peer.engine])

    def _on_need(self, channel: Channel, digests: list[Digest]) -> None:
        found = [(digest, self.functions.get(digest)) for digest in digests]
        here = [(digest, data) for digest, data in found if data is not None]
        self.mail.post(channel, m.Functions([d for d, _ in here]), [data for _, data in here])

    # ------------------------------------------------------------ what tasks show

    def _relay_output(self, peer: Peer, pieces: list[m.Piece]) -> None:
        """Pass on what tasks show, but not to clients that are behind: it is only to look at."""
        for client, group in groupby(pieces, lambda piece: self._shown_to(peer.engine, piece)):
            channel = self._channel(client, "control")
            if channel is not None:
                self.mail.show(channel, m.Output(list(group), peer.engine))

    def _relay_data(self, peer: Peer, message: m.Published, buffers: Frames) -> None:
        """Pass on what tasks publish; the last of it also to clients that are behind."""
        dealt = zip(message.data, deal(message.data, buffers), strict=True)
        for client, group in groupby(dealt, lambda item: self._shown_to(peer.engine, item[0])):
            channel = self._channel(client, "task")
            if channel is not None:
                send = self.mail.post if message.final else self.mail.show
                items = list(group)
                frames = [frame for _, owned in items for frame in owned]
                send(channel, m.Published([datum for datum, _ in items], message.final), frames)

    def _channel(self, client: PeerId | None, name: str) -> Channel | None:
        reader = self.peers.get(client) if client is not None else None
        return reader.channels.get(name) if reader is not None else None

    def _shown_to(self, engine: EngineId | None, piece: m.Piece | m.Datum) -> PeerId | None:
        """Return who submitted the task that shows *piece*; None if it is not running there."""
        if engine is None:
            return None
        job = self.cores.tasks.jobs.get(piece.msg_id)
        if job is None:
            return self.cores.direct.client_of(engine, piece.msg_id)
        is_current = job.engine == engine and job.attempt == piece.attempt
        return job.client if is_current else None
