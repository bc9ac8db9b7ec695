"""A controller without scheduler and hub, for tests of engines and supervisors.

It greets whoever comes, gives engines their numbers, beats, and writes down what it is told. It
works only while a test waits for something (`wait_until`), so that nothing happens unobserved.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from hippodrome.protocol.frames import Frames, decode, encode, read_head, unnumbered
from hippodrome.protocol.messages import (
    Assign,
    Attempt,
    Beat,
    Digest,
    Drop,
    Dropped,
    EngineId,
    Exited,
    Functions,
    Hello,
    Message,
    MsgId,
    NeedFunctions,
    Outcome,
    Outcomes,
    Part,
    PeerId,
    Registered,
    Sync,
)
from hippodrome.protocol.session import Session
from hippodrome.protocol.stream import Verdict, nbytes
from hippodrome.security import connection_file
from hippodrome.security.connection_file import ConnectionInfo
from hippodrome.serialize import FunctionPickler, dumps_call, loads

PATIENCE_S = 20.0


class FakeController:
    """See above. Use as a context manager."""

    def __init__(self, directory: Path) -> None:
        self.context = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, 0)
        self.router.setsockopt(zmq.SNDHWM, 0)
        self.router.setsockopt(zmq.RCVHWM, 0)
        address = f"ipc://{directory}/endpoint"
        self.router.bind(address)
        self.file = directory / "engine.json"
        self.info = ConnectionInfo("engine", (address,))
        connection_file.write(self.file, self.info)
        self.sessions: dict[tuple[PeerId, str], Session] = {}
        self.routes: dict[tuple[PeerId, str], bytes] = {}
        self.channels: dict[bytes, tuple[PeerId, str]] = {}
        self.infos: dict[PeerId, dict[str, Any]] = {}
        self.engines: list[PeerId] = []
        self.nodes: list[PeerId] = []
        self.beats: list[Beat] = []
        self.messages: list[tuple[PeerId, Message]] = []
        self.outcomes: dict[MsgId, Outcome] = {}
        self.results: dict[MsgId, Any] = {}
        self.dropped: list[tuple[MsgId, int]] = []
        self.deaths: list[Exited] = []
        self.death_times: list[float] = []
        self.registers = True
        self.answers = True
        self.beating = True
        self._functions: dict[Digest, bytes] = {}
        self._known: set[tuple[PeerId, Digest]] = set()
        self._serials: dict[PeerId, int] = {}
        self._ids = itertools.count(1)
        self._beat_due = 0.0
        self._pickler = FunctionPickler()

    def __enter__(self) -> FakeController:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.router.close()
        self.context.term()

    # what a test does

    def wait_until(self, condition: Callable[[], object], patience_s: float = PATIENCE_S) -> Any:
        """Work until *condition* holds; fail the test if that takes too long."""
        deadline = time.monotonic() + patience_s
        while not (found := condition()):
            assert time.monotonic() < deadline, f"waited in vain; {self.messages[-5:]}"
            self.work(0.02)
        return found

    def work(self, pause_s: float) -> None:
        """Handle what has come, or wait *pause_s* for something."""
        now = time.monotonic()
        if self.beating and now >= self._beat_due:
            self._beat_due = now + 1.0
            for (_, channel), route in self.routes.items():
                if channel == "control":
                    self.router.send_multipart([route, *unnumbered(Beat())])
        if self.router.poll(int(1000 * pause_s)):
            while self.router.poll(0):
                route, *frames = self.router.recv_multipart()
                self._receive(route, frames)

    def wait_for_engines(self, n: int) -> list[PeerId]:
        self.wait_until(lambda: len(self.engines) >= n)
        return self.engines

    def submit(self, engine: PeerId, f: Callable[..., Any], *args: Any, attempt: int = 1) -> MsgId:
        """Send one call; returns its msg_id."""
        return self.submit_all(engine, [(f, args)], attempt)[0]

    def submit_all(
        self,
        engine: PeerId,
        calls: list[tuple[Callable[..., Any], tuple[Any, ...]]],
        number: int = 1,
    ) -> list[MsgId]:
        """Send several calls in one message."""
        attempts, new, buffers = [], [], []
        for f, args in calls:
            digest = self.digest_of(f)
            if (engine, digest) not in self._known:
                self._known.add((engine, digest))
                new.append(digest)
            pickled = dumps_call(args, {})
            msg_id = MsgId(f"task_{next(self._ids)}")
            attempts.append(Attempt(msg_id, number, digest, pickled.payload, len(pickled.buffers)))
            buffers += pickled.buffers
        first = self._serials.get(engine, 1)
        self._serials[engine] = first + len(attempts)
        pickles = [self._functions[digest] for digest in new]
        self.send(engine, "task", Assign(first, attempts, new), [*pickles, *buffers])
        return [attempt.msg_id for attempt in attempts]

    def digest_of(self, f: Callable[..., Any]) -> Digest:
        function = self._pickler.pickle(f)
        self._functions[Digest(function.digest)] = function.data
        return Digest(function.digest)

    def outcome(self, msg_id: MsgId) -> Outcome:
        """Wait for the outcome of one call."""
        return self.wait_until(lambda: self.outcomes.get(msg_id))

    def call(self, engine: PeerId, f: Callable[..., Any], *args: Any) -> Any:
        """Send one call, and return its result."""
        msg_id = self.submit(engine, f, *args)
        outcome = self.outcome(msg_id)
        assert outcome.status == "ok", outcome.failure
        return self.results[msg_id]

    def drop(self, engine: PeerId, *attempts: tuple[MsgId, int]) -> None:
        self.send(engine, "control", Drop(list(attempts)))

    def send(self, uuid: PeerId, channel: str, message: Message, buffers: Any = ()) -> None:
        stream = self.sessions[uuid, channel].stream
        self._send(self.routes[uuid, channel], stream.post(encode(message), buffers))

    def _send(self, route: bytes, messages: list[Frames]) -> None:
        for frames in messages:
            self.router.send_multipart([route, *frames])

    # what comes

    def _receive(self, route: bytes, frames: list[bytes]) -> None:
        number, acknowledged, body = read_head(frames[0])
        message = decode(body)
        if isinstance(message, Hello):
            if self.answers:
                self._greet(route, message)
            return
        if route not in self.channels:
            return
        session = self.sessions[self.channels[route]]
        match message:
            case Sync():
                self._send(route, session.stream.on_sync(message))
                return
            case Beat():
                self.beats.append(message)
                return
        stream = session.stream
        assert stream.receive(number, acknowledged, nbytes(frames)) is Verdict.HANDLE
        whole = stream.join(message, frames[1:]) if isinstance(message, Part) else None
        if whole is not None:
            self._handle(self.channels[route][0], decode(whole[0]), whole[1:])
        elif not isinstance(message, Part):
            self._handle(self.channels[route][0], message, frames[1:])
        self._send(route, [*stream.acknowledgement_due(), *stream.release()])

    def _greet(self, route: bytes, hello: Hello) -> None:
        key = (hello.uuid, hello.channel)
        session = self.sessions.setdefault(key, Session())
        self.routes[key], self.channels[route] = route, key
        self.infos[hello.uuid] = hello.info
        for frames in session.greet(hello):
            self.router.send_multipart([route, *frames])
        if hello.role == "node":
            self.nodes.append(hello.uuid)
        elif self.registers and hello.uuid not in self.engines and self._is_complete(hello.uuid):
            self.engines.append(hello.uuid)
            self.send(hello.uuid, "control", Registered(EngineId(len(self.engines) - 1)))

    def _is_complete(self, uuid: PeerId) -> bool:
        return all((uuid, channel) in self.routes for channel in ("task", "control"))

    def _handle(self, uuid: PeerId, message: Message, buffers: list[bytes]) -> None:
        self.messages.append((uuid, message))
        match message:
            case Outcomes(outcomes):
                for outcome in outcomes:
                    assert outcome.msg_id not in self.outcomes, "an attempt has one outcome"
                    own, buffers = buffers[: outcome.n_buffers], buffers[outcome.n_buffers :]
                    self.outcomes[outcome.msg_id] = outcome
                    if outcome.status == "ok":
                        self.results[outcome.msg_id] = loads(outcome.payload, own)
            case NeedFunctions(digests):
                pickles = [self._functions[digest] for digest in digests]
                self.send(uuid, "task", Functions(digests), pickles)
            case Dropped(attempts):
                self.dropped += attempts
            case Exited():
                self.deaths.append(message)
                self.death_times.append(time.monotonic())
