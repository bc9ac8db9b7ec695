"""Segments as the broker sees them: no result that reaches nobody leaves one behind."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import encode
from hippodrome.scheduler.burden import Burden
from hippodrome.scheduler.closings import CLOSED_LOCAL_S
from hippodrome.segments import reference
from hippodrome.segments.reference import LEAST_BYTES, TOKEN_BYTES
from support.bench import Bench, F, PlayedPeer, attempts_of, task

TOKEN = b"t" * TOKEN_BYTES
REF = reference.encode(TOKEN, "r-0")
LIMIT = 1 << 30


@pytest.fixture
def bench() -> Bench:
    return Bench.make(token=TOKEN, large_limit=LIMIT)


def submit(client: PlayedPeer, name: str = "a") -> None:
    client.send("task", m.Submit([task(name)], [F]), b"code")


def end(engine: PlayedPeer, *buffers: bytes, attempt: m.Attempt | None = None) -> None:
    """Let an engine return what lies in a segment."""
    attempt = attempt or attempts_of(engine)[-1]
    outcome = m.Outcome(attempt.msg_id, attempt.attempt, "ok", 1.0, 2.0, 0.0, b"", len(buffers))
    engine.send("task", m.Outcomes([outcome]), *buffers)


def freed(bench: Bench) -> list[str]:
    bench.turn()
    return bench.broker.take_freed()


def let_go(bench: Bench, client: PlayedPeer) -> None:
    """Let a client be gone without a good-bye."""
    for channel in client.links:
        client.close(channel)
    bench.tick(bench.broker.now + 1)
    bench.tick(bench.broker.now + CLOSED_LOCAL_S + 1)


def test_a_result_whose_client_has_gone_is_freed(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    submit(client)
    client.send("control", m.Bye("enough"))
    end(engine, REF)
    assert freed(bench) == ["r-0"]


def test_a_direct_result_whose_client_has_gone_is_freed(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    call = m.SubmitDirect([m.MsgId("a")], [m.EngineId(0)], F, b"args", 0, "", [F])
    client.send("task", call, b"code")
    client.send("control", m.Bye("enough"))
    end(engine, b"pickle", REF)
    assert freed(bench) == ["r-0"]


@pytest.mark.parametrize("how", ["bye", "killed"])
def test_a_result_on_its_way_to_a_client_that_goes_is_freed(bench: Bench, how: str) -> None:
    client, engine = bench.client(), bench.engine()
    submit(client)
    end(engine, REF)
    assert freed(bench) == []
    if how == "bye":
        client.send("control", m.Bye("enough"))
    else:
        let_go(bench, client)
    assert freed(bench) == ["r-0"]


def test_a_result_that_comes_too_late_is_freed(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    submit(client)
    (attempt,) = attempts_of(engine)
    client.send("control", m.Abort([m.MsgId("a")]))
    end(engine, attempt=attempt)
    end(engine, REF, attempt=attempt)
    assert freed(bench) == ["r-0"]


def test_arguments_are_freed_when_their_task_has_ended_and_its_client_has_gone(
    bench: Bench,
) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a", n_buffers=1)], [F]), b"code", REF)
    client.send("control", m.Bye("enough"))
    assert freed(bench) == []
    end(engine)
    assert freed(bench) == ["r-0"]


# ---------------------------------------------------------------- for the records


def test_what_lies_in_segments_is_kept_for_the_hub(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send(
        "task", m.Submit([task("a", n_buffers=1)], [F]), b"code", reference.encode(TOKEN, "a-0")
    )
    end(engine, REF)
    bench.tick(bench.broker.now + 1)
    assert bench.broker.for_hub.take_names() == ["a-0", "r-0"]
    told = [came.buffers[1:] for came in bench.hub if isinstance(came.message, m.Ended)]
    assert told == [[REF]]


def test_the_hub_gets_as_much_as_it_takes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hippodrome.scheduler.forhub.UNDER_WAY_BYTES", LEAST_BYTES)
    client, engine = bench.client(), bench.engine()
    large = bytes(LEAST_BYTES)
    for number, name in enumerate("abc"):
        submit(client, name)
        end(engine, large)
        bench.tick(bench.broker.now + 1)
        told = [came for came in bench.hub if isinstance(came.message, m.Ended)][-1]
        assert isinstance(told.message, m.Ended)
        assert told.message.crowded == ([0] if number == 1 else [])
        if number == 1:
            bench.say(m.Taken(LEAST_BYTES))
    assert len(client.results()) == 3


def answer(bench: Bench, client: PlayedPeer, *buffers: bytes) -> None:
    message = m.Answered(client.uuid, m.Answer(7, b"\xc0"))
    bench.broker.receive_hub([encode(message), *buffers])
    bench.turn()


def test_an_answer_with_buffers_comes_where_large_things_come(bench: Bench) -> None:
    client = bench.client()
    answer(bench, client, b"small")
    answer(bench, client)
    assert [len(client.got(m.Answer, name)) for name in ("task", "control")] == [1, 1]
    assert client.came["task"][-1].buffers == [b"small"]


def test_an_answer_that_reaches_nobody_leaves_no_segment(bench: Bench) -> None:
    client, other = bench.client(), bench.client()
    client.send("control", m.Bye("enough"))
    answer(bench, client, REF)
    assert freed(bench) == ["r-0"]
    answer(bench, other, REF)
    assert freed(bench) == []
    let_go(bench, other)
    assert freed(bench) == ["r-0"]


def test_answers_for_who_does_not_read_do_not_pile_up(bench: Bench) -> None:
    client = bench.client()
    channel = bench.broker.peers.get(client.uuid).channels["control"]  # type: ignore[union-attr]
    large = m.Answered(client.uuid, m.Answer(7, b"\xda\xff\xff" + bytes(65_535)))
    bench.broker._deliveries.burden = Burden(None, 300_000, 300_000)
    for _ in range(1000):
        bench.broker.receive_hub([encode(large)])
    stream = channel.session.stream
    assert stream.behind_bytes < 1_000_000
    bench.turn()
    answers = client.got(m.Answer, "control")
    assert answers[0] == large.answer
    assert answers[-1].error is not None


# ---------------------------------------------------------------- for who cannot map them


CONTENT = bytes(range(256)) * 2048


class Files:
    """The segments of the controller's host, each with what its name says."""

    def whole(self, name: str) -> bytes:
        if name == "gone":
            raise FileNotFoundError(name)
        return CONTENT + name.encode()

    def size(self, name: str) -> int:
        return len(self.whole(name))

    def read(self, name: str, at: int, n: int) -> bytes:
        return self.whole(name)[at : at + n]

    def put(self, name: str, at: int, size: int, data: bytes) -> None:
        raise AssertionError("nothing is brought here")

    def remove(self, names: Iterable[str]) -> None:
        pass

    def is_shared(self, name: str) -> bool:
        return True


@pytest.fixture
def hosts() -> Bench:
    return Bench.make(token=TOKEN, large_limit=LIMIT, shelf=Files())


def elsewhere(bench: Bench, role: str) -> PlayedPeer:
    bench.is_one_host = False
    peer = bench.engine() if role == "engine" else bench.client()
    bench.is_one_host = True
    return peer


def test_an_engine_elsewhere_gets_what_is_in_segments_and_one_here_gets_references(
    hosts: Bench,
) -> None:
    client, here, there = hosts.client(), hosts.engine(), elsewhere(hosts, "engine")
    ids, targets = [m.MsgId("a"), m.MsgId("b")], [m.EngineId(0), m.EngineId(1)]
    call = m.SubmitDirect(ids, targets, F, b"args", 2, "", [F])
    client.send("task", call, b"code", b"small", REF)
    assert here.came["task"][-1].buffers == [b"code", b"small", REF]
    assert there.came["task"][-1].buffers == [b"code", b"small", CONTENT + b"r-0"]
    assert freed(hosts) == [], "it is needed until both have ended"
    end(here)
    end(there)
    assert freed(hosts) == ["r-0"]


def test_a_client_elsewhere_gets_what_is_in_segments_which_are_free_at_once(hosts: Bench) -> None:
    client, engine = elsewhere(hosts, "client"), hosts.engine()
    submit(client)
    end(engine, b"small", REF)
    assert client.came["task"][-1].buffers == [b"small", CONTENT + b"r-0"]
    assert hosts.broker.for_hub.take_names() == ["r-0"], "before it can be removed"
    assert freed(hosts) == ["r-0"]
    hosts.tick(hosts.broker.now + 1)
    told = [came.buffers[1:] for came in hosts.hub if isinstance(came.message, m.Ended)]
    assert told == [[b"small", REF]]


def test_an_answer_for_a_client_elsewhere_has_no_references(hosts: Bench) -> None:
    client = elsewhere(hosts, "client")
    answer(hosts, client, REF)
    assert client.came["task"][-1].buffers == [CONTENT + b"r-0"]
    assert freed(hosts) == ["r-0"]


def test_what_is_gone_when_it_is_to_be_sent_elsewhere_is_left_a_reference(hosts: Bench) -> None:
    client, _ = elsewhere(hosts, "client"), hosts.engine()
    gone = reference.encode(TOKEN, "gone")
    answer(hosts, client, gone)
    assert client.came["task"][-1].buffers == [gone]


def test_what_comes_from_elsewhere_goes_to_peers_here_as_it_came(hosts: Bench) -> None:
    client, engine = elsewhere(hosts, "client"), hosts.engine()
    client.send("task", m.Submit([task("a", n_buffers=1)], [F]), b"code", CONTENT)
    assert engine.came["task"][-1].buffers == [b"code", CONTENT]
