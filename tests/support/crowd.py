"""Many supervisors and engines in one process: real cores, played processes.

    python -m support.crowd FILE ENGINES PER_SUPERVISOR

They connect with the connection file for engines, all at once, each over sockets of its own, and
say what real ones would. Functions are really called, one engine after the other, but for
`time.sleep`, which all of them do side by side. It prints ``joined SECONDS`` when each engine has
its number, and ends in order when it is interrupted. At SIGUSR1 the first supervisor is gone
without a word, and its engines with it.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import zmq

from hippodrome.engine.actions import Action, EngineChannel, Join, Send
from hippodrome.engine.attempts import AttemptEnded, StartAttempt
from hippodrome.engine.core import EngineCore
from hippodrome.node import actions as do
from hippodrome.node.core import Limits, NodeCore
from hippodrome.process.forking import die_with_parent
from hippodrome.process.introduction import introduction
from hippodrome.protocol.ids import new_peer_id, new_secret
from hippodrome.protocol.messages import Death
from hippodrome.protocol.stream import LOCAL_SIZES, SIZES
from hippodrome.security.connection_file import ConnectionInfo, read
from hippodrome.serialize.failures import describe_exception
from hippodrome.serialize.loaded import load
from hippodrome.serialize.pickling import dumps, loads
from hippodrome.transport.connect import _make_dealer, open_dealers
from hippodrome.transport.sockets import Socket, has_message, raise_descriptor_limit

TICK_S = 0.5
PATIENCE_S = 60.0
MOST_SOCKETS = 16_384


class Crowd:
    """Supervisors and engines, and the one loop in which they all live.

    Args:
        info: where to connect.
        n: how many engines.
        per: how many of them a supervisor has.

    Attributes:
        joined: the numbers of the engines that have one.
    """

    def __init__(self, info: ConnectionInfo, n: int, per: int) -> None:
        raise_descriptor_limit()
        self.context: zmq.Context[Any] = zmq.Context()
        self.context.set(zmq.MAX_SOCKETS, MOST_SOCKETS)
        self.info = info
        self.joined: set[int] = set()
        self.epoll = select.epoll()
        self.ready: deque[Side] = deque()
        self._sides: dict[int, Side] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._counter = itertools.count()
        sizes = [min(per, n - first) for first in range(0, n, per)]
        self.nodes = [PlayedNode(self, size) for size in sizes]
        self.functions: dict[bytes, Any] = {}

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._timers, (when, next(self._counter), what))

    def watch(self, side: Side) -> None:
        """Look after a connection."""
        descriptor = side.socket.getsockopt(zmq.FD)
        self._sides[descriptor] = side
        self.epoll.register(descriptor, select.EPOLLIN)
        self.touch(side)

    def forget(self, side: Side) -> None:
        """A connection is closed."""
        descriptor = side.socket.getsockopt(zmq.FD)
        if self._sides.pop(descriptor, None) is not None:
            self.epoll.unregister(descriptor)
        side.take = lambda frames: None

    def touch(self, side: Side) -> None:
        """See what has come over a connection: its descriptor tells of news only."""
        if not side.is_touched:
            side.is_touched = True
            self.ready.append(side)

    def turn(self, wait_s: float) -> None:
        """Do what there is to do."""
        now = time.monotonic()
        if self._timers:
            wait_s = min(wait_s, max(0.0, self._timers[0][0] - now))
        for descriptor, _ in self.epoll.poll(0 if self.ready else wait_s):
            if descriptor in self._sides:
                self.touch(self._sides[descriptor])
        while self.ready:
            side = self.ready.popleft()
            side.is_touched = False
            side.drain()
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()

    def call(self, start: StartAttempt) -> Any:
        """Call the function of an attempt, or return what it is if it only sleeps."""
        function = self.functions.get(start.function)
        if function is None:
            function = self.functions[start.function] = load(start.pickle, {}).function
        args, kwargs = loads(start.payload, start.buffers)
        return Sleep(args[0]) if function is time.sleep else function(*args, **kwargs)

    def close(self) -> None:
        for node in self.nodes:
            node.perform(node.core.stop("stopping: the crowd leaves", time.monotonic()))
        end = time.monotonic() + 1.0
        while any(not node.is_over for node in self.nodes) and time.monotonic() < end:
            self.turn(0.05)
        self.context.destroy(linger=100)


class Sleep:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Side:
    """One connection."""

    def __init__(self, crowd: Crowd, socket: Socket, take: Callable[[list[bytes]], None]) -> None:
        self.crowd, self.socket, self.take = crowd, socket, take
        self.is_touched = False
        crowd.watch(self)

    def drain(self) -> None:
        while not self.socket.closed and has_message(self.socket):
            self.take(self.socket.recv_multipart(zmq.NOBLOCK))

    def close(self) -> None:
        self.crowd.forget(self)
        self.socket.close()

    def send(self, frames: Any) -> None:
        self.socket.send_multipart(frames, zmq.NOBLOCK)
        self.crowd.touch(self)


class PlayedNode:
    """A supervisor, whose engines are in this process."""

    def __init__(self, crowd: Crowd, n: int) -> None:
        self.crowd = crowd
        self.is_over = False
        self.uuid = new_peer_id()
        engines = [new_peer_id() for _ in range(n)]
        now = time.monotonic()
        self.core = NodeCore(self.uuid, introduction(), engines, Limits(), now, new_secret())
        (socket,) = open_dealers(crowd.context, crowd.info, 1, PATIENCE_S)
        self.side = Side(crowd, socket, self.receive)
        self.perform(self.core.hello())
        self.engines = {uuid: PlayedEngine(self, uuid) for uuid in engines}
        self.tick()

    def receive(self, frames: list[bytes]) -> None:
        self.perform(self.core.receive(frames, time.monotonic()))

    def tick(self) -> None:
        if self.is_over:
            return
        now = time.monotonic()
        self.perform(self.core.tick(now, {}))
        self.crowd.at(now + max(0.01, self.core.wait_s(now)), self.tick)

    def vanish(self) -> None:
        """Be gone, as with the host."""
        self.is_over = True
        for engine in self.engines.values():
            engine.end()
        for side in [self.side, *(s for e in self.engines.values() for s in e.sides.values())]:
            side.close()

    def perform(self, actions: list[Any]) -> None:
        for action in actions:
            match action:
                case do.SendControl(frames):
                    self.side.send(frames)
                case do.Terminate(uuid) | do.Kill(uuid):
                    engine = self.engines.pop(uuid, None)
                    if engine is not None:
                        death = engine.end()
                        self.perform(self.core.on_exited(death, time.monotonic()))
                case do.Exit():
                    self.is_over = True


class PlayedEngine:
    """An engine: one attempt at a time."""

    def __init__(self, node: PlayedNode, uuid: Any) -> None:
        self.node, self.crowd, self.uuid = node, node.crowd, uuid
        self.is_over = False
        self.is_asleep = False
        info = introduction() | {"node": node.uuid, "log": ""}
        crowd = node.crowd
        tasks, control = open_sockets(crowd, 2)
        is_local = crowd.info.addresses[0].startswith("ipc:")
        sizes = LOCAL_SIZES if is_local else SIZES
        self.core = EngineCore(uuid, info, PATIENCE_S, sizes=sizes, secret=new_secret())
        self.sides = {
            channel: Side(crowd, socket, lambda frames, to=channel: self.receive(to, frames))
            for channel, socket in ((EngineChannel.TASK, tasks), (EngineChannel.CONTROL, control))
        }
        for channel in EngineChannel:
            self.perform(self.core.hello(channel))
        self.tick()

    def receive(self, channel: EngineChannel, frames: list[bytes]) -> None:
        self.perform(self.core.receive(channel, frames))
        self.run()

    def tick(self) -> None:
        if self.is_over:
            return
        now = time.monotonic()
        for channel in EngineChannel:
            self.perform(self.core.tick(channel, now))
        self.crowd.at(now + TICK_S, self.tick)

    def run(self) -> None:
        if self.is_asleep or self.core.engine is None:
            return
        while (start := self.core.next_attempt()) is not None:
            began, clock = time.time(), time.monotonic()
            try:
                result = self.crowd.call(start)
                pickled = None if isinstance(result, Sleep) else dumps(result, "the result")
            except Exception as error:
                failure = describe_exception(error)
                run_s = time.monotonic() - clock
                self.core.finish(AttemptEnded("error", began, run_s, failure=failure))
                continue
            if pickled is None:
                self.is_asleep = True
                self.perform(self.core.flush())
                self.crowd.at(clock + result.seconds, partial(self.wake, began, clock))
                return
            run_s = time.monotonic() - clock
            self.core.finish(AttemptEnded("ok", began, run_s, pickled.payload, pickled.buffers))
        self.perform(self.core.flush())

    def wake(self, began: float, clock: float) -> None:
        self.is_asleep = False
        if not self.is_over:
            run_s = time.monotonic() - clock
            pickled = dumps(None, "the result")
            self.core.finish(AttemptEnded("ok", began, run_s, pickled.payload))
            self.run()

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(channel, frames):
                    self.sides[channel].send(frames)
                case Join(engine):
                    self.crowd.joined.add(engine)
                    self.node.perform(self.node.core.on_joined(self.uuid, engine))
                    self.node.perform(self.node.core.on_ready(self.uuid))

    def end(self) -> Any:
        self.is_over = True
        for side in self.sides.values():
            self.crowd.forget(side)
        return Death(self.uuid, 0, None, 0, expected=False)


def open_sockets(crowd: Crowd, n: int) -> list[Socket]:
    """Connect as engines do, without asking first whether somebody listens."""
    address = crowd.info.addresses[0]
    sockets = [_make_dealer(crowd.context, crowd.info, True, address) for _ in range(n)]
    for socket in sockets:
        socket.connect(address)
    return sockets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="the connection file for engines")
    parser.add_argument("engines", type=int)
    parser.add_argument("per", type=int, help="engines that a supervisor has")
    parser.add_argument("--scheme", default="tcp", help="of the address to take")
    options = parser.parse_args()
    if not die_with_parent(os.getppid()):
        return
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.default_int_handler)
    info = read(options.file)
    addresses = [address for address in info.addresses if address.startswith(options.scheme)]
    began = time.monotonic()
    crowd = Crowd(replace(info, addresses=tuple(addresses)), options.engines, options.per)
    signal.signal(signal.SIGUSR1, lambda *_: crowd.nodes[0].vanish())
    is_told = False
    try:
        while True:
            crowd.turn(1.0)
            if not is_told and len(crowd.joined) == options.engines:
                is_told = True
                print(f"joined {time.monotonic() - began:.3f}", flush=True)
    except KeyboardInterrupt:
        crowd.close()
    os._exit(0)  # thousands of sockets take seconds to close


if __name__ == "__main__":
    main()
