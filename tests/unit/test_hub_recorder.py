"""Records of tasks: begun when they are submitted, finished when they end."""

from __future__ import annotations

import pytest

from hippodrome.errors import ProtocolError
from hippodrome.hub.recorder import Recorder
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import encode
from hippodrome.store.memory import MemoryStore
from hippodrome.store.record import TaskRecord

ME, OTHER = m.PeerId("c" * 32), m.PeerId("d" * 32)
F = m.Digest(b"f")
FAILURE = m.Failure("ValueError", "no")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(MemoryStore())


def submit(recorder: Recorder, *names: str, client: m.PeerId = ME) -> None:
    tasks = [m.Task(m.MsgId(name), F, b"args", 0, m.Options(label="mine")) for name in names]
    recorder.submitted(client, encode(m.Submit(tasks)), 10.0)


def end(recorder: Recorder, *results: m.Result, client: m.PeerId = ME) -> dict[m.EngineId, int]:
    return recorder.ended(client, encode(m.Results(list(results))), 20.0)


def get(recorder: Recorder, name: str) -> TaskRecord:
    record = recorder.store.get(m.MsgId(name))
    assert record is not None
    return record


def test_a_submission_begins_a_record_for_each_task(recorder: Recorder) -> None:
    submit(recorder, "a", "b")
    assert get(recorder, "b") == TaskRecord(m.MsgId("b"), ME, "task", 10.0, "mine", b"args")
    assert not get(recorder, "a").is_finished


def test_a_task_without_options_has_no_label(recorder: Recorder) -> None:
    recorder.submitted(ME, encode(m.Submit([m.Task(m.MsgId("a"), F, b"")])), 10.0)
    assert get(recorder, "a").label == ""


def test_a_direct_submission_begins_a_record_for_each_engine(recorder: Recorder) -> None:
    msg_ids, engines = [m.MsgId("a"), m.MsgId("b")], [m.EngineId(0), m.EngineId(1)]
    direct = m.SubmitDirect(msg_ids, engines, F, b"args", 0, "mine")
    recorder.submitted(ME, encode(direct), 10.0)
    assert get(recorder, "b") == TaskRecord(m.MsgId("b"), ME, "mux", 10.0, "mine", b"args")


def test_an_outcome_finishes_its_record(recorder: Recorder) -> None:
    submit(recorder, "a")
    result = m.Result(
        m.MsgId("a"), "error", m.EngineId(3), 2, 11.0, 12.0, b"r", 0, FAILURE, "out", "err"
    )
    assert end(recorder, result) == {3: 1}
    record = get(recorder, "a")
    assert record.is_finished
    assert (record.status, record.engine, record.attempt) == ("error", 3, 2)
    assert (record.submitted, record.started, record.completed) == (10.0, 11.0, 12.0)
    assert (record.received, record.result, record.failure) == (20.0, b"r", FAILURE)
    assert (record.stdout, record.stderr) == ("out", "err")


def test_a_task_that_never_ran_has_no_times(recorder: Recorder) -> None:
    submit(recorder, "a")
    assert end(recorder, m.Result(m.MsgId("a"), "aborted", None)) == {}
    assert (get(recorder, "a").started, get(recorder, "a").completed) == (None, None)


def test_outcomes_are_counted_by_engine(recorder: Recorder) -> None:
    results = [m.Result(m.MsgId(f"t{i}"), "ok", m.EngineId(i % 2)) for i in range(5)]
    assert end(recorder, *results) == {0: 3, 1: 2}


def test_a_task_that_ended_without_having_been_accepted_is_recorded(recorder: Recorder) -> None:
    end(recorder, m.Result(m.MsgId("a"), "unreachable", None, failure=FAILURE))
    assert get(recorder, "a").client == ME
    assert get(recorder, "a").is_finished


def test_a_record_stays_what_it_is_when_its_id_comes_again(recorder: Recorder) -> None:
    submit(recorder, "a")
    end(recorder, m.Result(m.MsgId("a"), "ok", m.EngineId(0)))
    submit(recorder, "a", client=OTHER)
    assert get(recorder, "a").client == ME
    assert get(recorder, "a").is_finished


def test_what_is_no_submission_or_result_is_not_recorded(recorder: Recorder) -> None:
    with pytest.raises(ProtocolError, match="Beat"):
        recorder.submitted(ME, encode(m.Beat()), 1.0)
    with pytest.raises(ProtocolError, match="Beat"):
        recorder.ended(ME, encode(m.Beat()), 1.0)
    with pytest.raises(ProtocolError):
        recorder.ended(ME, b"\xc1", 1.0)
    assert len(recorder.store) == 0
