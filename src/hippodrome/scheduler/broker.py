"""The scheduler process without its sockets: frames in, frames out, everything between pure.

The broker ties the cores to the peers: it reads messages and hands each to the desk that it is
for, which turns it into events; what the cores decide is packed into messages again, one for each
peer and turn. Whoever owns the sockets calls `receive` and `receive_hub` for what came, `tick`
with the time, and then sends what `flush` returns.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from hippodrome.errors import ProtocolError, ProtocolVersionError
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Frames, decode, decode_hub, read_head
from hippodrome.protocol.functions import FunctionCache
from hippodrome.protocol.messages import EngineId, EngineInfo
from hippodrome.protocol.receiving import Received, receive
from hippodrome.scheduler.announcements import Announcements
from hippodrome.scheduler.burden import Burden
from hippodrome.scheduler.cargo import Cargo
from hippodrome.scheduler.clientdesk import ClientDesk
from hippodrome.scheduler.core import TaskScheduler
from hippodrome.scheduler.cores import Cores, Performers
from hippodrome.scheduler.deliveries import Deliveries
from hippodrome.scheduler.direct import DirectScheduler
from hippodrome.scheduler.enginedesk import EngineDesk
from hippodrome.scheduler.events import (
    Action,
    AssignAttempts,
    Deliver,
    Event,
    Recall,
    TimePassed,
)
from hippodrome.scheduler.forhub import ForHub
from hippodrome.scheduler.haulage import HERE, Haulage, HostShelf
from hippodrome.scheduler.hubdesk import HubDesk
from hippodrome.scheduler.loading import Loading
from hippodrome.scheduler.outbox import Destination, Mail
from hippodrome.scheduler.peers import CHANNELS, Channel, Peers
from hippodrome.scheduler.reception import Reception
from hippodrome.scheduler.room import AUTO
from hippodrome.scheduler.roster import Roster
from hippodrome.segments.leases import Leases

TICK_EVERY_S: Final = 0.25
CORE_EVERY_S: Final = 0.005  # in lively times; not in each of a thousand turns of the loop a second

Desk = ClientDesk | EngineDesk | Reception


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
        shelf: the objects of this host; None if there can be none.

    Attributes:
        for_hub: what the hub is given of large buffers.
        haulage: what lies elsewhere than on this host, or is to.
        leases: which segments are needed.
        reception: lets peers in, gives them up, and knows what to log of them.
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
        shelf: HostShelf | None = None,
    ) -> None:
        self.functions: FunctionCache = FunctionCache()
        self.peers: Peers = Peers(welcome)
        self.leases: Leases = Leases(token, shelf.whole if shelf is not None else None)
        self.burden: Burden = burden or Burden()
        self.for_hub: ForHub = ForHub(token, large_limit, self._lies_here)
        self._mail = mail = Mail(self.peers, self.for_hub)
        self.haulage: Haulage = Haulage(mail.post_data, shelf)
        cargo = Cargo(token, self.haulage, self.peers, self.leases, shelf)
        roster = self._roster = Roster(self.peers, mail, self.functions, cargo)
        kept = self.functions, self.leases, self.burden
        deliveries = self._deliveries = Deliveries(self.peers, mail, *kept, cargo)
        does: Performers = {
            AssignAttempts: roster.assign,
            Deliver: deliveries.add,
            Recall: roster.recall,
        }
        cores = self._cores = Cores(scheme, hwm, rng, roster, does)
        news = self._announcements = Announcements(self.peers, mail)
        roster.loading = Loading(cargo, cores)
        self._hub = HubDesk(self.peers, mail, roster, cores, deliveries, news)
        self._engines = EngineDesk(self.peers, mail, cores, deliveries, self.functions, cargo)
        self._clients = ClientDesk(self.peers, mail, self._hub, cores, deliveries, *kept, cargo)
        self.reception: Reception = Reception(
            self.peers, mail, roster, self._clients, news, self.haulage
        )
        self.tasks: TaskScheduler = cores.tasks
        self.direct: DirectScheduler = cores.direct
        self.members: dict[EngineId, EngineInfo] = roster.members
        self._tick_due = self._core_due = 0.0

    def _lies_here(self, name: str) -> bool:
        return self.haulage.is_at(name, HERE)

    @property
    def now(self) -> float:
        """The time of the last tick, in seconds of a monotonic clock."""
        return self._mail.now

    @property
    def is_down(self) -> bool:
        """Whether everybody has been told good-bye."""
        return self.reception.is_down

    # ------------------------------------------------------------ in

    def receive(
        self, route: bytes, key_role: str | None, frames: Frames, channel: Channel | None = None
    ) -> None:
        """Take one message of a peer.

        Args:
            route: the connection over which it came.
            key_role: the role that its key proves; None on this host.
            frames: the message.
            channel: that of the route, if the caller has looked.
        """
        try:
            self._receive(route, key_role, frames, channel or self.peers.channel_at(route))
        except ProtocolVersionError as error:
            self.reception.refuse(route, error)
        except ProtocolError as error:
            self.reception.complain(route, error)

    def _receive(
        self, route: bytes, key_role: str | None, frames: Frames, channel: Channel | None
    ) -> None:
        if not frames:
            raise ProtocolError("a message without frames")
        number, acknowledged, body = read_head(frames[0])
        if number == 0:
            self.reception.receive_unnumbered(route, key_role, channel, decode(body))
        elif channel is None:
            self._mail.answer(route, m.WhoAreYou())
        else:
            stream = channel.session.stream
            received = receive(stream, number, acknowledged, body, frames)
            self._mail.forward(channel, received.replies)
            self._on_numbered(channel, received)
            self._mail.forward(channel, stream.acknowledgement_due())

    def _on_numbered(self, channel: Channel, received: Received) -> None:
        message, desk = received.message, self._desk_for(channel.peer.role)
        if channel.name == "data":
            if received.error is not None:
                raise received.error
            if message is not None:
                self.haulage.receive(channel.peer.uuid, message, received.buffers)
            return
        if received.error is not None:
            desk.on_unreadable(channel.peer, received.body, str(received.error))
            raise received.error
        if isinstance(message, m.Bye):
            # Now, as nobody will be known afterwards: some wait until their last words are heard.
            self._mail.forward(channel, [channel.session.stream.acknowledgement()])
            self.reception.on_bye(channel.peer, message.reason)
        elif message is not None:
            desk.receive(channel, message, received.buffers, received.body)

    def _desk_for(self, role: str) -> Desk:
        if role == "engine":
            return self._engines
        return self._clients if role == "client" else self.reception

    def receive_hub(self, frames: Frames) -> None:
        """Take one message of the hub."""
        message = decode_hub(bytes(frames[0]))
        if isinstance(message, m.ShutDown):
            self._pack()
            self.reception.shut_down(message)
        else:
            self._hub.receive(message, frames[1:])

    def closed(self, route: bytes) -> None:
        """A connection is gone."""
        self.peers.close(route, self.reception.closings.time)

    def doubt(self, route: bytes) -> None:
        """A connection is said to be closed, which shows when something is sent over it."""
        self.reception.doubt(route)

    def tick(self, now: float) -> None:
        """It is now *now*, in seconds of a monotonic clock."""
        if now >= self._core_due or now >= self.tasks.next_look():
            self._core_due = now + CORE_EVERY_S
            self._cores.feed(self.tasks, TimePassed(now))
        self._mail.tick(now)
        if now >= self._tick_due:
            late_s = now - self._tick_due if self._tick_due else 0.0
            self._tick_due = now + TICK_EVERY_S
            self._clients.tick(now)
            self.reception.tick(now, late_s)
            self.haulage.tick(now)

    def next_tick(self) -> float:
        """When `tick` should come at the latest."""
        news = self._announcements.next_tick()
        dues = (self._tick_due, self._mail.next_tick(), self.tasks.next_look(), news)
        return min(due for due in dues if due is not None)

    def watch(self, tell: Callable[[Event | Action], None]) -> None:
        """Let *tell* hear of all that happens to tasks and engines, for the log."""
        self._cores.watch(tell)

    # ------------------------------------------------------------ out

    def flush(self) -> list[tuple[Destination, Frames]]:
        """Return everything that is to be sent, in order, each with its destination."""
        self._pack()
        if freed := self.leases.take_freed():
            self.haulage.free(freed)
        self.haulage.turn()
        return self._mail.take()

    def take_freed(self) -> list[str]:
        """Return the objects that nobody needs any more, once."""
        return self.haulage.take_freed()

    def _pack(self) -> None:
        """Turn what the cores have decided into messages."""
        self._roster.pack()
        self._announcements.tell_if_due(is_urgent=bool(self._deliveries.waiting))
        self._deliveries.pack()

    def check(self) -> None:
        """Assert every invariant; O(everything)."""
        for part in (
            self._cores,
            self.functions,
            self.peers,
            self.leases,
            self.burden,
            self.haulage,
        ):
            part.check()

    def __repr__(self) -> str:
        roles = ", ".join(f"{len(self.peers.with_role(role))} {role}s" for role in CHANNELS)
        return f"<Broker: {roles}; {self.tasks!r}, {len(self.direct)} calls by name>"
