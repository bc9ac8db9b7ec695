"""Attempts that wait until their arguments are where their engine is.

Meanwhile the engine is sent others: nobody waits for what somebody else sends. Only what one client
sends one engine by name stays in order. An attempt that has waited gets a new serial number, as
engines must start attempts in the order of these; until then it counts as not begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import EngineId, MsgId, PeerId
from hippodrome.scheduler.cargo import READY, Cargo
from hippodrome.scheduler.events import AssignAttempts, Serial
from hippodrome.scheduler.outcomes import unloaded
from hippodrome.scheduler.peers import Peer


class Decisions(Protocol):
    """What is asked, and told, of attempts that wait."""

    def client_of(self, engine: EngineId, msg_id: MsgId) -> PeerId | None:
        """Return whose call by name it is; None if it is a task, whose order is nobody's."""

    def is_current(self, engine: EngineId, msg_id: MsgId, attempt: int) -> bool:
        """Tell whether an engine is to run it."""

    def postpone(self, engine: EngineId, msg_id: MsgId) -> None:
        """Count it as not begun, whatever is sent there meanwhile."""

    def number(self, engine: EngineId, msg_id: MsgId) -> Serial:
        """Return the serial number under which it is sent."""

    def end(
        self,
        engine: EngineId,
        outcomes: Sequence[m.Outcome | m.OutcomeBundle],
        buffers: list[tuple[Buffer, ...]],
    ) -> None:
        """It has ended."""


class Loading:
    """The attempts that wait, by engine, in the order in which they were assigned.

    Args:
        cargo: brings arguments.
        cores: know whether an attempt is still wanted, and number it.
    """

    def __init__(self, cargo: Cargo, cores: Decisions) -> None:
        self._cargo = cargo
        self._cores = cores
        self._held: dict[EngineId, list[AssignAttempts]] = {}
        self._n_changes = 0

    def admit(self, peer: Peer, items: list[AssignAttempts]) -> list[AssignAttempts]:
        """Return those of new attempts for one engine that can be sent now; keep the others."""
        engine = items[0].engine
        held = self._held.get(engine, [])
        if not held and not any(item.buffers for item in items):
            return items
        blocked = {self._client_of(item) for item in held} - {None}
        ready: list[AssignAttempts] = []
        for item in items:
            client = self._client_of(item)
            if client in blocked or self._cargo.look(peer, item.buffers) != READY:
                self._cores.postpone(engine, item.msg_ids[0])
                held.append(item)
                if client is not None:
                    blocked.add(client)
            else:
                ready.append(item)
        if held:
            self._held[engine] = held
            self._n_changes = -1  # what is in vain is seen to in the next turn
        return ready

    def _client_of(self, item: AssignAttempts) -> PeerId | None:
        return self._cores.client_of(item.engine, item.msg_ids[0])

    def release(
        self, peer_of: Callable[[EngineId], Peer | None]
    ) -> Iterator[tuple[Peer, list[AssignAttempts]]]:
        """Yield what can be sent now of what was kept; *peer_of* tells who an engine is."""
        if not self._held or self._n_changes == self._cargo.n_changes:
            return
        self._n_changes = self._cargo.n_changes
        for engine in list(self._held):
            items = self._held.pop(engine)
            peer = peer_of(engine)
            if peer is not None and (ready := self._look_again(peer, items)):
                yield peer, ready

    def _look_again(self, peer: Peer, items: list[AssignAttempts]) -> list[AssignAttempts]:
        ready: list[AssignAttempts] = []
        kept: list[AssignAttempts] = []
        blocked: set[PeerId | None] = set()
        for item in items:
            engine, msg_id = item.engine, item.msg_ids[0]
            if not self._cores.is_current(engine, msg_id, item.attempt):
                continue
            client = self._client_of(item)
            found = None if client in blocked else self._cargo.look(peer, item.buffers)
            if found == READY:
                serial = self._cores.number(engine, msg_id)
                ready.append(msgspec.structs.replace(item, serial=serial))
            elif found is None:
                kept.append(item)
                if client is not None:
                    blocked.add(client)
            else:
                self._cores.end(engine, [unloaded(msg_id, item.attempt, found)], [()])
        if kept:
            self._held[items[0].engine] = kept
        return ready

    def remove(self, engine: EngineId) -> None:
        """*engine* is no member any more."""
        self._held.pop(engine, None)
