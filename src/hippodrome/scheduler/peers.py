"""Who is connected: peers by uuid, their channels by route.

A route is the name that the ROUTER socket gave to one connection; it dies with the connection,
and nobody else can take it. So the role that was proved when a connection introduced itself
holds for all that comes over it.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final, NamedTuple

from hippodrome.errors import ClusterError, ProtocolError
from hippodrome.protocol.frames import Frames
from hippodrome.protocol.inflight import InFlight
from hippodrome.protocol.messages import QUESTION, TUNNEL, EngineId, Hello, PeerId
from hippodrome.protocol.session import Session
from hippodrome.protocol.stream import LOCAL_SIZES, SIZES
from hippodrome.scheduler.known import Known
from hippodrome.security.roles import check_role

CHANNELS: Final[Mapping[str, tuple[str, ...]]] = {
    "client": ("task", "control"),
    "engine": ("task", "control"),
    "node": ("control",),
}
OPTIONAL: Final[Mapping[str, tuple[str, ...]]] = {"client": ("data",), "node": ("data",)}
MOST_INFO: Final = 32  # things that a peer says of itself
MOST_INFO_CHARACTERS: Final = 1024  # of each
MOST_GONE: Final = 10_000
_UUID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SHOWN: Final = ("pid", "host", "version")
_MOST_SHOWN: Final = 64  # characters of each
_UUID_SHOWN: Final = 8
LIVE_MESSAGES: Final = 256  # on their way over a channel, beyond which no live output is added
LIVE_BYTES: Final = 8 << 20  # of live output


class PeerInUse(ClusterError):
    """Somebody else introduced himself by this id before."""

    code = "peer_in_use"


class ControllerFull(ClusterError):
    """The controller cannot take more connections."""

    code = "full"


@dataclass(slots=True)
class Channel:
    """One channel of one peer, over whatever connection it has now."""

    peer: Peer
    name: str
    key_role: str | None
    session: Session = field(init=False)
    route: bytes | None = None
    closed_at: float | None = None
    live: InFlight = field(init=False)

    def __post_init__(self) -> None:
        self.session = Session(LOCAL_SIZES if self.local else SIZES)
        self.live = InFlight(self.session.stream, LIVE_BYTES, LIVE_MESSAGES)

    @property
    def local(self) -> bool:
        return self.key_role is None and not self.peer.is_tunneled


class PeerNews(NamedTuple):
    """A coming or going, in words, and whether it is of one that only asks."""

    text: str
    is_aside: bool


@dataclass(slots=True)
class Peer:
    """A client, an engine or a supervisor."""

    uuid: PeerId
    role: str
    info: dict[str, str | int]
    secret: bytes = field(default=b"", repr=False)
    channels: dict[str, Channel] = field(default_factory=dict)
    known: Known = field(default_factory=Known)
    engine: EngineId | None = None
    engaged: str = ""  # what an engine does beside tasks
    heard_at: float = -math.inf  # when its last beat came, for a supervisor
    maps: bool = False  # the segments of this host, so that it may be sent references
    look_due: float = 0.0
    beat_due: float = 0.0

    @property
    def is_complete(self) -> bool:
        return len(self.channels) == len(CHANNELS[self.role])

    @property
    def is_visitor(self) -> bool:
        """Whether this client says that it only asks, or stops the controller, and leaves."""
        return self.role == "client" and self.info.get("purpose") == QUESTION

    @property
    def is_tunneled(self) -> bool:
        """Whether it says that a tunnel carries its connections, which may be cut and come back."""
        return self.info.get("way") == TUNNEL

    def news(self, what: str) -> PeerNews:
        """Return what the log says of this peer when it comes or goes."""
        return PeerNews(f"{described(self.role, self.uuid, self.info)} {what}", self.is_visitor)

    @property
    def closed_at(self) -> float | None:
        """Since when all of its connections have been closed; None if one is open."""
        since = [channel.closed_at for channel in self.channels.values()]
        closed = [at for at in since if at is not None]
        return max(closed) if len(closed) == len(since) else None


class Peers:
    """All peers that the controller remembers.

    Args:
        welcome: what they are told when they are welcomed.
    """

    def __init__(self, welcome: dict[str, str | int] | None = None) -> None:
        self._welcome = welcome or {}
        self._by_uuid: dict[PeerId, Peer] = {}
        self._by_role: dict[str, dict[PeerId, Peer]] = {role: {} for role in CHANNELS}
        self._by_route: dict[bytes, Channel] = {}
        self._cut: set[PeerId] = set()
        self._gone: OrderedDict[PeerId, bytes] = OrderedDict()  # secrets of those not here now

    def __iter__(self) -> Iterator[Peer]:
        return iter(list(self._by_uuid.values()))

    def get(self, uuid: PeerId) -> Peer | None:
        return self._by_uuid.get(uuid)

    def __len__(self) -> int:
        return len(self._by_uuid)

    def channel_at(self, route: bytes) -> Channel | None:
        return self._by_route.get(route)

    def with_role(self, role: str) -> list[Peer]:
        return list(self._by_role[role].values())

    def is_client(self, uuid: PeerId) -> bool:
        peer = self._by_uuid.get(uuid)
        return peer is not None and peer.role == "client"

    def greet(
        self, route: bytes, key_role: str | None, hello: Hello, now: float
    ) -> tuple[Channel, list[Frames]] | None:
        """Take note of an introduction.

        Args:
            route: the connection over which it came.
            key_role: the role that the connection's key proves; None for a peer on this host,
                which the permissions of the socket's directory let in. Of a connection that has
                introduced itself before, what it proved then counts.
            hello: what it says.
            now: the time, in seconds of a monotonic clock.

        Returns:
            The channel, and what to answer; None if the introduction is late.

        Raises:
            ProtocolError: such a peer, channel or role cannot be.
            AuthenticationError: the key does not make such a peer.
            PeerInUse: it is somebody else.
        """
        known = self._by_route.get(route)
        if known is not None:
            key_role = known.key_role
        self._check(key_role, hello)
        self._check_identity(route, hello)
        peer = self._by_uuid.get(hello.uuid)
        if peer is None:
            peer = Peer(hello.uuid, hello.role, hello.info, hello.secret)
        channel = peer.channels.get(hello.channel)
        if channel is None:
            channel = Channel(peer, hello.channel, key_role)
        if not channel.session.is_news(hello):
            return None
        answer = channel.session.greet(hello, self._welcome)
        self._by_uuid[hello.uuid] = self._by_role[peer.role][hello.uuid] = peer
        self._gone.pop(hello.uuid, None)
        peer.channels[hello.channel] = channel
        self._connect(channel, route, now)
        return channel, answer

    def _check(self, key_role: str | None, hello: Hello) -> None:
        if not _UUID.fullmatch(hello.uuid):
            raise ProtocolError("a peer id is of letters, digits, '_', '.' and '-', at most 64")
        texts = [*hello.info, *(text for text in hello.info.values() if isinstance(text, str))]
        if len(hello.info) > MOST_INFO or any(len(text) > MOST_INFO_CHARACTERS for text in texts):
            raise ProtocolError("a peer that says too much of itself")
        channels = (*CHANNELS.get(hello.role, ()), *OPTIONAL.get(hello.role, ()))
        if hello.channel not in channels:
            raise ProtocolError(f"there is no channel {hello.channel!r} of a {hello.role!r}")
        if key_role is not None:
            check_role(key_role, hello.role)
        peer = self._by_uuid.get(hello.uuid)
        if peer is not None and peer.role != hello.role:
            raise PeerInUse(f"peer {hello.uuid} is a {peer.role}, not a {hello.role}")

    def _check_identity(self, route: bytes, hello: Hello) -> None:
        """See to it that nobody gets the place of another, who is here or may come back."""
        peer = self._by_uuid.get(hello.uuid)
        secret = peer.secret if peer is not None else self._gone.get(hello.uuid, hello.secret)
        if not compare_digest(secret, hello.secret):
            raise PeerInUse(f"peer {hello.uuid} is somebody else")
        if not secret and peer is not None:  # it cannot prove that it is the same
            channel = peer.channels.get(hello.channel)
            is_elsewhere = channel is not None and channel.route not in (None, route)
            if channel is not None and is_elsewhere and channel.session.is_news(hello):
                raise PeerInUse(f"peer {hello.uuid} is connected already")

    def _connect(self, channel: Channel, route: bytes, now: float) -> None:
        if channel.route is not None:
            self._by_route.pop(channel.route, None)
        before = self._by_route.get(route)
        if before is not None and before is not channel:
            before.route, before.closed_at = None, now
            self._cut.add(before.peer.uuid)
        channel.route, channel.closed_at = route, None
        self._by_route[route] = channel

    def close(self, route: bytes, now: float) -> None:
        """A connection is gone; the peer may come back over another."""
        channel = self._by_route.pop(route, None)
        if channel is not None:
            channel.route, channel.closed_at = None, now
            self._cut.add(channel.peer.uuid)

    def take_cut(self) -> list[Peer]:
        """Return the peers of which a connection is closed."""
        cut = [peer for uuid in self._cut if (peer := self._by_uuid.get(uuid)) is not None]
        cut = [peer for peer in cut if any(c.route is None for c in peer.channels.values())]
        self._cut = {peer.uuid for peer in cut}
        return cut

    def forget(self, uuid: PeerId) -> None:
        """A peer is gone for good."""
        peer = self._by_uuid.pop(uuid, None)
        if peer is None:
            return
        del self._by_role[peer.role][uuid]
        if peer.secret:
            self._gone[uuid] = peer.secret
            if len(self._gone) > MOST_GONE:
                self._gone.popitem(last=False)
        for channel in peer.channels.values():
            if channel.route is not None:
                self._by_route.pop(channel.route, None)

    def check(self) -> None:
        """Assert that both ways to find a channel agree."""
        for route, channel in self._by_route.items():
            assert channel.route == route
            assert self._by_uuid[channel.peer.uuid].channels[channel.name] is channel
        assert self._by_uuid == {
            k: peer for role in self._by_role.values() for k, peer in role.items()
        }


def described(role: str, uuid: PeerId, info: Mapping[str, str | int]) -> str:
    """Return who a peer says that it is, for the log: it may say anything."""
    name = f"{role[:_MOST_SHOWN]} {uuid[:_UUID_SHOWN]}"
    pid, host, version = (str(info.get(key, "?"))[:_MOST_SHOWN] for key in _SHOWN)
    return f"{name} (process {pid} on {host}, version {version})"
