"""Whatever a message holds, it raises a `ProtocolError` or nothing, in each process that reads it.

Bodies are made of every type, with one part replaced by what no encoder makes. After each, every
invariant holds.
"""

from __future__ import annotations

import contextlib
import math
import random
import typing
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hippodrome.client.link import events
from hippodrome.client.link.core import ClientCore
from hippodrome.client.link.delivery import Reply
from hippodrome.client.link.io_thread import IOThread
from hippodrome.engine.actions import EngineChannel
from hippodrome.engine.attempts import AttemptEnded
from hippodrome.engine.core import EngineCore
from hippodrome.errors import ProtocolError, ProtocolVersionError
from hippodrome.hub.core import HubCore
from hippodrome.node.core import Limits, NodeCore
from hippodrome.protocol import frames
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import encode, head, unnumbered
from hippodrome.protocol.ranges import MOST_INSTANT, MOST_NAME
from hippodrome.protocol.reading import one_line
from support.hostile import HUB_TYPES, ODD, PEER_TYPES, body_of, multiparts, query_of
from support.results import QuietClient, single

BATCHES = 40
REFUSALS = (ProtocolError, ProtocolVersionError)
by_seed = pytest.mark.parametrize("seed", range(BATCHES))


# ---------------------------------------------------------------- the codec


@pytest.mark.parametrize("decode", [frames.decode, frames.decode_hub])
@given(body=st.binary(max_size=300) | st.binary().map(encode))
def test_bytes_are_a_message_or_a_protocol_error(decode: Callable[..., Any], body: bytes) -> None:
    with contextlib.suppress(*REFUSALS):
        decode(body)


@pytest.mark.parametrize("decode", [frames.decode, frames.decode_hub])
@pytest.mark.parametrize("kind", [*PEER_TYPES, *HUB_TYPES], ids=lambda kind: kind.__name__)
def test_what_is_decoded_is_in_range(decode: Callable[..., Any], kind: type) -> None:
    rng = random.Random(kind.__name__)
    for _ in range(100):
        body = body_of(kind, rng)
        message = decoded_or_refused(decode, body)
        if isinstance(message, ProtocolError | ProtocolVersionError):
            assert len(str(message)) < 1000, "it is going to be logged"
        else:
            in_range(type(message), message)


def decoded_or_refused(decode: Callable[..., Any], body: bytes) -> Any:
    try:
        return decode(body)
    except REFUSALS as error:
        return error


def in_range(annotation: Any, value: Any) -> None:
    """Assert that no number or name in a message is one that somebody stumbles over."""
    match value:
        case msgspec.Struct():
            hints = typing.get_type_hints(type(value))
            for name in value.__struct_fields__:
                in_range(hints[name], getattr(value, name))
        case list() | tuple():
            for part in value:
                in_range(None, part)
        case dict():
            for key, part in value.items():
                in_range(None, key)
                in_range(None, part)
        case int():
            assert -(2**63) <= value < 2**63
        case float() if annotation != (float | None):  # how long a task may wait is looked at later
            assert 0.0 <= value <= MOST_INSTANT
            assert math.isfinite(value)
        case str() if annotation in (m.MsgId, m.PeerId):
            assert len(value) <= MOST_NAME


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_part_alone_is_no_message(odd: str) -> None:
    for decode in (frames.decode, frames.decode_hub):
        with pytest.raises(ProtocolError):
            decode(ODD[odd])


@given(text=st.text(), most=st.integers(0, 50))
def test_what_is_logged_is_one_short_line(text: str, most: int) -> None:
    line = one_line(text, most)
    assert line.isprintable()
    assert len(line) <= 2 * most + 40


# ---------------------------------------------------------------- the cores


def welcome(number: int = 1) -> list[Any]:
    return unnumbered(m.Welcome(number, 0, fresh=True))


@by_seed
@pytest.mark.parametrize("channel", EngineChannel)
def test_an_engine_takes_anything(seed: int, channel: EngineChannel) -> None:
    rng = random.Random(f"{seed} {channel}")
    engine = EngineCore(m.PeerId("e"), {})
    for each in EngineChannel:
        engine.hello(each)
        engine.receive(each, welcome())
    for parts in multiparts(PEER_TYPES, rng, 1):
        with contextlib.suppress(*REFUSALS):
            engine.receive(channel, parts)
        start = engine.next_attempt() if engine.running is None else None
        if start is not None:
            assert 0 < start.serial < 2**63, "it is written into the page"
            engine.finish(AttemptEnded("ok", 1.0, 0.0, b"result"))
        engine.flush()
        engine.tick(channel, 1.0)
        engine.check()


@by_seed
def test_a_supervisor_takes_anything(seed: int) -> None:
    rng = random.Random(seed)
    node = NodeCore(m.PeerId("n"), {}, [m.PeerId("e0"), m.PeerId("e1")], Limits(), 0.0)
    node.hello()
    node.receive(welcome(), 0.0)
    for parts in multiparts(PEER_TYPES, rng, 1):
        with contextlib.suppress(*REFUSALS):
            for action in node.receive(parts, 0.0):
                assert 0 < getattr(action, "signum", 1) < 65
        node.tick(0.0, {})
        node.check()


@by_seed
@pytest.mark.parametrize("channel", ["task", "control"])
def test_a_client_takes_anything(seed: int, channel: str) -> None:
    rng = random.Random(f"{seed} {channel}")
    client = ClientCore(m.PeerId("c"), {})
    client.handle(events.Connected())
    for name in client.links:
        client.handle(events.FramesArrived(name, welcome()))
    for parts in multiparts(PEER_TYPES, rng, 1):
        client.handle(events.FramesArrived(channel, parts))  # it notes what it drops
        client.handle(events.Ticked(1.0))
        client.check()


@by_seed
@pytest.mark.parametrize("channel", ["task", "control"])
def test_a_clients_thread_does_whatever_follows_from_anything(seed: int, channel: str) -> None:
    rng = random.Random(f"{seed} {channel} io")
    core = ClientCore(m.PeerId("c"), {})
    io = IOThread(core, {})
    io._performers[events.SendFrames] = lambda action: None
    client: Any = QuietClient()
    waiters = {name: single(client) for name in ("t0", "t1", "t2")}
    io._feed(events.Connected())
    for name in core.links:
        io._feed(events.FramesArrived(name, welcome()))
    for name, waiter in waiters.items():
        task = m.Task(m.MsgId(name), m.Digest(b"f"), b"")
        io._feed(events.TaskSubmitted(task, b"code", (), waiter))
    replies = [Reply(io.check_may_wait) for _ in range(5)]
    for reply in replies:
        io._feed(events.Question("history", b"\x80", reply))
    kinds = tuple(kind for kind in PEER_TYPES if kind not in (m.Bye, m.Refused))
    usual = (m.Results, m.Output, m.Published, m.Answer, m.Membership)
    for parts in multiparts((*kinds, *usual * 5), rng, 1):
        io._feed(events.FramesArrived(channel, parts))
        core.check()
    io._fail("enough")
    io._outbox.wakes.close()
    assert all(waiter.done() for waiter in waiters.values())


@by_seed
def test_a_hub_takes_anything(seed: int) -> None:
    rng = random.Random(seed)
    hub = HubCore()
    hub.tick(1.0, 1.8e9)
    for kind in HUB_TYPES * 3:
        with contextlib.suppress(*REFUSALS):
            message = frames.decode_hub(body_of(kind, rng))
            bodies = [body_of(each, rng) for each in (m.Submit, m.SubmitDirect, m.Results)]
            for answer in hub.handle(message, [rng.choice(bodies)] * rng.choice([0, 1, 1, 2])):
                encode(answer)
        hub.tick(1.0, 1.8e9)
        hub.check()


@by_seed
def test_every_question_is_answered_whatever_it_is(seed: int) -> None:
    rng = random.Random(seed)
    hub = HubCore()
    hub.tick(1.0, 1.8e9)
    for _ in range(30):
        with contextlib.suppress(*REFUSALS):
            query = frames.decode(query_of(rng))
            answers = hub.handle(m.Asked(m.PeerId("c"), query), [])
            assert [a for a in answers if isinstance(a, m.Answered)], query
            assert all(len(encode(answer)) < 2_000_000 for answer in answers)


def test_numbers_that_no_acknowledgement_can_have_change_nothing() -> None:
    engine = EngineCore(m.PeerId("e"), {})
    engine.hello(EngineChannel.TASK)
    engine.receive(EngineChannel.TASK, welcome())
    with pytest.raises(ProtocolError):
        engine.receive(EngineChannel.TASK, [head(1, 2**64 - 1, encode(m.Beat()))])
    assert engine.links[EngineChannel.TASK].stream.received == 0
