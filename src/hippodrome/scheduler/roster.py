"""The engines that are members, and what leaves for them: one message for each and turn."""

from __future__ import annotations

from dataclasses import dataclass, field

from hippodrome.protocol import messages as m
from hippodrome.protocol.functions import FunctionCache
from hippodrome.protocol.messages import EngineId, EngineInfo
from hippodrome.scheduler.cargo import Cargo
from hippodrome.scheduler.events import AssignAttempts, Recall
from hippodrome.scheduler.loading import Loading
from hippodrome.scheduler.outbox import Mail
from hippodrome.scheduler.packing import pack_assignments
from hippodrome.scheduler.peers import Peer, Peers


@dataclass(slots=True, repr=False)
class Roster:
    """The members, and the attempts that they are yet to be sent."""

    peers: Peers
    mail: Mail
    functions: FunctionCache
    cargo: Cargo
    loading: Loading = field(init=False)
    members: dict[EngineId, EngineInfo] = field(default_factory=dict)
    assigned: dict[EngineId, list[AssignAttempts]] = field(default_factory=dict)

    def peer(self, engine: EngineId) -> Peer | None:
        """Return the peer that is *engine*, if that is a member and connected."""
        info = self.members.get(engine)
        return self.peers.get(info.uuid) if info is not None else None

    def remove(self, engine: EngineId) -> None:
        """*engine* is no member any more, and gets nothing."""
        self.members.pop(engine, None)
        self.assigned.pop(engine, None)
        self.loading.remove(engine)

    def assign(self, action: AssignAttempts) -> None:
        """Let an engine have attempts, with this turn's message."""
        self.assigned.setdefault(action.engine, []).append(action)

    def recall(self, action: Recall) -> None:
        """Ask an engine for attempts, at once."""
        peer = self.peer(action.engine)
        if peer is not None:
            self.mail.post_to(peer.uuid, "control", m.Drop(action.attempts, action.interrupt))

    def pack(self) -> None:
        """Send the attempts that have been assigned in this turn, and those that have waited."""
        assigned, self.assigned = self.assigned, {}
        for engine, items in assigned.items():
            peer = self.peer(engine)
            if peer is not None and (ready := self.loading.admit(peer, items)):
                self._send(peer, ready)
        for peer, items in self.loading.release(self.peer):
            self._send(peer, items)

    def _send(self, peer: Peer, items: list[AssignAttempts]) -> None:
        for message, buffers in pack_assignments(items, peer.known, self.functions):
            buffers = self.cargo.load(peer, buffers) if buffers else buffers
            self.mail.post_to(peer.uuid, "task", message, buffers)
