"""Messages that cannot be read: their tasks end all the same, and everybody else is served."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import encode
from hippodrome.scheduler.core import TaskScheduler
from support.bench import Bench, F, PlayedPeer, attempts_of, outcomes, task

ODD_TIMES = [math.inf, -math.inf, math.nan, 1e20, 1e300, -1.0, 2**64 - 1]
RAW = {"no UTF-8": b"\xa1\xff", "deep": b"\x91" * 100_000 + b"\xc0", "a map": b"\x81\x01\x02"}


@pytest.fixture
def bench() -> Bench:
    return Bench.make()


def say(peer: PlayedPeer, channel: str, fields: list[Any]) -> None:
    """Send what is no message as the next one of the stream."""
    released = peer.links[channel].stream.post(encode(fields))
    peer.bench.deliver(peer.routes[channel], released)


def one(attempt: m.Attempt, **odd: Any) -> m.Outcome:
    return msgspec.structs.replace(outcomes(attempt).outcomes[0], **odd)  # type: ignore[return-value]


@pytest.mark.parametrize("odd", ODD_TIMES)
@pytest.mark.parametrize("field", ["started", "completed", "run_s"])
def test_an_outcome_at_no_time_ends_its_task_as_an_error(
    bench: Bench, field: str, odd: float
) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a"), task("b")], [F]), b"code")
    a, b = attempts_of(engine)
    engine.send("task", m.Outcomes([one(a, **{field: odd}), one(b)]))
    results = client.results()
    assert {results[name].status for name in "ab"} == {"error"}
    assert results["a"].failure.ename == "DeserializationError"  # type: ignore[union-attr]
    assert results["a"].started == 0.0
    assert len(bench.broker.reception.complaints) == 1
    client.send("task", m.Submit([task("c")]))
    engine.send("task", outcomes(attempts_of(engine)[-1]))
    assert client.results()["c"].status == "ok"


@pytest.mark.parametrize("odd", ODD_TIMES)
@pytest.mark.parametrize("field", ["started", "run_s"])
def test_a_bundle_at_no_time_ends_its_tasks_as_errors(bench: Bench, field: str, odd: float) -> None:
    client, engine = bench.client(), bench.engine()
    ids = [m.MsgId("a"), m.MsgId("b")]
    client.send("task", m.Submit([m.TaskBundle(ids, F, [b"1", b"2"])], [F]), b"code")
    bundle = m.OutcomeBundle(ids, 1, [1.0, 1.0], [0.1, 0.1], [b"r", b"r"])
    engine.send("task", m.Outcomes([msgspec.structs.replace(bundle, **{field: [1.0, odd]})]))
    assert {one.status for one in client.results().values()} == {"error"}
    assert set(client.results()) == {"a", "b"}


@pytest.mark.parametrize("raw", RAW)
def test_outcomes_with_a_part_that_is_none_end_their_tasks(bench: Bench, raw: str) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a")], [F]), b"code")
    say(engine, "task", ["outcomes", [[1, "a", 1, "ok", 1.0, 2.0, 0.0, msgspec.Raw(RAW[raw])]]])
    expected = {} if raw == "deep" else {"a": "error"}  # nothing is known of what is so deep
    assert {name: one.status for name, one in client.results().items()} == expected


@pytest.mark.parametrize(
    "fields",
    [
        ["submit", [[1, "a", F, "text where bytes belong"]]],
        ["submit", [[1, "a", F, b"", 0, [2**64 - 1]]]],
        ["submit", [[2, ["a"], F, [b""], [0, "soon"]]]],
        ["direct", ["a"], [2**64 - 1], F, b""],
        ["direct", ["a"], [0], F, b"", 0, 7],
    ],
)
def test_tasks_in_a_submission_that_cannot_be_read_are_refused(
    bench: Bench, fields: list[Any]
) -> None:
    client = bench.client()
    say(client, "task", fields)
    assert client.results()["a"].status == "unreachable"
    assert "malformed" in client.results()["a"].failure.evalue  # type: ignore[union-attr]
    assert len(bench.broker.reception.complaints) == 1


def test_the_end_of_another_task_cannot_be_told_in_a_message_that_cannot_be_read(
    bench: Bench,
) -> None:
    client, engine = bench.client(), bench.engine()
    other = bench.engine()
    client.send("task", m.Submit([task("a", targets=[0])], [F]), b"code")
    say(other, "task", ["outcomes", [[1, "a", 1, "ok", "soon"]]])
    say(engine, "task", ["outcomes", [[1, "a", 7, "ok", "soon"]]])
    say(client, "task", ["submit", [[1, "a", F, None]]])
    assert client.results() == {}


@pytest.mark.parametrize("arguments", [*RAW.values(), b"", encode({"msg_ids": 7})])
def test_a_question_whose_arguments_are_none_is_the_hubs_to_answer(
    bench: Bench, arguments: bytes
) -> None:
    client = bench.client()
    for name in ("results", "result_status", "resubmission", "purge", "history"):
        client.send("control", m.Query(1, name, arguments))
    assert len(bench.told(m.Asked)) == 5


def test_what_follows_an_event_that_cannot_be_handled_is_handled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a")], [F]), b"code")

    def fail(self: TaskScheduler, event: Any) -> None:
        raise RuntimeError("a mistake of ours")

    with monkeypatch.context() as patch:
        patch.setattr(TaskScheduler, "handle", fail)
        with pytest.raises(RuntimeError):
            client.send("task", m.Submit([task("b")]))
    engine.send("task", outcomes(*attempts_of(engine)))
    assert client.results()["a"].status == "ok"


@pytest.mark.parametrize("column", ["started", "run_s", "payloads"])
def test_a_bundle_with_too_few_of_anything_ends_its_tasks_as_errors(
    bench: Bench, column: str
) -> None:
    client, engine = bench.client(), bench.engine()
    ids = [m.MsgId("a"), m.MsgId("b")]
    client.send("task", m.Submit([m.TaskBundle(ids, F, [b"1", b"2"])], [F]), b"code")
    whole = m.OutcomeBundle(ids, 1, [1.0, 1.0], [0.1, 0.1], [b"r", b"r"])
    short = msgspec.structs.replace(whole, **{column: getattr(whole, column)[:1]})
    engine.send("task", m.Outcomes([short]))
    assert [client.results()[name].status for name in "ab"] == ["error", "error"]
    assert len(bench.broker.reception.complaints) == 1
