"""The desk for clients: what they submit, what they ask, and what they want aborted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import InitVar, dataclass, field

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Frames
from hippodrome.protocol.functions import FunctionCache
from hippodrome.protocol.messages import MsgId, PeerId
from hippodrome.scheduler import refusals
from hippodrome.scheduler.burden import Burden
from hippodrome.scheduler.cargo import Cargo
from hippodrome.scheduler.cores import Cores
from hippodrome.scheduler.deliveries import Deliveries
from hippodrome.scheduler.events import AbortAsked, DirectSubmitted, TasksSubmitted
from hippodrome.scheduler.held_queries import Inquiries
from hippodrome.scheduler.hubdesk import HubDesk
from hippodrome.scheduler.intake import Intake, Submission, TakenIn, msg_ids_of
from hippodrome.scheduler.outbox import Mail
from hippodrome.scheduler.peers import Channel, Peer, Peers
from hippodrome.scheduler.salvage import tasks_in
from hippodrome.segments.leases import Leases


@dataclass(slots=True, repr=False)
class ClientDesk:
    """What clients say, in their numbered messages.

    Attributes:
        intake: takes submissions in.
        inquiries: holds questions about tasks that may be on their way.
    """

    peers: Peers
    mail: Mail
    hub: HubDesk
    cores: Cores
    deliveries: Deliveries
    functions: InitVar[FunctionCache]
    leases: Leases
    burden: Burden
    cargo: Cargo
    intake: Intake = field(init=False)
    inquiries: Inquiries = field(init=False)

    def __post_init__(self, functions: FunctionCache) -> None:
        self.intake = Intake(functions, self.cores.know_none_of)
        self.inquiries = Inquiries(self.cores.know_none_of, self.peers.is_client)

    def receive(
        self, channel: Channel, message: m.PeerMessage, buffers: Frames, body: memoryview
    ) -> None:
        """Take one message of a client."""
        client = channel.peer.uuid
        if isinstance(message, m.Submit):  # almost all there is, and a match takes long
            self._on_submission(client, message, buffers, body)
            return
        match message:
            case m.SubmitDirect():
                self._on_submission(client, message, buffers, body)
            case m.Functions(digests):
                self._take_in(client, self.intake.supply(client, digests, buffers))
            case m.Abort(msg_ids, interrupt):
                self.cores.feed_both(AbortAsked(client, msg_ids, interrupt))
            case m.Query():
                self._on_query(client, message)
            case m.Flushed(number):
                self.hub.ask(self.inquiries.answered(client, number))
            case _:
                raise ProtocolError(f"a {type(message).__name__} from a client")

    def on_unreadable(self, peer: Peer, body: memoryview, why: str) -> None:
        """End the tasks that a message was about, as nothing else will."""
        self._reject_new(peer.uuid, tasks_in(body), refusals.malformed(why))

    def forget(self, client: PeerId) -> None:
        """Nothing more will come from *client*."""
        self.intake.forget(client)
        self.hub.ask(self.inquiries.forget(client))
        self.leases.lose(client)
        self.deliveries.forget(client)

    def tick(self, now: float) -> None:
        """It is *now*: ask what has been held back for too long."""
        self.hub.ask(self.inquiries.tick(now))

    def _on_query(self, asker: PeerId, query: m.Query) -> None:
        number, clients = self.inquiries.hold(asker, query, self.mail.now)
        for client in clients:
            self.mail.post_to(client, "task", m.Flush(number))
        if not clients:
            self.hub.ask([(asker, query)])

    # ------------------------------------------------------------ submissions

    def _on_submission(
        self, client: PeerId, message: Submission, buffers: Frames, body: memoryview
    ) -> None:
        peer = self.peers.get(client)
        if peer is not None:
            self.cargo.announce(peer, buffers)
        admitted = self.burden.admit(self.burden.held(client), buffers)
        if admitted is None:
            self._reject_new(client, msg_ids_of(message), refusals.NO_ROOM_FOR_ARGUMENTS)
            return
        try:
            taken = self.intake.submit(client, message, admitted, body)
        except ProtocolError as error:
            self._reject_new(client, msg_ids_of(message), refusals.malformed(str(error)))
            raise
        self._take_in(client, taken)

    def _reject_new(self, client: PeerId, msg_ids: Iterable[MsgId], why: m.Failure) -> None:
        """Answer tasks that came in a message with which nothing can be done."""
        new = [one for one in dict.fromkeys(msg_ids) if self.cores.know_none_of([one])]
        self.deliveries.reject(client, new, why)

    def _take_in(self, client: PeerId, taken: TakenIn) -> None:
        """Do what has come of a submission."""
        for parcel in taken.parcels:
            frames = [*parcel.functions, *parcel.buffers]
            self.mail.record(m.Submitted, client, parcel.body, frames, len(parcel.functions))
        for event in taken.events:
            self._weigh(event)
            self.cores.submit(event, self.mail.now)
        self.deliveries.reject(client, taken.refused, refusals.UNKNOWN_FUNCTION)
        if taken.missing:
            self.mail.post_to(client, "task", m.NeedFunctions(taken.missing))

    def _weigh(self, event: TasksSubmitted | DirectSubmitted) -> None:
        """Note which segments the arguments of new tasks lie in, and what they weigh."""
        if isinstance(event, DirectSubmitted):
            self.leases.grant(event.request.msg_ids, event.buffers)
            self.burden.add(event.client, event.request.msg_ids, event.buffers)
            return
        for task, buffers in zip(event.tasks, event.buffers, strict=True):
            if isinstance(task, m.Task) and buffers:
                self.leases.grant([task.msg_id], buffers)
                self.burden.add(event.client, [task.msg_id], buffers)
