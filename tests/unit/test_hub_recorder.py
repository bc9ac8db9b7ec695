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
F, G = m.Digest(b"f"), m.Digest(b"g")


class Bench:
    """A recorder and its store."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.recorder = Recorder(self.store, lambda engine: m.PeerId(f"e{engine}"))

    def submit(self, message: m.Message) -> None:
        self.recorder.submitted(ME, [encode(message)], [], 10.0)

    def end(self, *results: m.Result | m.ResultBundle) -> dict[m.EngineId, int]:
        return dict(self.recorder.ended(ME, [encode(m.Results(list(results)))], [], 20.0))

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
        bench.recorder.submitted(ME, [encode(m.Beat())], [], 1.0)
    with pytest.raises(ProtocolError, match="Beat"):
        bench.recorder.ended(ME, [encode(m.Beat())], [], 1.0)
    with pytest.raises(ProtocolError):
        bench.recorder.ended(ME, [b"\xc1"], [], 1.0)
    assert len(bench.store) == 0


ARGS = m.Submit(
    [m.Task(m.MsgId(name), F, b"", n) for name, n in (("a", 2), ("b", 0), ("c", 1))], [F, G]
)


def test_buffers_that_came_along_are_kept_with_their_tasks(bench: Bench) -> None:
    frames = [encode(ARGS), b"f", memoryview(b"g"), b"1", b"2", b"3"]
    bench.recorder.submitted(ME, frames, [], 10.0)
    assert bench.get("a").buffers == (b"1", b"2")
    assert bench.get("c").buffers == (b"3",)
    found: dict[m.Digest, bytes] = {}
    bench.store.find_functions([F, G], found.update)
    assert found == {F: b"f", G: b"g"}


def test_a_task_with_a_buffer_that_was_omitted_keeps_none(bench: Bench) -> None:
    bench.recorder.submitted(ME, [encode(ARGS), b"", b"g", b"1", b"", b"3"], [0, 3], 10.0)
    assert not bench.get("a").is_call_kept
    assert bench.get("c").is_call_kept
    found: dict[m.Digest, bytes] = {}
    bench.store.find_functions([F, G], found.update)
    assert found == {G: b"g"}


def test_without_their_buffers_tasks_are_known_to_have_some(bench: Bench) -> None:
    bench.recorder.submitted(ME, [encode(ARGS)], [], 10.0)
    assert not bench.get("a").is_call_kept
    assert bench.get("b").is_call_kept


def test_buffers_of_results_are_kept_with_them(bench: Bench) -> None:
    names = [m.MsgId(name) for name in "abc"]
    bundle = m.ResultBundle([names[1]], m.EngineId(1), 1, [1.0], [1.0], [b"r"])
    results = m.Results(
        [
            m.Result(names[0], "ok", m.EngineId(0), n_buffers=1),
            bundle,
            m.Result(names[2], "ok", m.EngineId(0), n_buffers=1),
        ]
    )
    bench.recorder.ended(ME, [encode(results), b"x", b""], [1], 10.0)
    assert bench.get("a").result_buffers == (b"x",)
    assert bench.get("b").result == b"r"
    assert not bench.get("c").is_result_kept


def test_a_wrong_number_of_buffers_changes_nothing(bench: Bench) -> None:
    with pytest.raises(ProtocolError):
        bench.recorder.submitted(ME, [encode(ARGS), b"f"], [], 10.0)
    assert len(bench.store) == 0
