"""What is only there to be looked at is passed on only while the other side keeps up."""

from __future__ import annotations

import pytest

from hippodrome.engine.actions import EngineChannel, Send
from hippodrome.engine.attempts import AttemptEnded
from hippodrome.engine.core import EngineCore
from hippodrome.engine.passing_on import LIVE_BYTES
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


def running_engine(*names: str) -> EngineCore:
    """Return an engine that is a member and runs the first of some tasks."""
    core = EngineCore(m.PeerId("e" * 32), {})
    sessions = {channel: Session() for channel in EngineChannel}
    for channel, session in sessions.items():
        (hello,) = core.hello(channel)
        assert isinstance(hello, Send)
        greeting = decode(read_head(hello.frames[0])[2])
        assert isinstance(greeting, m.Hello)
        (welcome,) = session.greet(greeting)
        core.receive(channel, welcome)
    control, tasks = sessions[EngineChannel.CONTROL].stream, sessions[EngineChannel.TASK].stream
    core.receive(EngineChannel.CONTROL, control.send(m.Registered(m.EngineId(0))))
    attempts: list[m.Attempt | m.AttemptBundle] = [
        m.Attempt(m.MsgId(name), 1, F, b"payload") for name in names
    ]
    core.receive(EngineChannel.TASK, tasks.send(m.Assign(1, attempts, [F]), [b"pickle"]))
    assert not core.may_show(), "nothing runs"
    assert not core.may_publish()
    core.next_attempt()
    return core


def test_an_engine_shows_no_more_than_the_controller_takes() -> None:
    core = running_engine("t")
    n = 0
    while core.may_show():
        core.show([("stdout", n << 20, BIG)])
        n += 1
    assert n == LIVE_BYTES >> 20
    link = core.links[EngineChannel.CONTROL]
    link.stream.acknowledge(link.stream.sent)
    assert core.may_show()


def test_an_engine_publishes_no_more_than_the_controller_takes() -> None:
    core = running_engine("t")
    n = 0
    while core.may_publish():
        core.publish([("name", b"", [BIG.encode()])])
        n += 1
    assert n == LIVE_BYTES >> 20
    assert core.may_show(), "over another connection"


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


def published(*, final: bool = False, msg_id: str = "t") -> m.Published:
    return m.Published([m.Datum(m.MsgId(msg_id), 1, "name", b"", 1)], final)


def test_of_published_data_the_last_goes_also_to_a_client_that_is_behind() -> None:
    bench = Bench.make()
    engine, client = bench.engine(), bench.client()
    client.send("task", m.Submit([task("t")], [F]), b"pickle")
    stream = bench.broker.peers.get(client.uuid).channels["task"].session.stream  # type: ignore[union-attr]
    route = client.routes["task"]
    end = bench.ends.pop(route)
    for _ in range(30):
        engine.send("task", published(), BIG.encode())
    n_before = stream.n_unacknowledged
    assert n_before <= 1 + (peers.LIVE_BYTES >> 20)
    engine.send("task", published(final=True), b"last")
    engine.send("task", outcomes(*attempts_of(engine)))
    assert stream.n_unacknowledged == n_before + 2
    bench.ends[route] = end
    bench.tick(bench.broker.now + 2.0)  # and both sides find out what is missing
    for _ in range(8):
        bench.tick(bench.broker.now + 2.0)
    came = [item for item in client.came["task"] if isinstance(item.message, m.Published)]
    assert [bytes(buffer) for buffer in came[-1].buffers] == [b"last"]
    assert client.results()["t"].status == "ok"


def test_data_of_tasks_that_do_not_run_there_reach_nobody() -> None:
    bench = Bench.make()
    engine, client = bench.engine(), bench.client()
    client.send("task", m.Submit([task("t")], [F]), b"pickle")
    engine.send("task", published(final=True, msg_id="other"), b"data")
    assert client.got(m.Published) == []
    engine.send("task", m.Published([m.Datum(m.MsgId("t"), 1, "name", b"", 3)]), b"one")
    assert client.got(m.Published) == []
    assert "broke the protocol" in bench.broker.reception.complaints[-1]


def test_data_leave_before_their_outcome_in_one_message() -> None:
    core = running_engine("s", "t")
    for name in ("s", "t"):
        core.finish(AttemptEnded("ok", 0.0, 0.0, data=[(name, b"", [b"buffer"])]))
        core.next_attempt()
    sent = [action.frames for action in core.flush() if isinstance(action, Send)]
    first, second = (decode(read_head(frames[0])[2]) for frames in sent)
    assert isinstance(first, m.Published)
    assert first.final
    assert [(datum.msg_id, datum.n_buffers) for datum in first.data] == [("s", 1), ("t", 1)]
    assert sent[0][1:] == [b"buffer", b"buffer"]
    assert isinstance(second, m.Outcomes)
