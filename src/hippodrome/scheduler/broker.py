"""The scheduler process without its sockets: frames in, frames out, everything between pure.

The broker ties the cores to the peers: it reads messages, turns them into events, and packs what
the cores decide into messages again, one for each peer and turn. Whoever owns the sockets calls
`receive` and `receive_hub` for what came, `tick` with the time, and then sends what `flush`
returns.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection, Sequence
from itertools import groupby

from hippodrome.errors import ClusterError, ProtocolError, ProtocolVersionError
from hippodrome.protocol import messages as m
from hippodrome.protocol.bundles import deal, ids_of
from hippodrome.protocol.frames import (
    Buffer,
    Frames,
    decode,
    decode_hub,
    encode,
    read_head,
)
from hippodrome.protocol.functions import FunctionCache
from hippodrome.protocol.messages import STARTING, Digest, EngineId, EngineInfo, MsgId, PeerId
from hippodrome.protocol.stream import Verdict, nbytes
from hippodrome.scheduler import refusals
from hippodrome.scheduler.burden import Burden
from hippodrome.scheduler.closings import Closings
from hippodrome.scheduler.core import TaskScheduler
from hippodrome.scheduler.direct import DirectScheduler
from hippodrome.scheduler.events import (
    AbortAsked,
    Action,
    AssignAttempts,
    AttemptsDropped,
    AttemptsEnded,
    Deliver,
    DirectSubmitted,
    EndedElsewhere,
    EngineJoined,
    EngineLost,
    EngineOccupied,
    EngineSuspected,
    Event,
    Recall,
    Serials,
    TasksSubmitted,
    TimePassed,
)
from hippodrome.scheduler.forhub import ForHub
from hippodrome.scheduler.held_queries import Inquiries
from hippodrome.scheduler.intake import Intake, Submission, TakenIn, msg_ids_of
from hippodrome.scheduler.job import JobState
from hippodrome.scheduler.outbox import Destination, Mail
from hippodrome.scheduler.outcomes import damaged, dropped
from hippodrome.scheduler.packing import pack_assignments, pack_results
from hippodrome.scheduler.peers import Channel, ControllerFull, Peer, PeerNews, Peers, described
from hippodrome.scheduler.room import AUTO
from hippodrome.scheduler.salvage import attempts_in, tasks_in
from hippodrome.segments.leases import Leases

BEAT_EVERY_S = 1.0
TICK_EVERY_S = 0.25
CORE_EVERY_S = 0.005  # in lively times; not in each of a thousand turns of the loop per second

Handler = Callable[[Event], list[Action]]


class Broker:
    """All that the scheduler process decides.

    Args:
        scheme: how engines are chosen; see `TaskScheduler`.
        hwm: unfinished tasks per engine; see `TaskScheduler`.
        rng: source of randomness.
        welcome: what peers are told when they are welcomed.
        token: begins each reference to a segment; empty if there are no segments.
        burden: knows what each client weighs, and where to stow what is too much.
        large_limit: a larger buffer is of no use to the hub; 0: none that is large.

    Attributes:
        for_hub: what the hub is given of large buffers.
        leases: which segments are needed.
        closings: knows when peers whose connections were closed are given up.
        full: why no new peers are let in now; empty while they are.
        complaints: what peers did wrong since this list was last emptied, one line each.
        news: which clients came and went since this list was last emptied.
    """

    def __init__(
        self,
        scheme: str = "leastload",
        hwm: int = AUTO,
        rng: random.Random | None = None,
        welcome: dict[str, str | int] | None = None,
        token: bytes = b"",
        burden: Burden | None = None,
        large_limit: int = 0,
    ) -> None:
        serials = Serials()
        self.direct: DirectScheduler = DirectScheduler(serials)
        self.tasks: TaskScheduler = TaskScheduler(
            scheme, hwm, rng, serials, self.direct.__contains__
        )
        self.functions: FunctionCache = FunctionCache()
        self.peers: Peers = Peers(welcome)
        self.leases: Leases = Leases(token)
        self.burden: Burden = burden or Burden()
        self.for_hub: ForHub = ForHub(token, large_limit)
        self.members: dict[EngineId, EngineInfo] = {}
        self.starting: dict[EngineId, EngineInfo] = {}  # they have a number, and are no members yet
        self.now: float = 0.0
        self.closings: Closings = Closings()
        self.complaints: list[str] = []
        self.news: list[PeerNews] = []
        self.full: str = ""
        self.is_down: bool = False
        self._mail = Mail(self.peers)
        self._assignments: dict[EngineId, list[AssignAttempts]] = {}
        self._deliveries: dict[PeerId, list[Deliver]] = {}
        self._intake = Intake(self.functions, self._are_new)
        self._inquiries = Inquiries(self._are_new, self._is_client)
        self._events: deque[tuple[Handler, Event]] = deque()
        self._is_feeding = False
        self._named: dict[EngineId, None] = {}  # since the task scheduler was told of calls by name
        self._relayed: set[int] = set()  # buffers that the present outcomes passed on
        self._beat_due = 0.0
        self._tick_due = 0.0
        self._core_due = 0.0

    # ------------------------------------------------------------ in

    def receive(self, route: bytes, key_role: str | None, frames: Frames) -> None:
        """Take one message of a peer.

        Args:
            route: the connection over which it came.
            key_role: the role that its key proves; None on this host.
            frames: the message.
        """
        try:
            self._receive(route, key_role, frames)
        except ProtocolVersionError as error:
            self._refuse(route, error)
        except ProtocolError as error:
            self._complain(route, error)

    def _receive(self, route: bytes, key_role: str | None, frames: Frames) -> None:
        if not frames:
            raise ProtocolError("a message without frames")
        number, acknowledged, body = read_head(frames[0])
        channel = self.peers.channel_at(route)
        if number == 0:
            self._on_unnumbered(route, key_role, channel, decode(body))
        elif channel is None:
            self._mail.answer(route, m.WhoAreYou())
        else:
            stream = channel.session.stream
            verdict = stream.receive(number, acknowledged, nbytes(frames))
            if stream.is_behind:
                self._mail.forward(channel, stream.release())
            if verdict is Verdict.HANDLE:
                # Counted as received even if it makes no sense, or it would come forever.
                self._on_numbered(channel, body, frames[1:])
                self._mail.forward(channel, stream.acknowledgement_due())
            elif verdict is Verdict.GAP:
                self._mail.forward(channel, stream.on_gap())

    def _on_numbered(self, channel: Channel, body: memoryview, buffers: Frames) -> None:
        message = self._decode(channel, body)
        if isinstance(message, m.Part):
            whole = channel.session.stream.join(message, buffers)
            if whole is None:
                return
            body, buffers = whole[0], whole[1:]
            message = self._decode(channel, body)
        self._on_message(channel, message, buffers, body)

    def _decode(self, channel: Channel, body: memoryview) -> m.PeerMessage:
        try:
            return decode(body)
        except ProtocolError as error:
            self._on_unreadable(channel.peer, body, str(error))
            raise

    def _on_unreadable(self, peer: Peer, body: memoryview, why: str) -> None:
        """End the tasks that a message was about, as nothing else will."""
        if peer.role == "client":
            self._reject_new(peer.uuid, tasks_in(body), refusals.malformed(why))
        elif peer.role == "engine" and (attempts := attempts_in(body)):
            self._end_attempts(peer, damaged(attempts, why), [()] * len(attempts))

    def _on_unnumbered(
        self, route: bytes, key_role: str | None, channel: Channel | None, message: m.PeerMessage
    ) -> None:
        match message:
            case m.Hello():
                self._on_hello(route, key_role, message)
            case _ if channel is None:
                self._mail.answer(route, m.WhoAreYou())
            case m.Sync():
                self._mail.forward(channel, channel.session.stream.on_sync(message))
            case m.Beat():
                if channel.peer.role == "node":
                    self.closings.hear_beat(channel.peer)
                    self._mail.report(m.Pulses(channel.peer.uuid, message.engines))
            case m.Bye():
                self._on_bye(channel.peer, message.reason)
            case _:
                raise ProtocolError(f"a {type(message).__name__} without a number")

    def receive_hub(self, frames: Frames) -> None:
        """Take one message of the hub."""
        message = decode_hub(bytes(frames[0]))
        match message:
            case m.Joined(info):
                self._on_joined(info)
            case m.Suspected(engine, suspect):
                self._on_suspected(engine, suspect)
            case m.Left():
                self._on_left(message)
            case m.Answered(client, answer):
                self._on_answered(client, answer, frames[1:])
            case m.Taken(n):
                self.for_hub.taken(n)
            case m.Order(node, stop, signal):
                for order in (stop, signal):
                    if order is not None:
                        self._mail.post_to(node, "control", order)
            case m.ShutDown():
                self._on_shut_down(message)
            case _:
                raise ProtocolError(f"the hub sent a {type(message).__name__}")

    def closed(self, route: bytes) -> None:
        """A connection is gone."""
        self.peers.close(route, self.closings.time)

    def tick(self, now: float) -> None:
        """It is now *now*, in seconds of a monotonic clock."""
        self.now = now
        if now >= self._core_due or now >= self.tasks.next_look():
            self._core_due = now + CORE_EVERY_S
            self._feed(self.tasks.handle, TimePassed(now))
        self._mail.tick(now)
        if now < self._tick_due:
            return
        self.closings.tick(now, now - self._tick_due if self._tick_due else 0.0)
        self._tick_due = now + TICK_EVERY_S
        self._ask_hub(self._inquiries.tick(now))
        beat = now >= self._beat_due
        if beat:
            self._beat_due = now + BEAT_EVERY_S
            self._mail.report(m.Awake())
        for peer in self.peers:
            is_due = beat or peer.role == "node"  # that its connection is closed shows in this way
            for channel in peer.channels.values():
                if is_due and channel.name == "control":
                    self._mail.tell(channel, m.Beat())
                self._mail.forward(channel, channel.session.stream.tick(now))
            if beat:
                self._probe(peer)
            self._bury(peer)

    def _probe(self, peer: Peer) -> None:
        """Write to who hears no beats: that a connection is closed shows in no other way."""
        control = peer.channels.get("control")
        if control is None or control.route is None:
            for channel in peer.channels.values():
                self._mail.tell(channel, m.Sync(0, channel.session.stream.received))

    def next_tick(self) -> float:
        """When `tick` should come at the latest."""
        dues = (self._tick_due, self._mail.next_tick(), self.tasks.next_look())
        return min(due for due in dues if due is not None)

    # ------------------------------------------------------------ out

    def flush(self) -> list[tuple[Destination, Frames]]:
        """Return everything that is to be sent, in order, each with its destination."""
        self._pack()
        return self._mail.take()

    def _pack(self) -> None:
        """Turn what the cores have decided into messages."""
        for engine, assignments in self._assignments.items():
            self._send_assignments(engine, assignments)
        for client, deliveries in self._deliveries.items():
            self._send_results(client, deliveries)
        self._assignments, self._deliveries = {}, {}

    def _send_assignments(self, engine: EngineId, items: list[AssignAttempts]) -> None:
        info = self.members.get(engine)
        peer = self.peers.get(info.uuid) if info else None
        if peer is not None:
            for message, buffers in pack_assignments(items, peer.known, self.functions):
                self._mail.post_to(peer.uuid, "task", message, buffers)

    def _send_results(self, client: PeerId, items: list[Deliver]) -> None:
        peer = self.peers.get(client)
        channel = peer.channels.get("task") if peer is not None else None
        for message, buffers in pack_results(items):
            body: Buffer = encode(message)
            if channel is not None:
                body, buffers = self._admit_results(channel, message, body, buffers)
                self._mail.post_encoded(channel, body, buffers)
                self._pass_on(client, channel, buffers)
            share = self.for_hub.share(buffers)
            ended = m.Ended(client, share.omitted, share.crowded)
            self._mail.record(ended, body, share.frames, self.now)

    def _admit_results(
        self, channel: Channel, message: m.Results, body: Buffer, buffers: Frames
    ) -> tuple[Buffer, Frames]:
        """Return body and buffers as they can wait for a client that may be behind."""
        admitted = self.burden.admit(channel.session.stream.behind_bytes, [body, *buffers])
        if admitted is not None:
            return admitted[0], admitted[1:]
        self.leases.drop(buffers)
        failure = refusals.no_room_for_result()
        rest = [one for result in message.results for one in dropped(result, failure)]
        return encode(m.Results([*rest])), []

    def _refuse(self, route: bytes, error: ClusterError, who: str = "") -> None:
        self.complaints.append(f"refused a peer: {error}{f'; it was {who}' if who else ''}")
        self._mail.answer(route, m.Refused(str(error), error.code))

    def _complain(self, route: bytes, error: ProtocolError) -> None:
        channel = self.peers.channel_at(route)
        who = f"{channel.peer.role} {channel.peer.uuid}" if channel else "a stranger"
        self.complaints.append(f"{who} broke the protocol: {error}")

    # ------------------------------------------------------------ peers come and go

    def _on_hello(self, route: bytes, key_role: str | None, hello: m.Hello) -> None:
        before = self.peers.get(hello.uuid)
        try:
            if self.full and before is None:
                raise ControllerFull(self.full)
            greeted = self.peers.greet(route, key_role, hello, self.closings.time)
        except ClusterError as error:
            self._refuse(route, error, described(hello.role, hello.uuid, hello.info))
            return
        if greeted is None:
            return
        channel, answer = greeted
        self._mail.forward(channel, answer)
        peer = channel.peer
        if before is None and peer.role == "client":
            self.news.append(peer.news("came"))
        if self.is_down:
            self._mail.tell(channel, m.Bye("the controller is shutting down"))
        elif peer.role == "client" and channel.name == "control":
            self._mail.post(channel, m.Membership(list(self.members.values())))
        elif peer.role == "engine" and peer.is_complete:
            self._mail.report(m.EngineArrived(peer.uuid, peer.info))
        elif peer.role == "node":
            self._mail.report(m.NodeCame(peer.uuid, peer.info))

    def _on_bye(self, peer: Peer, reason: str) -> None:
        if peer.role == "engine":
            return  # its supervisor will report its end, with what it had started
        self._announce_end(peer, reason or "it said good-bye")
        self._drop(peer)

    def _bury(self, peer: Peer) -> None:
        """Give up a peer whose connections have been closed for too long."""
        if self.closings.is_over(peer):
            self._announce_end(peer, "its connection closed and stayed closed")
            self._drop(peer)

    def _announce_end(self, peer: Peer, reason: str) -> None:
        if peer.role == "node":
            self._mail.report(m.NodeGone(peer.uuid, reason))
        elif peer.role == "engine":
            # Nobody knows what it had started: all of its attempts may have been.
            death = m.Death(peer.uuid, None, None, 1 << 62, expected=False, reason=reason)
            self._mail.report(m.Departed(death))
        else:
            self.news.append(peer.news(f"left: {reason}"))

    def _drop(self, peer: Peer) -> None:
        self.peers.forget(peer.uuid)
        self._intake.forget(peer.uuid)
        self._ask_hub(self._inquiries.forget(peer.uuid))
        self.leases.lose(peer.uuid)

    # ------------------------------------------------------------ messages by role

    def _on_message(
        self, channel: Channel, message: m.PeerMessage, buffers: Frames, body: memoryview
    ) -> None:
        peer = channel.peer
        role = peer.role
        if (
            isinstance(message, m.Outcomes) and role == "engine"
        ):  # almost all there is, and a match takes long
            self._on_outcomes(peer, message, buffers)
            return
        if isinstance(message, m.Submit) and role == "client":
            self._on_submission(peer.uuid, message, buffers, body)
            return
        match role, message:
            case _, m.Bye(reason):
                self._on_bye(peer, reason)
            case "client", m.SubmitDirect():
                self._on_submission(peer.uuid, message, buffers, body)
            case "client", m.Functions(digests):
                self._take_in(peer.uuid, self._intake.supply(peer.uuid, digests, buffers))
            case "client", m.Abort(msg_ids, interrupt):
                for core in (self.tasks.handle, self.direct.handle):
                    self._feed(core, AbortAsked(peer.uuid, msg_ids, interrupt))
            case "client", m.Query():
                self._on_query(peer, message)
            case "client", m.Flushed(number):
                self._ask_hub(self._inquiries.answered(peer.uuid, number))
            case "engine", m.NeedFunctions(digests):
                self._on_need(channel, digests)
            case "engine", m.Output(pieces):
                self._relay_output(peer, pieces)
            case "engine", m.Published():
                self._relay_data(peer, message, buffers)
            case "engine", m.Engaged(what):
                self._on_engaged(peer, what)
            case "engine", m.Dropped(attempts):
                self._on_dropped(peer, attempts)
            case "node", m.Exited(death):
                self._on_exited(peer, death)
            case _:
                raise ProtocolError(f"a {type(message).__name__} from a {peer.role}")

    # ------------------------------------------------------------ clients

    def _on_submission(
        self, client: PeerId, message: Submission, buffers: Frames, body: memoryview
    ) -> None:
        admitted = self.burden.admit(self.burden.held(client), buffers)
        if admitted is None:
            self._reject_new(client, msg_ids_of(message), refusals.no_room_for_arguments())
            return
        try:
            taken = self._intake.submit(client, message, admitted, body)
        except ProtocolError as error:
            self._reject_new(client, msg_ids_of(message), refusals.malformed(str(error)))
            raise
        self._take_in(client, taken)

    def _reject_new(self, client: PeerId, msg_ids: list[MsgId], why: m.Failure) -> None:
        """Answer tasks that came in a message with which nothing can be done."""
        new = [msg_id for msg_id in dict.fromkeys(msg_ids) if self._are_new([msg_id])]
        self._reject(client, new, why)

    def _are_new(self, msg_ids: Collection[MsgId]) -> bool:
        """Tell whether none of *msg_ids* names a task already: it does so for good."""
        return self.tasks.knows_none_of(msg_ids) and self.direct.knows_none_of(msg_ids)

    def _take_in(self, client: PeerId, taken: TakenIn) -> None:
        """Do what has come of a submission."""
        for parcel in taken.parcels:
            frames = [*parcel.functions, *parcel.buffers]
            share = self.for_hub.share(frames, len(parcel.functions))
            submitted = m.Submitted(client, share.omitted, share.crowded)
            self._mail.record(submitted, parcel.body, share.frames, self.now)
        for event in taken.events:
            self._lease(event)
            if isinstance(event, DirectSubmitted):
                self._feed(self.direct.handle, event)
                self._note_named(event.request.targets)
                continue
            self._tell_of_named()
            if any(task.options for task in event.tasks):  # their timeouts count from now
                self._feed(self.tasks.handle, TimePassed(self.now))
            self._feed(self.tasks.handle, event)
        if taken.refused:
            self._reject(client, taken.refused, refusals.unknown_function())
        if taken.missing:
            self._mail.post_to(client, "task", m.NeedFunctions(taken.missing))

    def _lease(self, event: TasksSubmitted | DirectSubmitted) -> None:
        """Note which segments the arguments of new tasks lie in, and what they weigh."""
        if isinstance(event, DirectSubmitted):
            self.leases.grant(event.request.msg_ids, event.buffers)
            self.burden.add(event.client, event.request.msg_ids, event.buffers)
        else:
            for task, buffers in zip(event.tasks, event.buffers, strict=True):
                if isinstance(task, m.Task) and buffers:
                    self.leases.grant([task.msg_id], buffers)
                    self.burden.add(event.client, [task.msg_id], buffers)

    def _reject(self, client: PeerId, msg_ids: list[MsgId], failure: m.Failure) -> None:
        """Answer tasks that no core has seen."""
        refused = self._deliveries.setdefault(client, []) if msg_ids else []
        for msg_id in msg_ids:
            result = m.Result(msg_id, "unreachable", None, failure=failure)
            refused.append(Deliver(client, Digest(b""), result))

    def _is_client(self, uuid: PeerId) -> bool:
        peer = self.peers.get(uuid)
        return peer is not None and peer.role == "client"

    def _on_query(self, peer: Peer, query: m.Query) -> None:
        number, clients = self._inquiries.hold(peer.uuid, query, self.now)
        for client in clients:
            self._mail.post_to(client, "task", m.Flush(number))
        if not clients:
            self._ask_hub([(peer.uuid, query)])

    def _ask_hub(self, asked: Sequence[tuple[PeerId, m.Query]]) -> None:
        for asker, query in asked:
            self._mail.send_records()  # an answer takes into account what came before the question
            self._mail.report(m.Asked(asker, query), self._state_for(query.name))

    def _state_for(self, query: str) -> list[bytes]:
        """Return what the hub needs from here to answer a query."""
        match query:
            case "queue_status" | "engine_states":
                return [encode(self._queue_state())]
            case "status":
                return [encode(self._workload())]
        return []

    def _queue_state(self) -> m.QueueState:
        return m.QueueState(
            {engine: self.direct.held(engine) for engine in self.members},
            {engine: state.msg_ids for engine, state in self.tasks.engines.items()},
            [id_ for id_, job in self.tasks.jobs.items() if job.state is not JobState.ASSIGNED],
        )

    def _workload(self) -> m.Workload:
        """Count without looking at each task."""
        tasks = {engine: state.load for engine, state in self.tasks.engines.items()}
        return m.Workload(
            {engine: self.direct.n_held(engine) for engine in self.members},
            tasks,
            len(self.tasks.jobs) - sum(tasks.values()),
            sum(not peer.is_visitor for peer in self.peers.with_role("client")),
        )

    def _on_answered(self, client: PeerId, answer: m.Answer, buffers: Frames) -> None:
        """Pass an answer on; one with buffers over the channel for what is large."""
        peer = self.peers.get(client)
        channel = peer.channels.get("task" if buffers else "control") if peer else None
        if channel is None:
            self.leases.drop(buffers)
            return
        behind_bytes = channel.session.stream.behind_bytes
        admitted = self.burden.admit(behind_bytes, [encode(answer), *buffers])
        if admitted is None:
            self.leases.drop(buffers)
            failure = refusals.no_room_for_result()
            self._mail.post(channel, m.Answer(answer.number, error=failure))
            return
        self._mail.post_encoded(channel, admitted[0], admitted[1:])
        if buffers:
            self._pass_on(client, channel, buffers)

    def _pass_on(self, client: PeerId, channel: Channel, buffers: Frames) -> None:
        """Note which segments the last message to a client hands over to it."""
        stream = channel.session.stream
        received = stream.sent - stream.n_unacknowledged
        self.leases.pass_on(client, stream.sent, received, buffers)

    # ------------------------------------------------------------ engines

    def _on_outcomes(self, peer: Peer, message: m.Outcomes, buffers: Frames) -> None:
        outcomes = message.outcomes
        try:
            each = list(deal(outcomes, buffers))
        except ProtocolError as error:
            # The results cannot be told apart; that they ended is known all the same.
            attempts = ((msg_id, end.attempt) for end in outcomes for msg_id in ids_of(end))
            rest = damaged(attempts, str(error))
            self._end_attempts(peer, rest, [()] * len(rest))
            raise
        self._end_attempts(peer, outcomes, each)

    def _end_attempts(
        self,
        peer: Peer,
        outcomes: Sequence[m.Outcome | m.OutcomeBundle],
        buffers: list[tuple[Buffer, ...]],
    ) -> None:
        self._relayed.clear()
        if peer.engine is not None:
            self._feed_outcomes(peer.engine, outcomes, buffers)
        for owned in buffers:
            if owned and id(owned) not in self._relayed:
                self.leases.drop(owned)  # it was late

    def _feed_outcomes(
        self,
        engine: EngineId,
        outcomes: Sequence[m.Outcome | m.OutcomeBundle],
        buffers: list[tuple[Buffer, ...]],
    ) -> None:
        direct = [
            i
            for i, outcome in enumerate(outcomes)
            if isinstance(outcome, m.Outcome) and outcome.msg_id in self.direct
        ]
        if not direct:
            self._feed(self.tasks.handle, AttemptsEnded(engine, outcomes, buffers))
            return
        chosen = set(direct)
        others = [i for i in range(len(outcomes)) if i not in chosen]
        for core, indices in ((self.direct.handle, direct), (self.tasks.handle, others)):
            if indices:
                event = AttemptsEnded(
                    engine, [outcomes[i] for i in indices], [buffers[i] for i in indices]
                )
                self._feed(core, event)
        self._note_named([engine])

    def _note_named(self, engines: Sequence[EngineId]) -> None:
        """Calls that name these engines have come or gone; tasks are told as soon as any care."""
        for engine in engines:
            self._named.pop(engine, None)
            self._named[engine] = None  # so that the one that was used last is the last
        if self.tasks.jobs:
            self._tell_of_named()

    def _tell_of_named(self) -> None:
        """Let the task scheduler know what stands in engines' lines beside its tasks."""
        while self._named:
            engine = next(iter(self._named))
            del self._named[engine]
            n_held, info = self.direct.n_held(engine), self.members.get(engine)
            peer = self.peers.get(info.uuid) if info is not None else None
            if peer is not None and peer.engaged:
                self._feed(self.tasks.handle, EngineOccupied(engine, n_held + 1, first=True))
            else:
                self._feed(self.tasks.handle, EngineOccupied(engine, n_held))

    def _on_engaged(self, peer: Peer, what: str) -> None:
        peer.engaged = what
        self._mail.report(m.Engages(peer.uuid, what))
        if peer.engine is not None:
            self._note_named([peer.engine])

    def _on_need(self, channel: Channel, digests: list[Digest]) -> None:
        found = [(digest, self.functions.get(digest)) for digest in digests]
        here = [(digest, data) for digest, data in found if data is not None]
        self._mail.post(channel, m.Functions([d for d, _ in here]), [data for _, data in here])

    def _on_dropped(self, peer: Peer, attempts: list[tuple[MsgId, int]]) -> None:
        if peer.engine is not None:
            for core in (self.tasks.handle, self.direct.handle):
                self._feed(core, AttemptsDropped(peer.engine, attempts))
            self._note_named([peer.engine])

    def _relay_output(self, peer: Peer, pieces: list[m.Piece]) -> None:
        """Pass on what tasks show, but not to clients that are behind: it is only to look at."""
        if peer.engine is None:
            return
        for client, group in groupby(pieces, lambda piece: self._shown_to(peer.engine, piece)):
            reader = self.peers.get(client) if client is not None else None
            channel = reader.channels.get("control") if reader is not None else None
            if channel is not None:
                self._mail.show(channel, m.Output(list(group), peer.engine))

    def _relay_data(self, peer: Peer, message: m.Published, buffers: Frames) -> None:
        """Pass on what tasks publish; the last of it also to clients that are behind."""
        dealt = zip(message.data, deal(message.data, buffers), strict=True)
        if peer.engine is None:
            return
        for client, group in groupby(dealt, lambda item: self._shown_to(peer.engine, item[0])):
            reader = self.peers.get(client) if client is not None else None
            channel = reader.channels.get("task") if reader is not None else None
            if channel is not None:
                send = self._mail.post if message.final else self._mail.show
                items = list(group)
                frames = [frame for _, owned in items for frame in owned]
                send(channel, m.Published([datum for datum, _ in items], message.final), frames)

    def _shown_to(self, engine: EngineId | None, piece: m.Piece | m.Datum) -> PeerId | None:
        """Return who submitted the task that shows *piece*; None if it is not running there."""
        assert engine is not None
        job = self.tasks.jobs.get(piece.msg_id)
        if job is None:
            return self.direct.client_of(engine, piece.msg_id)
        is_current = job.engine == engine and job.attempt == piece.attempt
        return job.client if is_current else None

    def _on_exited(self, node: Peer, death: m.Death) -> None:
        engine = self.peers.get(death.uuid)
        if engine is not None and engine.role != "engine":
            raise ProtocolError(f"{death.uuid} is a {engine.role}, not an engine of {node.uuid}")
        self._mail.report(m.Departed(death))
        self.peers.forget(death.uuid)

    # ------------------------------------------------------------ the hub's news

    def _on_joined(self, info: EngineInfo) -> None:
        peer = self.peers.get(info.uuid)
        if peer is not None and (peer.engine is None or info.engine not in self.starting):
            self._mail.post_to(peer.uuid, "control", m.Registered(info.engine))
        if peer is not None:
            peer.engine = info.engine
        if info.state == STARTING:
            self.starting[info.engine] = info
            return
        self.starting.pop(info.engine, None)
        self.members[info.engine] = info
        for core in (self.direct.handle, self.tasks.handle):
            self._feed(core, EngineJoined(info.engine))
        self._tell_clients(m.Membership([info]))

    def _on_suspected(self, engine: EngineId, suspect: bool) -> None:
        info = self.members.get(engine)
        if info is None:
            return
        state = "suspect" if suspect else "alive"
        info = m.EngineInfo(info.engine, info.uuid, info.node, info.host, info.pid, state)
        self.members[engine] = info
        for core in (self.direct.handle, self.tasks.handle):
            self._feed(core, EngineSuspected(engine, suspect))
        self._tell_clients(m.Membership([info]))

    def _on_left(self, left: m.Left) -> None:
        begins = self.starting.pop(left.engine, None)
        info = self.members.get(left.engine)
        if info is None:
            if begins is not None:
                self._let_go(begins, left)
            return
        # The task scheduler first: what ends with the engine may set free tasks that wait for it,
        # and those must not be sent there.
        for core in (self.tasks.handle, self.direct.handle):
            self._feed(core, EngineLost(left.engine, left.reason, left.started))
        del self.members[left.engine]
        self._named.pop(left.engine, None)
        self._assignments.pop(left.engine, None)
        self._let_go(info, left)

    def _let_go(self, info: EngineInfo, left: m.Left) -> None:
        if left.final:
            self.peers.forget(info.uuid)
        self._tell_clients(m.Membership([], {left.engine: left.reason}))

    def _on_shut_down(self, message: m.ShutDown) -> None:
        self.is_down = True
        self._pack()
        self._mail.send_records()
        for peer in self.peers:
            for channel in peer.channels.values():
                self._mail.tell(channel, m.Bye(message.reason, message.failed))
        self._mail.report(m.ShutDownDone())

    def _tell_clients(self, message: m.Membership) -> None:
        for peer in self.peers.with_role("client"):
            self._mail.post_to(peer.uuid, "control", message)

    # ------------------------------------------------------------ cores

    def _feed(self, core: Handler, event: Event) -> None:
        """Let *core* handle *event*, then what follows from it: one at a time, never nested.

        What an engine is sent must leave in the order of its serial numbers, so that an event
        which arises from an action waits until the actions beside it are done.
        """
        self._events.append((core, event))
        if self._is_feeding:
            return  # called from `_perform`: the loop below will get to it
        self._is_feeding = True
        try:
            while self._events:
                handle, event = self._events.popleft()
                for action in handle(event):
                    self._perform(action)
        finally:
            self._is_feeding = False  # also if it was raised: what is left comes with the next

    def _perform(self, action: Action) -> None:
        match action:
            case AssignAttempts():
                self._assignments.setdefault(action.engine, []).append(action)
            case Deliver():
                self._deliver(action)
            case Recall(engine, attempts, interrupt):
                info = self.members.get(engine)
                if info is not None:
                    self._mail.post_to(info.uuid, "control", m.Drop(attempts, interrupt))

    def _deliver(self, action: Deliver) -> None:
        self._deliveries.setdefault(action.client, []).append(action)
        result = action.result
        if isinstance(result, m.ResultBundle):  # then no segments and no direct calls
            self.functions.release(action.function, len(result.msg_ids))
            return
        self.functions.release(action.function)
        self.leases.end(result.msg_id)
        self.burden.end(result.msg_id)
        if action.buffers:
            self._relayed.add(id(action.buffers))
            if self.peers.get(action.client) is None:
                self.leases.drop(action.buffers)
        if result.msg_id not in self.tasks.endings:  # then it was a direct call
            ended = EndedElsewhere(result.msg_id, result.engine, result.status == "ok")
            self._feed(self.tasks.handle, ended)

    def check(self) -> None:
        """Assert every invariant; O(everything)."""
        for part in (self.tasks, self.direct, self.functions, self.peers, self.leases, self.burden):
            part.check()
        for engine in self.tasks.engines:
            assert engine in self.members
