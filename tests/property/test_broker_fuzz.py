"""No handler can be hurt: valid envelopes of every type, from every role, with any values.

After 200 of each the broker still stands, every invariant holds, and the task that a good client
had under way ends as if nothing had happened, as does its next one.
"""

from __future__ import annotations

import random
import types
import typing
from typing import Any

import msgspec
import pytest

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import encode, head
from hippodrome.scheduler.peers import CHANNELS
from support.bench import Bench, F, G, PlayedPeer, attempts_of, outcomes, task

N_MESSAGES = 200
PER_PEER = 20  # some end their sender
TYPES = typing.get_args(m.PeerMessage)
VALUES: dict[Any, list[Any]] = {
    m.MsgId: ["kept", "t0", "t1", "t2", "", "x" * 1000, "\ud7ff\n"],
    m.EngineId: [0, 1, 1, 7, -1, 2**40],
    m.PeerId: ["somebody", "bad0", "", "x" * 1000],
    m.Digest: [F, G, b"", b"?"],
    int: [0, 0, 1, 1, 2, -1, 200, 2**63 - 1, -(2**63), 2**64 - 1],
    float: [0.0, 1.0, -1.0, 1e308, float("inf"), float("-inf"), float("nan")],
    str: ["", "ok", "error", "unmet", "client", "engine", "node", "task", "control", "shutdown"],
    bytes: [b"", b"args", b"\x80", b"\xc1", bytes(1000)],
    bool: [True, False],
    type(None): [None],
}


def some(annotation: Any, rng: random.Random) -> Any:
    """Return a value that *annotation* allows."""
    if annotation in VALUES:
        return rng.choice(VALUES[annotation])
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin in (types.UnionType, typing.Union):
        return some(rng.choice(arguments), rng)
    if origin is list:
        return [some(arguments[0], rng) for _ in range(rng.choice([0, 1, 1, 2, 5]))]
    if origin is dict:
        return {some(arguments[0], rng): some(arguments[1], rng) for _ in range(rng.randrange(3))}
    if origin is tuple:
        return tuple(some(argument, rng) for argument in arguments)
    return annotation(**{
        name: some(hint, rng) for name, hint in typing.get_type_hints(annotation).items()
        if name in annotation.__struct_fields__
    })  # fmt: skip


class Attack:
    """A bench with a good client, a good engine and its task, and one bad peer after another."""

    def __init__(self, seed: str, hwm: int) -> None:
        self.rng = random.Random(seed)
        self.bench = Bench.make(hwm)
        self.client, self.engine = self.bench.client("client"), self.bench.engine()
        self.n_bad = 0
        self.client.send("task", m.Submit([task("kept", targets=[0])], [F]), b"code")

    def bad_peer(self, role: str) -> PlayedPeer:
        bench = self.bench
        key_role = "client" if role == "client" else "engine"
        peer = bench.peer(role, key_role, uuid=f"bad{self.n_bad}").connect_all()
        self.n_bad += 1
        if role == "engine":
            bench.say(m.Joined(bench.info(peer, self.n_bad)))
            self.client.send("task", m.Submit([task(f"for {peer.uuid}", targets=[self.n_bad])]))
        for route in peer.routes.values():
            del bench.ends[route]  # from now on it does not read what it is sent
        return peer

    def run(self, role: str, kind: type[m.Message]) -> None:
        for step in range(N_MESSAGES):
            if step % PER_PEER == 0:
                peer = self.bad_peer(role)
            self.send(peer, self.fit(some(kind, self.rng)))
        self.bench.tick(101.0)

    def fit(self, message: Any) -> Any:
        """Let outcomes be of attempts that the newest bad engine really has, now and then."""
        held = self.bench.broker.tasks.engines.get(m.EngineId(self.n_bad))
        if isinstance(message, m.Outcomes) and held is not None and self.rng.random() < 0.5:
            real = [(msg_id, job.attempt) for job in held.held for msg_id in job.msg_ids]
            return m.Outcomes(
                [
                    _renamed(outcome, msg_id, attempt)
                    for outcome, (msg_id, attempt) in zip(message.outcomes, real, strict=False)
                ]
            )
        return message

    def send(self, peer: PlayedPeer, message: m.Message) -> None:
        rng, bench = self.rng, self.bench
        channel = rng.choice(list(peer.links))
        buffers = [b"buffer"] * rng.choice([0, 0, 0, 1, 2])
        if rng.random() < 0.2 or isinstance(message, m.UNNUMBERED):
            number = rng.choice([0, 0, 0, 1, 2**63])
            acknowledged = rng.choice([0, 0, 1, 2**64 - 1])
            frames = [head(number, acknowledged, encode(message)), *buffers]
            bench.broker.receive(peer.routes[channel], peer.key_role, frames)
        else:
            for frames in peer.links[channel].send(message, buffers):
                bench.broker.receive(peer.routes[channel], peer.key_role, frames)
        bench.turn()

    def good_ones_are_served(self) -> None:
        self.client.send("task", m.Submit([task("new", targets=[0])]))
        done = 0
        while done < len(sent := attempts_of(self.engine)):  # others may have been before it
            self.engine.send("task", outcomes(*sent[done:]))
            done = len(sent)
        results = self.client.results()
        assert (results["kept"].status, results["new"].status) == ("ok", "ok")
        assert self.bench.broker.next_tick() >= 0.0  # also after NaN


def _renamed(
    outcome: m.Outcome | m.OutcomeBundle, msg_id: m.MsgId, attempt: int
) -> m.Outcome | m.OutcomeBundle:
    if isinstance(outcome, m.Outcome):
        return msgspec.structs.replace(outcome, msg_id=msg_id, attempt=attempt)
    msg_ids = [msg_id, *outcome.msg_ids[1:]]
    return msgspec.structs.replace(outcome, msg_ids=msg_ids, attempt=attempt)


@pytest.mark.parametrize("role", CHANNELS)
@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_no_message_of_any_role_hurts_the_broker(kind: type[m.Message], role: str) -> None:
    for hwm in (-1, 0) if kind in (m.Outcomes, m.Submit) else (-1,):
        attack = Attack(f"{kind.__name__} {role}", hwm)
        attack.run(role, kind)
        attack.good_ones_are_served()


def test_bytes_that_were_damaged_on_their_way_hurt_nobody() -> None:
    attack = Attack("noise", 0)
    rng = attack.rng
    for step in range(10 * N_MESSAGES):
        if step % PER_PEER == 0:
            peer = attack.bad_peer("client")
        damaged = bytearray(head(rng.randrange(3), 0, encode(some(rng.choice(TYPES), rng))))
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        frame = bytes(damaged[: rng.randrange(1, 400)])
        attack.bench.broker.receive(peer.routes["task"], peer.key_role, [frame])
        attack.bench.turn()
    attack.good_ones_are_served()
