"""What passed through the scheduler becomes records."""

from __future__ import annotations

import pytest

from hippodrome.errors import ProtocolError
from hippodrome.hub.recorder import Recorder
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import encode
from hippodrome.store.memory import MemoryStore
from hippodrome.store.record import TaskRecord

ME = m.PeerId("c" * 32)
F = m.Digest(b"f")


class Bench:
    """A recorder and its store."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.recorder = Recorder(self.store, lambda engine: m.PeerId(f"e{engine}"))

    def submit(self, message: m.Message) -> None:
        self.recorder.submitted(ME, encode(message), 10.0)

    def end(self, *results: m.Result | m.ResultBundle) -> dict[m.EngineId, int]:
        return dict(self.recorder.ended(ME, encode(m.Results(list(results))), 20.0))

    def get(self, name: str) -> TaskRecord:
        record = self.store.get(m.MsgId(name))
        assert isinstance(record, TaskRecord)
        return record


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_submission_is_recorded(bench: Bench) -> None:
    bench.submit(m.Submit([m.Task(m.MsgId("a"), F, b"args", 0, m.Options(label="mine"))]))
    record = bench.get("a")
    assert (record.client, record.submitted, record.label) == (ME, 10.0, "mine")


def test_a_direct_submission_is_recorded(bench: Bench) -> None:
    bench.submit(m.SubmitDirect([m.MsgId("a")], [m.EngineId(3)], F, b"args"))
    assert bench.get("a").queue == "mux"


def test_an_outcome_is_recorded_with_its_engine(bench: Bench) -> None:
    bench.submit(m.Submit([m.Task(m.MsgId("a"), F, b"")]))
    assert bench.end(m.Result(m.MsgId("a"), "ok", m.EngineId(3), 1, 11.0, 12.0, b"r")) == {3: 1}
    record = bench.get("a")
    assert (record.engine, record.engine_uuid, record.received) == (3, "e3", 20.0)


def test_outcomes_are_counted_by_engine(bench: Bench) -> None:
    single = [m.Result(m.MsgId(f"t{i}"), "ok", m.EngineId(i % 2)) for i in range(5)]
    names = [m.MsgId("u1"), m.MsgId("u2")]
    bundle = m.ResultBundle(names, m.EngineId(1), 1, [1.0] * 2, [1.0] * 2, [b"r"] * 2)
    never = m.Result(m.MsgId("v"), "aborted", None)
    assert bench.end(*single, bundle, never) == {0: 3, 1: 4}


def test_what_is_no_submission_or_result_is_not_recorded(bench: Bench) -> None:
    with pytest.raises(ProtocolError, match="Beat"):
        bench.recorder.submitted(ME, encode(m.Beat()), 1.0)
    with pytest.raises(ProtocolError, match="Beat"):
        bench.recorder.ended(ME, encode(m.Beat()), 1.0)
    with pytest.raises(ProtocolError):
        bench.recorder.ended(ME, b"\xc1", 1.0)
    assert len(bench.store) == 0
