"""A broker with peers around it that speak through real links; the test plays the hub."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Frames, decode_hub, encode
from hippodrome.protocol.link import Link
from hippodrome.scheduler.broker import Broker
from hippodrome.scheduler.burden import Burden
from hippodrome.scheduler.haulage import HostShelf
from hippodrome.scheduler.peers import CHANNELS
from hippodrome.segments.carrier import Carrier, ObjectStore
from support.flat import results_of, singles_of

M = TypeVar("M", bound=m.Message)
F, G = m.Digest(b"f" * 8), m.Digest(b"g" * 8)


@dataclass
class Came:
    """One message that a peer or the hub got."""

    message: m.Message
    buffers: Frames


class PlayedPeer:
    """A peer: its links, and what came over them."""

    def __init__(
        self, bench: Bench, role: str, uuid: str, key_role: str | None, secret: bytes = b""
    ) -> None:
        self.bench = bench
        self.uuid = m.PeerId(uuid)
        self.key_role = key_role
        self.info: dict[str, str | int] = {"host": "here", "pid": 1, "node": "n" * 32}
        self.links = {
            channel: Link(role, channel, self.uuid, self.info, secret=secret)
            for channel in CHANNELS[role]
        }
        for link in self.links.values():
            link.maps = lambda info, maps=bench.is_one_host: maps  # type: ignore[misc]
        self.routes: dict[str, bytes] = {}
        self.came: dict[str, list[Came]] = {channel: [] for channel in self.links}
        self.carrier: Carrier | None = None

    def carry(self, store: ObjectStore) -> PlayedPeer:
        """Open a channel for objects, which are in *store*."""
        role = self.links["control"].role
        self.links["data"] = Link(role, "data", self.uuid, self.info)
        self.came["data"] = []
        self.carrier = Carrier(self.links["data"], store)
        self.connect("data")
        return self

    def connect(self, channel: str) -> None:
        """Make a new connection and introduce itself over it."""
        bench = self.bench
        bench.n_routes += 1
        route = self.routes[channel] = b"route %d" % bench.n_routes
        bench.ends[route] = (self, channel)
        bench.deliver(route, self.links[channel].hello())

    def connect_all(self) -> PlayedPeer:
        for channel in self.links:
            self.connect(channel)
        return self

    def close(self, channel: str) -> None:
        route = self.routes[channel]
        del self.bench.ends[route]
        self.bench.broker.closed(route)

    def send(self, channel: str, message: m.Message, *buffers: bytes) -> None:
        self.bench.deliver(self.routes[channel], self.links[channel].send(message, buffers))

    def got(self, kind: type[M], channel: str | None = None) -> list[M]:
        """Return the messages of *kind* that came, oldest first."""
        channels = [channel] if channel else list(self.came)
        came = [item.message for name in channels for item in self.came[name]]
        return [message for message in came if isinstance(message, kind)]

    def results(self) -> dict[str, m.Result]:
        """Return the results that came; a task may end only once."""
        came = chain.from_iterable(message.results for message in self.got(m.Results))
        results = list(chain.from_iterable(map(results_of, came)))
        assert len({result.msg_id for result in results}) == len(results), "a task ended twice"
        return {result.msg_id: result for result in results}


@dataclass
class Bench:
    """A broker on a bench.

    Attributes:
        hub: what the hub was sent.
        ends: who is at the other end of each route.
        is_one_host: whether peers that come from now on can map the controller's segments.
    """

    broker: Broker
    hub: list[Came] = field(default_factory=list)
    ends: dict[bytes, tuple[PlayedPeer, str]] = field(default_factory=dict)
    n_routes: int = 0
    n_engines: int = 0
    is_one_host: bool = True

    @classmethod
    def make(
        cls,
        hwm: int = 0,
        burden: Burden | None = None,
        token: bytes = b"",
        large_limit: int = 0,
        shelf: HostShelf | None = None,
    ) -> Bench:
        rng = random.Random(0)
        bench = cls(Broker("leastload", hwm, rng, None, token, burden, large_limit, shelf))
        bench.tick(100.0)
        return bench

    def peer(
        self, role: str, key_role: str | None = None, uuid: str = "", secret: bytes = b""
    ) -> PlayedPeer:
        return PlayedPeer(self, role, uuid or f"{role}{self.n_routes:026}", key_role, secret)

    def client(self, key_role: str | None = None) -> PlayedPeer:
        return self.peer("client", key_role).connect_all()

    def engine(self) -> PlayedPeer:
        """Return an engine that is a member."""
        engine = self.peer("engine").connect_all()
        self.n_engines += 1
        self.say(m.Joined(self.info(engine, self.n_engines - 1)))
        return engine

    @staticmethod
    def info(engine: PlayedPeer, number: int) -> m.EngineInfo:
        return m.EngineInfo(m.EngineId(number), engine.uuid, m.PeerId("n" * 32), "here", 1)

    def deliver(self, route: bytes, many: list[Frames]) -> None:
        peer, _ = self.ends[route]
        for frames in many:
            self.broker.receive(route, peer.key_role, frames)
        self.turn()

    def say(self, *messages: m.Message) -> None:
        """Play the hub."""
        for message in messages:
            self.broker.receive_hub([encode(message)])
        self.turn()

    def tick(self, now: float) -> None:
        self.broker.tick(now)
        self.turn()

    def pass_time(self, seconds: float) -> None:
        """Let the broker tick as often as its shell does."""
        for _ in range(round(4 * seconds)):
            self.tick(self.broker.now + 0.25)

    def turn(self) -> None:
        """Carry what the broker sends until nobody has anything to add."""
        while out := self.broker.flush():
            for destination, frames in out:
                if destination is None:
                    self.hub.append(Came(decode_hub(frames[0]), frames[1:]))
                elif destination in self.ends:
                    self._hand(destination, frames)
        self.broker.check()

    def _hand(self, route: bytes, frames: Frames) -> None:
        peer, channel = self.ends[route]
        received = peer.links[channel].receive(frames)
        if received.message is not None:
            peer.came[channel].append(Came(received.message, received.buffers))
        replies = received.replies
        if received.message is not None and channel == "data" and peer.carrier is not None:
            replies += peer.carrier.handle(received.message, received.buffers)  # type: ignore[arg-type]
        for reply in replies:
            if route in self.ends:
                self.broker.receive(route, peer.key_role, reply)

    def told(self, kind: type[M]) -> list[M]:
        """Return the messages of *kind* that the hub got, oldest first."""
        return [item.message for item in self.hub if isinstance(item.message, kind)]


def task(name: str, function: m.Digest = F, n_buffers: int = 0, **options: object) -> m.Task:
    asked = m.Options(**options) if options else None  # type: ignore[arg-type]
    return m.Task(m.MsgId(name), function, b"args", n_buffers, asked)


def outcomes(*attempts: m.Attempt, status: str = "ok") -> m.Outcomes:
    """Return how *attempts* ended, all in the same way."""
    failure = None if status == "ok" else m.Failure("ValueError", "no")
    return m.Outcomes(
        [m.Outcome(a.msg_id, a.attempt, status, 1.0, 2.0, 0.0, b"r", 0, failure) for a in attempts]
    )


def attempts_of(engine: PlayedPeer) -> list[m.Attempt]:
    """Return what *engine* was sent; serial numbers must come in order, without a hole."""
    found: list[m.Attempt] = []
    for message in engine.got(m.Assign, "task"):
        assert message.first == len(found) + 1, "serial numbers left out of order"
        found += chain.from_iterable(map(singles_of, message.attempts))
    return found


def names_of(engine: PlayedPeer) -> list[str]:
    return [attempt.msg_id for attempt in attempts_of(engine)]
