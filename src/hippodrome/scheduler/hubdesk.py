"""The desk for the hub: its news of engines, and the questions that are passed on to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Frames, encode
from hippodrome.protocol.messages import STARTING, TAKEN, EngineId, EngineInfo, PeerId
from hippodrome.scheduler.announcements import Announcements
from hippodrome.scheduler.cores import Cores
from hippodrome.scheduler.deliveries import Deliveries
from hippodrome.scheduler.events import EngineJoined, EngineLost, EngineSuspected
from hippodrome.scheduler.outbox import Mail
from hippodrome.scheduler.peers import Peers
from hippodrome.scheduler.roster import Roster


@dataclass(slots=True, repr=False)
class HubDesk:
    """Who is a member, as the hub says, and what the hub is asked.

    Attributes:
        starting: engines that have a number, and are no members yet.
    """

    peers: Peers
    mail: Mail
    roster: Roster
    cores: Cores
    deliveries: Deliveries
    announcements: Announcements
    starting: dict[EngineId, EngineInfo] = field(default_factory=dict)

    def receive(self, message: m.HubMessage, buffers: Frames) -> None:
        """Take one message of the hub."""
        match message:
            case m.Changed(changes):
                for change in changes:
                    self.receive(change, [])
            case m.Joined(info):
                self._on_joined(info)
            case m.Suspected(engine, suspect):
                self._on_suspected(engine, suspect)
            case m.Left():
                self._on_left(message)
            case m.Answered(client, answer):
                self.announcements.tell()  # which it may be about
                self.deliveries.answer(client, answer, buffers)
            case m.Taken(n):
                self.mail.for_hub.taken(n)
            case m.Order(node, stop, signal):
                for order in (stop, signal):
                    if order is not None:
                        self.mail.post_to(node, "control", order)
            case _:
                raise ProtocolError(f"the hub sent a {type(message).__name__}")

    # ------------------------------------------------------------ its news

    def _on_joined(self, info: EngineInfo) -> None:
        peer = self.peers.get(info.uuid)
        if info.state == TAKEN:
            if peer is not None:
                self.mail.post_to(peer.uuid, "control", m.Registered(info.engine, taken=True))
            return
        if peer is not None and (peer.engine is None or info.engine not in self.starting):
            self.mail.post_to(peer.uuid, "control", m.Registered(info.engine))
        if peer is not None:
            peer.engine = info.engine
        if info.state == STARTING:
            self.starting[info.engine] = info
            return
        self.starting.pop(info.engine, None)
        self.roster.members[info.engine] = info
        self.cores.feed_both(EngineJoined(info.engine))
        self.announcements.come(info)

    def _on_suspected(self, engine: EngineId, suspect: bool) -> None:
        info = self.roster.members.get(engine)
        if info is None:
            return
        info = msgspec.structs.replace(info, state="suspect" if suspect else "alive")
        self.roster.members[engine] = info
        self.cores.feed_both(EngineSuspected(engine, suspect))
        self.announcements.change(info)

    def _on_left(self, left: m.Left) -> None:
        info = self.starting.pop(left.engine, None)
        if left.engine in self.roster.members:
            info = self.roster.members[left.engine]
            self.cores.feed_both(EngineLost(left.engine, left.reason, left.started))
            self.roster.remove(left.engine)
            self.cores.forget(left.engine, is_final=left.final)
        if info is not None:
            if left.final:
                self.peers.forget(info.uuid)
            self.announcements.leave(left.engine, left.reason)

    # ------------------------------------------------------------ what it is asked

    def ask(self, asked: Iterable[tuple[PeerId, m.Query]]) -> None:
        """Pass questions on, each with its asker."""
        for asker, query in asked:
            self.mail.send_records()  # an answer takes into account what came before the question
            self.mail.report(m.Asked(asker, query), self._state_for(query.name))

    def _state_for(self, query: str) -> list[bytes]:
        """Return what the hub needs from here to answer a query."""
        match query:
            case "queue_status" | "engine_states":
                return [encode(self._queue_state())]
            case "status":
                return [encode(self._workload())]
        return []

    def _queue_state(self) -> m.QueueState:
        tasks, direct = self.cores.tasks, self.cores.direct
        return m.QueueState(
            {engine: direct.held(engine) for engine in self.roster.members},
            {engine: state.msg_ids for engine, state in tasks.engines.items()},
            [id_ for id_, job in tasks.jobs.items() if job.engine is None],
        )

    def _workload(self) -> m.Workload:
        """Count without looking at each task."""
        loads = {engine: state.load for engine, state in self.cores.tasks.engines.items()}
        return m.Workload(
            {engine: self.cores.direct.n_held(engine) for engine in self.roster.members},
            loads,
            len(self.cores.tasks.jobs) - sum(loads.values()),
            sum(not peer.is_visitor for peer in self.peers.with_role("client")),
        )
