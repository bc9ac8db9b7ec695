"""Peers that are let in and send whatever the types allow: the broker complains and goes on.

Every message type, from every role, with ids that exist and ids that do not, with too few and too
many buffers. Nothing may be raised, every invariant must hold afterwards, and a good client's task
must still end.
"""

from __future__ import annotations

import random
import types
import typing
from itertools import chain
from typing import Any

import msgspec
import pytest

from hippodrome.hub.core import HubCore
from hippodrome.protocol import frames
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Frames, decode_hub, encode
from hippodrome.protocol.stream import Stream
from hippodrome.scheduler.broker import Broker
from support.flat import results_of, singles_of

SEEDS = 160
MESSAGES = 40
PEER_TYPES = typing.get_args(m.PeerMessage)
NAMES: dict[Any, list[Any]] = {
    m.MsgId: ["t0", "t1", "t2", "t3", ""],
    m.EngineId: [0, 0, 1, 7, -1],
    m.PeerId: ["client", "engine", "node", "nobody"],
    m.Digest: [b"f", b"g", b""],
}
SIMPLE: dict[Any, list[Any]] = {
    int: [0, 0, 1, 1, 2, 3, -1, 2**63 - 1, -(2**63)],
    float: [0.0, 1.0, -1.0, 1e300, float("inf"), float("nan")],
    str: ["", "ok", "error", "unmet", "client", "engine", "node", "task", "control", "abort_done"],
    bytes: [b"", b"x", b"\x80", b"\xc1"],
    bool: [True, False],
    type(None): [None],
}
ROLES = {"client": ("task", "control"), "engine": ("task", "control"), "node": ("control",)}

USUAL: dict[str, list[Any]] = {
    "client": [m.Submit, m.Submit, m.SubmitDirect, m.Functions, m.Abort, m.Query],
    "engine": [m.Outcomes, m.Outcomes, m.NeedFunctions, m.Dropped],
    "node": [m.Beat, m.Exited],
}


def make(annotation: Any, rng: random.Random) -> Any:
    """Return some value that *annotation* allows."""
    for known in (NAMES, SIMPLE):
        if annotation in known:
            return rng.choice(known[annotation])
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        hints = typing.get_type_hints(annotation)
        return annotation(*[make(hints[name], rng) for name in annotation.__struct_fields__])
    arguments = typing.get_args(annotation)
    match typing.get_origin(annotation):
        case types.UnionType | typing.Union:
            return make(rng.choice(arguments), rng)
        case origin if origin is list:
            return [make(arguments[0], rng) for _ in range(rng.randrange(3))]
        case origin if origin is dict:
            return {make(arguments[0], rng): make(arguments[1], rng)}
    return tuple(make(argument, rng) for argument in arguments)


def fit(message: Any, rng: random.Random) -> tuple[Any, Frames]:
    """Make the buffers of *message* add up, so that it gets further."""
    n = 0
    replace = msgspec.structs.replace
    match message:
        case m.Submit(tasks):
            fitted = [fit_part(task, rng) for task in tasks]
            message = replace(message, tasks=fitted)
            n = len(message.functions) + sum(map(n_buffers, fitted))
        case m.SubmitDirect():
            size = min(len(message.msg_ids), len(message.targets))
            message = replace(
                message,
                msg_ids=message.msg_ids[:size],
                targets=message.targets[:size],
                n_buffers=rng.randrange(2),
            )
            n = len(message.functions) + message.n_buffers
        case m.Functions(digests):
            n = len(digests)
        case m.Outcomes(outcomes):
            fitted = [fit_part(outcome, rng) for outcome in outcomes]
            message = replace(message, outcomes=fitted)
            n = sum(map(n_buffers, fitted))
    return message, [b"buffer"] * n


def fit_part(part: Any, rng: random.Random) -> Any:
    """Give a single task or outcome buffers, and make the lists of a bundle equally long."""
    replace = msgspec.structs.replace
    if not hasattr(part, "msg_ids"):
        return replace(part, n_buffers=rng.randrange(2))
    n = rng.randrange(3)
    lists = {
        name: (value * n)[:n] if value else [make(typing.get_args(hint)[0], rng) for _ in range(n)]
        for name, hint in typing.get_type_hints(type(part)).items()
        if isinstance(value := getattr(part, name), list)
    }
    return replace(part, **lists)


def n_buffers(part: Any) -> int:
    return getattr(part, "n_buffers", 0)


class Abused:
    """A broker and its hub, a client, an engine, a supervisor, each able to say anything."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        hwm = self.rng.choice([0, 1, 2, -1])
        self.broker = Broker("leastload", hwm, random.Random(seed))
        self.hub = HubCore()
        self.streams: dict[bytes, Stream] = {}
        self.told: list[m.Message] = []  # what the good ones are told
        self.hellos = 0
        self.now = 0.0
        for role, channels in ROLES.items():
            for channel in channels:
                self.introduce(role, channel)
        self.turn()

    def introduce(self, role: str, channel: str, who: str = "") -> None:
        route = f"{who or role} {channel}".encode()
        self.hellos += 1
        uuid = m.PeerId(who or role)
        hello = m.Hello(m.PROTOCOL, role, channel, uuid, self.hellos, 0, {"node": uuid})
        self.streams[route] = Stream()
        self.broker.receive(route, None, frames.unnumbered(hello))

    def send(self, route: bytes, message: m.Message, buffers: Frames) -> None:
        self.broker.receive(route, None, self.streams[route].send(message, buffers))
        self.turn()

    def turn(self) -> None:
        """Carry what goes between broker and hub; keep what the good client is told."""
        while out := self.broker.flush():
            for destination, parts in out:
                if destination is None:
                    for answer in self.hub.handle(decode_hub(bytes(parts[0])), parts[1:]):
                        self.broker.receive_hub([encode(answer)])
                elif destination.startswith(b"good"):
                    self.told.append(frames.decode(frames.read_head(parts[0])[2]))

    def abuse(self) -> None:
        rng = self.rng
        route = rng.choice(list(self.streams))
        role, channel = route.decode().split()
        rarely = rng.random() < 0.02  # what ends or replaces a peer, so that the rest has a chance
        kinds = [kind for kind in PEER_TYPES if (kind in (m.Hello, m.Bye)) is rarely]
        if not rarely and rng.random() < 0.7:
            kinds = USUAL[role]
        message = make(rng.choice(kinds), rng)
        buffers: Frames = [b"buffer"] * rng.randrange(3)
        if rng.random() < 0.8:
            message, buffers = fit(message, rng)
        if rng.random() < 0.1:
            self.broker.receive(route, None, [*frames.unnumbered(message), *buffers])
        else:
            self.send(route, message, buffers)
        if rng.random() < 0.1:
            self.introduce(role, channel)
        self.now += rng.choice([0.0, 0.1, 1.0])
        self.broker.tick(self.now)
        for answer in self.hub.tick(self.now, self.now):
            self.broker.receive_hub([encode(answer)])
        self.turn()
        self.broker.check()
        self.hub.check()

    def good_ones_are_served(self) -> None:
        """A client and an engine that behave come to this place."""
        for role in ("engine", "client"):
            for channel in ROLES[role]:
                self.introduce(role, channel, f"good-{role}")
        self.turn()
        (number,) = [
            info.engine for info in self.broker.members.values() if info.uuid == "good-engine"
        ]
        digest, msg_id = m.Digest(b"good"), m.MsgId("good")
        task = m.Task(msg_id, digest, b"", 1, m.Options(targets=[number]))
        self.send(b"good-client task", m.Submit([task], [digest]), [b"function", b"arguments"])
        answered = 0
        while answered < len(self.told):
            message = self.told[answered]
            answered += 1
            if isinstance(message, m.Assign):
                outcomes = [
                    m.Outcome(attempt.msg_id, attempt.attempt, "ok", 0.0, 0.0, 0.1, b"result")
                    for attempt in chain.from_iterable(map(singles_of, message.attempts))
                ]
                self.send(b"good-engine task", m.Outcomes(outcomes), [])
        results = [message for message in self.told if isinstance(message, m.Results)]
        came = chain.from_iterable(message.results for message in results)
        told = [(one.msg_id, one.status) for one in chain.from_iterable(map(results_of, came))]
        assert told == [(msg_id, "ok")]


@pytest.mark.parametrize("part", range(8))
def test_whatever_a_peer_says_the_broker_goes_on(part: int) -> None:
    for seed in range(part, SEEDS, 8):
        abused = Abused(seed)
        for step in range(MESSAGES):
            try:
                abused.abuse()
            except Exception as error:
                raise AssertionError(f"seed {seed}, message {step}") from error
        abused.good_ones_are_served()
