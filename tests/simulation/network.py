"""A virtual clock, and a network that delays, loses, duplicates and replaces connections.

What ZeroMQ promises is kept: within one connection messages arrive in order. Everything else may
happen. Whoever is paused, or cut off in the direction in question, gets its messages later.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from hippodrome.protocol.frames import Frames

NEVER = float("inf")


class Clock:
    """Virtual time: what is due next happens next.

    It does not begin at zero, so that a duration taken for a time is noticed.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.now = start
        self._line: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, time: float, call: Callable[..., None], *args: Any) -> None:
        """Have *call* happen at *time*, after everything else that was due then before."""
        self._count += 1
        heapq.heappush(self._line, (max(time, self.now), self._count, call, args))

    def after(self, seconds: float, call: Callable[..., None], *args: Any) -> None:
        self.at(self.now + seconds, call, *args)

    def step(self) -> bool:
        """Let the next thing happen; False if there is nothing left."""
        if not self._line:
            return False
        self.now, _, call, args = heapq.heappop(self._line)
        call(*args)
        return True


@dataclass(slots=True)
class Gate:
    """When a process, or one direction of its traffic, is open again."""

    until: float = 0.0

    def is_shut(self, now: float) -> bool:
        return now < self.until


class Endpoint(Protocol):
    """A process that holds a connection to the controller."""

    gate: Gate  # the process itself: paused?
    up: Gate
    down: Gate
    key_role: str | None

    def on_frames(self, connection: Connection, frames: Frames) -> None: ...

    def on_connected(self, connection: Connection) -> None: ...


@dataclass(slots=True, eq=False)
class Connection:
    """One DEALER's connection to the ROUTER, for as long as it lives."""

    route: bytes
    peer: Endpoint
    role: str
    channel: str
    key_role: str | None
    is_alive: bool = True
    is_lost: bool = False  # what was on its way up is lost as well
    last_up: float = 0.0
    last_down: float = 0.0


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is."""

    delay_s: float = 0.002
    p_slow: float = 0.0  # a message takes up to a hundred times as long
    p_drop: float = 0.0
    p_duplicate: float = 0.0
    p_damage: float = 0.0  # a message to a client loses its last buffer


@dataclass(slots=True)
class Network:
    """All connections, and the one process that they lead to."""

    clock: Clock
    rng: random.Random
    weather: Weather
    to_controller: Callable[[Connection, Frames], None]
    controller_gate: Gate = field(default_factory=Gate)
    routes: dict[bytes, Connection] = field(default_factory=dict)
    n_routes: int = 0
    n_damaged: int = 0

    def connect(self, peer: Endpoint, role: str, channel: str) -> Connection:
        self.n_routes += 1
        route = b"r%d" % self.n_routes
        connection = self.routes[route] = Connection(route, peer, role, channel, peer.key_role)
        return connection

    def replace(self, old: Connection) -> Connection:
        """Break *old*: what is on its way down is lost, on its way up perhaps; and reconnect."""
        self.close(old)
        return self.connect(old.peer, old.role, old.channel)

    def close(self, connection: Connection) -> None:
        connection.is_alive = False
        connection.is_lost = self.rng.random() < 0.5
        self.routes.pop(connection.route, None)

    def send_up(self, connection: Connection, frames: Frames) -> None:
        for _ in range(self._copies()):
            connection.last_up = self._due(connection.last_up)
            self.clock.at(connection.last_up, self._deliver_up, connection, frames)

    def send_down(self, connection: Connection, frames: Frames) -> None:
        if len(frames) > 1 and connection.role == "client":
            frames = self._damaged(frames)
        for _ in range(self._copies()):
            connection.last_down = self._due(connection.last_down)
            self.clock.at(connection.last_down, self._deliver_down, connection, frames)

    def _damaged(self, frames: Frames) -> Frames:
        if self.weather.p_damage and self.rng.random() < self.weather.p_damage:
            self.n_damaged += 1
            return frames[:-1]
        return frames

    def _copies(self) -> int:
        weather, rng = self.weather, self.rng
        if weather.p_drop and rng.random() < weather.p_drop:
            return 0
        return 2 if weather.p_duplicate and rng.random() < weather.p_duplicate else 1

    def _due(self, last: float) -> float:
        weather = self.weather
        delay_s = weather.delay_s * self.rng.random()
        if weather.p_slow and self.rng.random() < weather.p_slow:
            delay_s *= 100
        return max(last, self.clock.now + delay_s)

    def _deliver_up(self, connection: Connection, frames: Frames) -> None:
        if connection.is_lost:
            return
        until = max(connection.peer.up.until, self.controller_gate.until)
        if until > self.clock.now:
            connection.last_up = max(connection.last_up, until)
            self.clock.at(until, self._deliver_up, connection, frames)
        else:
            self.to_controller(connection, frames)

    def _deliver_down(self, connection: Connection, frames: Frames) -> None:
        if not connection.is_alive:
            return
        peer = connection.peer
        until = max(peer.down.until, peer.gate.until)
        if until > self.clock.now:
            connection.last_down = max(connection.last_down, until)
            self.clock.at(until, self._deliver_down, connection, frames)
        else:
            peer.on_frames(connection, frames)
