"""The scheduler's core and broker with a played client and played engines around them.

Only what the scheduler does counts: what the players do to speak to it, and to read what it
says, is outside the clock.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Final, TypeVar

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Frames, encode
from hippodrome.protocol.link import Link
from hippodrome.scheduler.broker import Broker
from hippodrome.scheduler.core import TaskScheduler
from hippodrome.scheduler.events import AssignAttempts, AttemptsEnded, EngineJoined, TasksSubmitted

T = TypeVar("T")

FUNCTION: Final = m.Digest(b"f" * 16)
PAYLOAD: Final = b"p" * 30  # what a small integer takes, pickled with everything around it
CLIENT: Final = m.PeerId("c" * 32)
HOST: Final[dict[str, str | int]] = {"host": "here", "pid": 1, "node": "n" * 32}


class Played:
    """Counts CPU time and keeps track of who holds which attempt.

    Args:
        engines: how many.
        bundles: whether tasks and outcomes travel bundled; if not, each is an item of its own.
    """

    def __init__(self, engines: int, *, bundles: bool = False) -> None:
        self._bundles = bundles
        self.held: dict[int, deque[tuple[list[m.MsgId], int]]] = {
            i: deque() for i in range(engines)
        }
        self.n_unassigned = 0
        self.cpu_s = 0.0
        self._numbers = count()

    def _clocked(self, call: Callable[[], T]) -> T:
        start = time.process_time()
        value = call()
        self.cpu_s += time.process_time() - start
        return value

    def _new_tasks(self, n: int) -> list[m.Task | m.TaskBundle]:
        msg_ids = [m.MsgId(f"{'c' * 32}_{next(self._numbers)}") for _ in range(n)]
        if self._bundles:
            return [m.TaskBundle(msg_ids, FUNCTION, [PAYLOAD] * n)]
        return [m.Task(msg_id, FUNCTION, PAYLOAD) for msg_id in msg_ids]

    def _end_some(self, engine: int, n: int, run_s: float) -> list[m.Outcome | m.OutcomeBundle]:
        held = self.held[engine]
        outcomes: list[m.Outcome | m.OutcomeBundle] = []
        while n:
            msg_ids, attempt = held.popleft()
            ended, rest = msg_ids[:n], msg_ids[n:]
            if rest:
                held.appendleft((rest, attempt))
            n -= len(ended)
            times, payloads = [run_s] * len(ended), [PAYLOAD] * len(ended)
            if self._bundles:
                outcomes.append(m.OutcomeBundle(ended, attempt, times, times, payloads))
            else:
                outcomes.append(m.Outcome(ended[0], attempt, "ok", 1.0, 2.0, run_s, PAYLOAD))
        return outcomes

    def n_held(self, engine: int) -> int:
        """Return how many tasks *engine* has been assigned and has not answered."""
        return sum(len(msg_ids) for msg_ids, _ in self.held[engine])

    def _assigned(self, engine: int, msg_ids: list[m.MsgId], attempt: int) -> None:
        self.held[engine].append((msg_ids, attempt))
        self.n_unassigned -= len(msg_ids)


class PlayedCore(Played):
    """The task scheduler: events in, actions out."""

    def __init__(self, engines: int, *, bundles: bool = False) -> None:
        super().__init__(engines, bundles=bundles)
        self.core = TaskScheduler(rng=random.Random(0))
        for i in range(engines):
            self.core.handle(EngineJoined(m.EngineId(i)))

    def submit(self, n: int) -> None:
        tasks = self._new_tasks(n)
        event = TasksSubmitted(CLIENT, tasks, [()] * len(tasks))
        self.n_unassigned += n
        self._handle(event)

    def end(self, engine: int, n: int, run_s: float) -> None:
        outcomes = self._end_some(engine, n, run_s)
        self._handle(AttemptsEnded(m.EngineId(engine), outcomes, [()] * len(outcomes)))

    def _handle(self, event: TasksSubmitted | AttemptsEnded) -> None:
        for action in self._clocked(lambda: self.core.handle(event)):
            if isinstance(action, AssignAttempts):
                self._assigned(action.engine, action.msg_ids, action.attempt)


class PlayedBroker(Played):
    """The broker: frames in, frames out, with what the hub is told."""

    def __init__(self, engines: int, *, bundles: bool = False) -> None:
        super().__init__(engines, bundles=bundles)
        self.broker = Broker(rng=random.Random(0))
        self._links: dict[bytes, tuple[Link, int]] = {}
        self.broker.tick(time.monotonic())
        self._client = self._connect("client", CLIENT, "task", -1)
        for i in range(engines):
            uuid = m.PeerId(f"{i:032x}")
            self._connect("engine", uuid, "task", i)
            self._connect("engine", uuid, "control", i)
            info = m.EngineInfo(m.EngineId(i), uuid, m.PeerId("n" * 32), "here", 1)
            self.broker.receive_hub([encode(m.Joined(info))])
            self._turn()
        self._functions: list[m.Digest] = [FUNCTION]

    def submit(self, n: int) -> None:
        functions, self._functions = self._functions, []
        message = m.Submit(self._new_tasks(n), functions)
        self.n_unassigned += n
        self._send(self._client, message, [b"function"] * len(functions))

    def end(self, engine: int, n: int, run_s: float) -> None:
        route = b"engine task %d" % engine
        self._send(route, m.Outcomes(self._end_some(engine, n, run_s)), [])

    def _connect(self, role: str, uuid: m.PeerId, channel: str, engine: int) -> bytes:
        route = f"{role} {channel} {engine}".encode()
        link = Link(role, channel, uuid, HOST)
        self._links[route] = link, engine
        for frames in link.hello():
            self.broker.receive(route, None, frames)
        self._turn()
        return route

    def _send(self, route: bytes, message: m.Message, buffers: list[bytes]) -> None:
        for frames in self._links[route][0].send(message, buffers):
            self._clocked(lambda frames=frames: self.broker.receive(route, None, frames))
        self._turn()

    def _turn(self) -> None:
        """Hand on what the broker sends, and let it have the answers, until all is quiet."""
        while out := self._clocked(self.broker.flush):
            for route, frames in out:
                if route is not None:
                    self._hand(route, frames)

    def _hand(self, route: bytes, frames: Frames) -> None:
        link, engine = self._links[route]
        received = link.receive(frames)
        if isinstance(received.message, m.Assign):
            for attempt in received.message.attempts:
                single = isinstance(attempt, m.Attempt)
                msg_ids = [attempt.msg_id] if single else attempt.msg_ids
                self._assigned(engine, msg_ids, attempt.attempt)
        for reply in received.replies:
            self._clocked(lambda reply=reply: self.broker.receive(route, None, reply))
