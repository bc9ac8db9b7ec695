"""What is only there to be looked at is passed on only while the other side keeps up."""

from __future__ import annotations

import pytest

from hippodrome.engine.core import LIVE_BYTES, Channel, EngineCore, Send
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import decode, read_head
from hippodrome.protocol.inflight import InFlight
from hippodrome.protocol.session import Session
from hippodrome.protocol.stream import ACK_EVERY_BYTES, Stream
from hippodrome.scheduler import peers
from support.bench import Bench, F, attempts_of, outcomes, task


def test_there_is_room_until_too_many_bytes_are_on_their_way() -> None:
    stream = Stream()
    flight = InFlight(stream, 1000, 100)
    for _ in range(2):
        assert flight.has_room()
        flight.add(stream.send(m.Bye("x" * 600)))
    assert not flight.has_room()
    stream.acknowledge(1)
    assert flight.has_room()
    stream.acknowledge(2)
    assert flight.has_room()


def test_other_messages_count_by_their_number() -> None:
    stream = Stream()
    flight = InFlight(stream, 1000, 2)
    stream.send(m.Bye())
    assert flight.has_room()
    stream.send(m.Bye())
    assert not flight.has_room()


def test_a_new_session_begins_with_nothing_on_its_way() -> None:
    stream = Stream()
    flight = InFlight(stream, 1000, 100)
    for _ in range(5):
        stream.send(m.Bye())
    flight.add(stream.send(m.Bye("x" * 2000)))
    stream.acknowledge(6)
    stream.restart()
    assert flight.has_room()


@pytest.mark.parametrize("limit", [LIVE_BYTES, peers.LIVE_BYTES])
def test_who_keeps_up_is_not_taken_for_slow(limit: int) -> None:
    assert limit > ACK_EVERY_BYTES


BIG = "x" * (1 << 20)


def test_an_engine_shows_no_more_than_the_controller_takes() -> None:
    core = EngineCore(m.PeerId("e" * 32), {})
    sessions = {channel: Session() for channel in Channel}
    for channel, session in sessions.items():
        (hello,) = core.hello(channel)
        assert isinstance(hello, Send)
        greeting = decode(read_head(hello.frames[0])[2])
        assert isinstance(greeting, m.Hello)
        (welcome,) = session.greet(greeting)
        core.receive(channel, welcome)
    control, tasks = sessions[Channel.CONTROL].stream, sessions[Channel.TASK].stream
    core.receive(Channel.CONTROL, control.send(m.Registered(m.EngineId(0))))
    attempt = m.Attempt(m.MsgId("t"), 1, F, b"payload")
    core.receive(Channel.TASK, tasks.send(m.Assign(1, [attempt], [F]), [b"pickle"]))
    assert not core.may_show(), "nothing runs"
    core.next_attempt()
    n = 0
    while core.may_show():
        core.show([("stdout", n << 20, BIG)])
        n += 1
    assert n == LIVE_BYTES >> 20
    link = core.links[Channel.CONTROL]
    link.stream.acknowledge(link.stream.sent)
    assert core.may_show()


def piece(at: int) -> m.Output:
    display = m.Display("display_data", BIG.encode(), at)
    return m.Output([m.Piece(m.MsgId("t"), 1, "display", at, display=display)])


def test_a_client_that_is_behind_gets_results_but_no_live_output() -> None:
    bench = Bench.make()
    engine, client = bench.engine(), bench.client()
    client.send("task", m.Submit([task("t")], [F]), b"pickle")
    stream = bench.broker.peers.get(client.uuid).channels["control"].session.stream  # type: ignore[union-attr]
    route = client.routes["control"]
    end = bench.ends.pop(route)  # it is stopped: nothing that is sent arrives
    for at in range(30):
        engine.send("control", piece(at))
    assert stream.n_unacknowledged <= 1 + (peers.LIVE_BYTES >> 20)
    bench.ends[route] = end
    engine.send("task", outcomes(*attempts_of(engine)))
    assert client.results()["t"].status == "ok"


def test_a_client_that_keeps_up_gets_everything() -> None:
    bench = Bench.make()
    engine, client = bench.engine(), bench.client()
    client.send("task", m.Submit([task("t")], [F]), b"pickle")
    for at in range(30):
        engine.send("control", piece(at))
    assert len(client.got(m.Output)) == 30
