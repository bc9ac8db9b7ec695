"""The desk where peers come and go: introductions, good-byes, beats, and connections that close."""

from __future__ import annotations

from dataclasses import dataclass, field

from hippodrome.errors import ClusterError, ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Frames, unnumbered
from hippodrome.scheduler.announcements import Announcements
from hippodrome.scheduler.beats import Doubts, look_s, period_s
from hippodrome.scheduler.clientdesk import ClientDesk
from hippodrome.scheduler.closings import Closings
from hippodrome.scheduler.haulage import Haulage
from hippodrome.scheduler.outbox import Mail
from hippodrome.scheduler.peers import (
    CHANNELS,
    Channel,
    ControllerFull,
    Peer,
    PeerNews,
    Peers,
    described,
)
from hippodrome.scheduler.roster import Roster

AWAKE_EVERY_S = 1.0


@dataclass(slots=True, repr=False)
class Reception:
    """Who is let in, and who is given up.

    Attributes:
        closings: knows when peers whose connections were closed are given up.
        full: why no new peers are let in now; empty while they are.
        complaints: what peers did wrong since this list was last emptied, one line each.
        news: which clients came and went since this list was last emptied.
        is_down: whether everybody has been told good-bye.
        doubts: routes over which something is to be sent, to see whether they are closed.
    """

    peers: Peers
    mail: Mail
    roster: Roster
    clients: ClientDesk
    announcements: Announcements
    haulage: Haulage
    closings: Closings = field(default_factory=Closings)
    full: str = ""
    complaints: list[str] = field(default_factory=list)
    news: list[PeerNews] = field(default_factory=list)
    is_down: bool = False
    doubts: Doubts = field(default_factory=Doubts)
    _awake_due: float = 0.0

    # ------------------------------------------------------------ what peers say

    def receive_unnumbered(
        self, route: bytes, key_role: str | None, channel: Channel | None, message: m.PeerMessage
    ) -> None:
        """Take one message outside the streams; *channel* is that of the route, if it has one."""
        match message:
            case m.Hello():
                self._on_hello(route, key_role, message)
            case _ if channel is None:
                self.mail.answer(route, m.WhoAreYou())
            case m.Sync():
                self.mail.forward(channel, channel.session.stream.on_sync(message))
            case m.Maps():
                channel.peer.maps = True
            case m.Beat():
                if channel.peer.role == "node":
                    self.closings.hear_beat(channel.peer)
                    self.mail.report(m.Pulses(channel.peer.uuid, message.engines))
            case m.Bye():
                self.on_bye(channel.peer, message.reason)
            case _:
                raise ProtocolError(f"a {type(message).__name__} without a number")

    def receive(
        self, channel: Channel, message: m.PeerMessage, buffers: Frames, body: memoryview
    ) -> None:
        """Take one numbered message of a supervisor."""
        if not isinstance(message, m.Exited):
            raise ProtocolError(f"a {type(message).__name__} from a node")
        death = message.death
        engine = self.peers.get(death.uuid)
        if engine is not None and engine.role != "engine":
            node = channel.peer.uuid
            raise ProtocolError(f"{death.uuid} is a {engine.role}, not an engine of {node}")
        self.mail.report(m.Departed(death))
        self.peers.forget(death.uuid)

    def on_unreadable(self, peer: Peer, body: memoryview, why: str) -> None:
        """A message of a supervisor is about no task."""

    def _on_hello(self, route: bytes, key_role: str | None, hello: m.Hello) -> None:
        before = self.peers.get(hello.uuid)
        try:
            if self.full and before is None:
                raise ControllerFull(self.full)
            if hello.role == "client":
                self.announcements.tell()  # those who are here: this one gets a list of all
            greeted = self.peers.greet(route, key_role, hello, self.closings.time)
        except ClusterError as error:
            self.refuse(route, error, f"; it was {described(hello.role, hello.uuid, hello.info)}")
            return
        if greeted is None:
            return
        channel, answer = greeted
        self.mail.forward(channel, answer)
        if before is None and hello.role == "client":
            self.news.append(channel.peer.news("came"))
        self._welcome(channel, channel.peer)

    def _welcome(self, channel: Channel, peer: Peer) -> None:
        if self.is_down:
            self.mail.tell(channel, m.Bye("the controller is shutting down"))
        elif peer.role == "client" and channel.name == "control":
            present = list(self.roster.members.values())
            self.mail.post(channel, m.Membership(present, number=self.announcements.n_told))
        elif peer.role == "engine" and peer.is_complete:
            self.mail.report(m.EngineArrived(peer.uuid, peer.info))
        elif peer.role == "node":
            self.mail.report(m.NodeCame(peer.uuid, peer.info))

    def refuse(self, route: bytes, error: ClusterError, who: str = "") -> None:
        """Send away who is at the other end of a connection."""
        self.complaints.append(f"refused a peer: {error}{who}")
        self.mail.answer(route, m.Refused(str(error), error.code))

    def complain(self, route: bytes, error: ProtocolError) -> None:
        """Somebody has sent what makes no sense."""
        channel = self.peers.channel_at(route)
        who = f"{channel.peer.role} {channel.peer.uuid}" if channel else "a stranger"
        self.complaints.append(f"{who} broke the protocol: {error}")

    # ------------------------------------------------------------ who goes

    def on_bye(self, peer: Peer, reason: str) -> None:
        """A peer has said that it goes."""
        if peer.role != "engine":  # its supervisor will report its end, with what it had started
            self._give_up(peer, reason or "it said good-bye")

    def _give_up(self, peer: Peer, reason: str) -> None:
        if peer.role == "node":
            self.mail.report(m.NodeGone(peer.uuid, reason))
        elif peer.role == "engine":
            # Nobody knows what it had started: all of its attempts may have been.
            death = m.Death(peer.uuid, None, None, 1 << 62, expected=False, reason=reason)
            self.mail.report(m.Departed(death))
        else:
            self.news.append(peer.news(f"left: {reason}"))
        self.peers.forget(peer.uuid)
        self.clients.forget(peer.uuid)
        self.haulage.lose(peer.uuid)

    def shut_down(self, message: m.ShutDown) -> None:
        """Tell everybody good-bye."""
        self.is_down = True
        self.mail.send_records()
        for peer in self.peers:
            for channel in peer.channels.values():
                self.mail.tell(channel, m.Bye(message.reason, message.failed))
        self.mail.report(m.ShutDownDone())

    # ------------------------------------------------------------ time

    def tick(self, now: float, late_s: float) -> None:
        """It is *now*, *late_s* later than this should have been called."""
        self.closings.tick(now, late_s)
        if now >= self._awake_due:
            self._awake_due = now + AWAKE_EVERY_S
            self.mail.report(m.Awake())
        for route in self.doubts.take():
            self._try(route)
        for peer in self.peers.take_cut():
            peer.look_due = now
        n = len(self.peers)
        pause_s = look_s(n)
        for role in CHANNELS:
            every_s = period_s(role, n)
            beat = unnumbered(m.Beat(every_s=every_s))
            for peer in self.peers.with_role(role):
                if now >= peer.look_due:
                    peer.look_due = now + pause_s
                    self._look_at(peer, now, beat, every_s)

    def _look_at(self, peer: Peer, now: float, beat: Frames, every_s: float) -> None:
        is_due = now >= peer.beat_due
        for channel in peer.channels.values():
            if is_due and channel.name == "control":
                self.mail.forward(channel, [beat])
            self.mail.forward(channel, channel.session.stream.tick(now))
        if is_due:
            peer.beat_due = now + every_s
            self._probe(peer)
        if self.closings.is_over(peer):
            self._give_up(peer, "its connection closed and stayed closed")

    def doubt(self, route: bytes) -> None:
        """A connection is said to be closed: see whether it is."""
        self.doubts.add(route)
        self._try(route)

    def _try(self, route: bytes) -> None:
        channel = self.peers.channel_at(route)
        if channel is not None:
            self.mail.tell(channel, m.Sync(0, channel.session.stream.received))

    def _probe(self, peer: Peer) -> None:
        """Write to who hears no beats: that a connection is closed shows in no other way."""
        control = peer.channels.get("control")
        if control is None or control.route is None:
            for channel in peer.channels.values():
                self.mail.tell(channel, m.Sync(0, channel.session.stream.received))
