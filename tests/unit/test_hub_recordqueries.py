"""Questions about tasks, asked as a client does: bytes in, bytes out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from hippodrome.hub.config import HubConfig
from hippodrome.hub.core import HubCore
from hippodrome.hub.query import FramedAnswer
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import encode
from hippodrome.store.filters import MOST_PARTS, OPERATORS

ME, OTHER = m.PeerId("c" * 32), m.PeerId("d" * 32)
F = m.Digest(b"f" * 16)
ENGINES = [m.PeerId("e0"), m.PeerId("e1")]
FAILURE = m.Failure("ValueError", "no", "trace", b"pickled")
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Bench:
    """A hub with two engines; each submission and each end is a second after the last."""

    def __init__(self, **limits: int) -> None:
        self.hub = HubCore(HubConfig(**limits))  # type: ignore[arg-type]
        self.wall = START.timestamp()
        for uuid in ENGINES:
            self.hub.handle(m.EngineArrived(uuid, {"node": "n"}), [])

    def tick(self) -> None:
        self.hub.tick(self.wall, self.wall)
        self.wall += 1

    def submit(self, *tasks: m.Task | m.TaskBundle, client: m.PeerId = ME) -> None:
        self.tick()
        self.hub.handle(m.Submitted(client), [encode(m.Submit([*tasks]))])

    def end(self, *results: m.Result | m.ResultBundle) -> None:
        self.tick()
        self.hub.handle(m.Ended(ME), [encode(m.Results([*results]))])

    def ask(self, name: str, **arguments: Any) -> Any:
        """Return the answer, or the failure in its place."""
        query = m.Query(7, name, msgspec.msgpack.encode(arguments))
        (answered,) = self.hub.handle(m.Asked(OTHER, query), [])
        self.buffers: list[Any] = []
        if isinstance(answered, FramedAnswer):
            answered, self.buffers = answered.message, answered.buffers
        assert isinstance(answered, m.Answered)
        assert (answered.client, answered.answer.number) == (OTHER, 7)
        if answered.answer.error is not None:
            return answered.answer.error
        return msgspec.msgpack.decode(answered.answer.value)

    def fetch(self, *msg_ids: str) -> list[m.Fetched]:
        return msgspec.convert(self.ask("results", msg_ids=list(msg_ids)), list[m.Fetched])

    def recall(self, *msg_ids: str, **more: Any) -> list[m.Recalled]:
        answer = self.ask("resubmission", msg_ids=list(msg_ids), **more)
        return msgspec.convert(answer, list[m.Recalled])


@pytest.fixture
def bench() -> Bench:
    """One task of each kind, submitted in the order of their names."""
    bench = Bench()
    bench.submit(bundle("t_1", "t_2"))
    bench.submit(*(task(f"t_{n}", label="odd" if n % 2 else "even") for n in range(3, 8)))
    bench.end(m.ResultBundle([m.MsgId("t_1")], m.EngineId(0), 1, [5.0], [0.5], [b"one"]))
    bench.end(
        m.Result(
            m.MsgId("t_3"), "error", m.EngineId(1), 2, 6.0, 7.0, b"", 0, FAILURE, "out", "err"
        ),
        m.Result(m.MsgId("t_4"), "aborted", None, failure=m.Failure("TaskAborted", "")),
        m.Result(m.MsgId("t_5"), "ok", m.EngineId(0), 1, 6.0, 7.0, b"", 2),
    )
    return bench


def bundle(*msg_ids: str) -> m.TaskBundle:
    names = [m.MsgId(msg_id) for msg_id in msg_ids]
    return m.TaskBundle(names, F, [b"args"] * len(names))


def task(msg_id: str, **options: Any) -> m.Task:
    return m.Task(m.MsgId(msg_id), F, b"args", 0, m.Options(**options))


ALL = [f"t_{n}" for n in range(1, 8)]


def test_the_history_lists_all_tasks_in_the_order_of_their_submission(bench: Bench) -> None:
    assert bench.ask("history") == ALL


def test_the_status_of_tasks_can_be_asked(bench: Bench) -> None:
    assert bench.ask("result_status", msg_ids=["t_2", "t_1", "t_5", "t_4"]) == {
        "pending": ["t_2"],
        "completed": ["t_1", "t_4"],
        "expired": ["t_5"],
    }


@pytest.mark.parametrize("name", ["result_status", "results", "resubmission"])
def test_an_unknown_task_is_a_key_error(bench: Bench, name: str) -> None:
    failure = bench.ask(name, msg_ids=["t_1", "t_9"])
    assert failure == m.Failure("KeyError", "there is no record of: t_9")


def test_a_result_comes_as_its_client_got_it(bench: Bench) -> None:
    (fetched,) = bench.fetch("t_1")
    assert fetched.result == m.Result(m.MsgId("t_1"), "ok", m.EngineId(0), 1, 5.0, 5.5, b"one")
    assert fetched.submitted == START.timestamp()
    assert fetched.received == START.timestamp() + 2
    assert fetched.engine_uuid == "e0"


def test_failures_come_with_all_that_they_tell(bench: Bench) -> None:
    failed, aborted = bench.fetch("t_3", "t_4")
    assert failed.label == "odd"
    assert failed.result == m.Result(
        m.MsgId("t_3"), "error", m.EngineId(1), 2, 6.0, 7.0, b"", 0, FAILURE, "out", "err"
    )
    assert aborted.result is not None
    assert (aborted.result.status, aborted.result.engine) == ("aborted", None)
    assert (aborted.result.started, aborted.engine_uuid) == (0.0, "")


def test_results_come_in_the_order_in_which_they_were_asked_for(bench: Bench) -> None:
    fetched = bench.fetch("t_4", "t_2", "t_4", "t_1")
    assert [each.msg_id for each in fetched] == ["t_4", "t_2", "t_4", "t_1"]
    assert fetched[1].result is None


def test_a_result_whose_buffers_were_not_kept_has_expired(bench: Bench) -> None:
    (fetched,) = bench.fetch("t_5")
    assert fetched.result is not None
    assert fetched.result.status == "expired"
    assert fetched.result.failure is not None
    assert fetched.result.failure.ename == "ResultExpired"
    assert "too large" in fetched.result.failure.evalue


def test_a_result_comes_with_its_buffers() -> None:
    bench = Bench()
    bench.submit(bundle("t_1"))
    result = m.Result(m.MsgId("t_1"), "ok", m.EngineId(0), n_buffers=2)
    bench.hub.handle(m.Ended(ME), [encode(m.Results([result])), b"pickle", b"array"])
    (fetched,) = bench.fetch("t_1")
    assert fetched.result == result
    assert bench.buffers == [b"pickle", b"array"]


def test_a_culled_result_has_expired() -> None:
    bench = Bench(record_limit=1)
    bench.submit(bundle("t_1", "t_2"))
    for name in ("t_1", "t_2"):
        bench.end(m.Result(m.MsgId(name), "ok", m.EngineId(0)))
    assert bench.ask("history") == ["t_2"]
    assert bench.ask("result_status", msg_ids=["t_1"])["expired"] == ["t_1"]
    (fetched,) = bench.fetch("t_1")
    assert fetched.result is not None
    assert fetched.result.failure is not None
    assert fetched.result.failure.ename == "ResultExpired"
    assert bench.ask("resubmission", msg_ids=["t_1"]).ename == "ResultExpired"
    assert bench.ask("purge", msg_ids=["t_1"]) == 0
    assert bench.ask("storage")["culled"] == 1


# ---------------------------------------------------------------- db_query


def found(bench: Bench, query: dict[str, Any]) -> list[str]:
    records = bench.ask("db_query", query=query, keys=[])
    assert all(list(record) == ["msg_id"] for record in records)
    return [record["msg_id"] for record in records]


def test_a_record_is_shown_by_the_names_that_users_know(bench: Bench) -> None:
    (record,) = bench.ask("db_query", query={"msg_id": "t_3"})
    assert record["client_uuid"] == ME
    assert (record["engine_uuid"], record["engine_id"], record["queue"]) == ("e1", 1, "task")
    assert record["submitted"] == START + timedelta(seconds=1)
    assert record["started"] == datetime.fromtimestamp(6, UTC)
    assert record["completed"] - record["started"] == timedelta(seconds=1)
    assert record["received"] == record["result_header"]["date"] == START + timedelta(seconds=3)
    assert (record["stdout"], record["stderr"]) == ("out", "err")
    assert (record["status"], record["error"]) == ("error", "ValueError: no")
    assert record["result_content"]["ename"] == "ValueError"
    assert record["metadata"]["label"] == record["label"] == "odd"
    assert record["header"]["msg_id"] == "t_3"
    assert record["resubmitted"] is None
    assert not {"buffers", "result_buffers"} & record.keys()


def test_what_has_not_happened_is_none(bench: Bench) -> None:
    (record,) = bench.ask("db_query", query={"msg_id": "t_2"})
    times = ("started", "completed", "received")
    assert [record[key] for key in (*times, "engine_uuid", "status")] == [None] * 5


def test_keys_are_chosen_and_msg_id_is_always_there(bench: Bench) -> None:
    keys = ["label", "buffers", "result_buffers", "metadata.retries"]
    (record,) = bench.ask("db_query", query={"msg_id": "t_1"}, keys=keys)
    assert record == {
        "msg_id": "t_1",
        "label": "",
        "buffers": [b"args"],
        "result_buffers": [b"one"],
        "metadata.retries": 0,
    }


AT = START + timedelta(seconds=1)  # when t_3 and those behind it were submitted
ELSEWHERE = timezone(timedelta(hours=2))
DB_QUERIES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ALL),
    ({"msg_id": "t_2"}, ["t_2"]),
    ({"msg_id": {"$ne": "t_2"}, "submitted": START}, ["t_1"]),
    ({"submitted": {"$gt": START}}, ALL[2:]),
    ({"submitted": {"$gte": AT}}, ALL[2:]),
    ({"submitted": {"$lt": AT}}, ALL[:2]),
    ({"submitted": {"$lte": START}}, ALL[:2]),
    ({"submitted": {"$gt": AT.astimezone(ELSEWHERE)}}, []),
    ({"submitted": {"$gte": "2026-01-02T03:04:06"}}, ALL[2:]),
    ({"submitted": {"$gte": AT.timestamp()}}, ALL[2:]),
    ({"submitted": {"$gte": START, "$lt": AT}}, ALL[:2]),
    ({"header.date": {"$lt": AT}}, ALL[:2]),
    ({"started": {"$lt": AT}}, ["t_1", "t_3", "t_5"]),  # not those that never started
    ({"started": {"$gt": 0}, "engine_uuid": "e0"}, ["t_1", "t_5"]),
    ({"queue": "task", "engine_uuid": "e1"}, ["t_3"]),
    ({"engine_uuid": {"$in": ["e0", "e1"]}}, ["t_1", "t_3", "t_5"]),
    ({"engine_uuid": {"$nin": ["e0", "e1"]}}, ["t_2", "t_4", "t_6", "t_7"]),
    ({"engine_uuid": {"$in": [*map(str, range(2 * MOST_PARTS)), {}, [1], "e1"]}}, ["t_3"]),
    ({"metadata": {"$in": [{}, "e1"]}}, []),
    ({"received": {"$exists": False}}, ["t_2", "t_6", "t_7"]),
    ({"received": {"$exists": True}, "status": {"$ne": "ok"}}, ["t_3", "t_4"]),
    ({"received": None, "label": {"$in": ["odd"]}}, ["t_7"]),
    ({"label": {"$concat": ["ev", "en"]}}, ["t_4", "t_6"]),
    ({"label": {"$glob": "?dd*"}}, ["t_3", "t_5", "t_7"]),
    ({"label": {"$not": {"$glob": "*d*"}}}, ["t_1", "t_2", "t_4", "t_6"]),
    ({"buffers": {"$all": [b"args"]}, "msg_id": {"$in": ["t_1"]}}, ["t_1"]),
    ({"buffers": {"$all": [b"args", b"more"]}}, []),
    ({"metadata.label": "odd", "result_content.ename": "ValueError"}, ["t_3"]),
    ({"engine_id": {"$mod": [2, 1]}}, ["t_3"]),
    ({"$or": [{"msg_id": "t_1"}, {"engine_uuid": "e1"}]}, ["t_1", "t_3"]),
    ({"$and": [{"label": "odd"}, {"$nor": [{"msg_id": "t_3"}, {"status": "ok"}]}]}, ["t_7"]),
    ({"label": {"$gt": 3}}, []),  # a text is neither more nor less than a number
    ({"submitted": {"$in": [START, None]}}, ALL[:2]),
]


@pytest.mark.parametrize(("query", "expected"), DB_QUERIES)
def test_records_can_be_asked_for(bench: Bench, query: dict[str, Any], expected: list[str]) -> None:
    assert found(bench, query) == expected


@pytest.mark.parametrize(
    "query",
    [
        None,
        [],
        {"color": 1},
        {"$where": "1"},
        {"label": {"$near": 1}},
        {"label": {"$gt": 1, "x": 2}},
        {"label": {"$in": 7}},
        {"label": {"$all": 7}},
        {"label": {"$concat": [1]}},
        {"label": {"$glob": 1}},
        {"label": {"$not": {"$near": 1}}},
        {"engine_id": {"$mod": [0, 0]}},
        {"engine_id": {"$mod": [1]}},
        {"submitted": {"$gt": "yesterday"}},
        {"submitted": {"gt": 3}},
        {"msg_id": {"in": ["t_1"]}},
        {"$or": [1]},
        {"$or": 1},
        {"$or": [{}] * MOST_PARTS},
        {"$and": [{"$or": [{"label": "x"}] * (MOST_PARTS // 3)}] * 2},
        {"label": {"$all": ["odd"] * (MOST_PARTS + 1)}},
    ],
)
def test_a_query_that_makes_no_sense_is_an_error(bench: Bench, query: Any) -> None:
    assert bench.ask("db_query", query=query).ename in ("TypeError", "ValueError")


@pytest.mark.parametrize("keys", ["label", [1], ["color"], {}])
def test_keys_that_make_no_sense_are_an_error(bench: Bench, keys: Any) -> None:
    assert bench.ask("db_query", query={}, keys=keys).ename in ("TypeError", "ValueError")


# ---------------------------------------------------------------- purge


def test_results_are_purged_by_their_ids(bench: Bench) -> None:
    assert bench.ask("purge", msg_ids=["t_1", "t_4", "t_1"]) == 2
    assert bench.ask("history") == ["t_2", "t_3", "t_5", "t_6", "t_7"]
    assert bench.ask("results", msg_ids=["t_1"]).ename == "KeyError"
    assert bench.ask("purge", msg_ids=["t_1", "nobody", "t_5"]) == 1, "what is gone is gone"


def test_results_are_purged_by_their_engines(bench: Bench) -> None:
    assert bench.ask("purge", targets=[0]) == 2
    assert bench.ask("history") == ["t_2", "t_3", "t_4", "t_6", "t_7"]
    assert bench.ask("purge", targets=[1, 0], msg_ids=["t_4"]) == 2
    assert bench.ask("history") == ["t_2", "t_6", "t_7"]
    assert bench.ask("purge", targets=[5]).ename == "KeyError"


def test_all_is_purged_that_has_ended(bench: Bench) -> None:
    assert bench.ask("purge", all=True) == 4
    assert bench.ask("history") == ["t_2", "t_6", "t_7"]


def test_nothing_is_purged_if_a_task_has_not_ended(bench: Bench) -> None:
    failure = bench.ask("purge", msg_ids=["t_1", "t_2"], targets=[1])
    assert (failure.ename, failure.evalue[-3:]) == ("RuntimeError", "t_2")
    assert bench.ask("history") == ALL


def test_nothing_named_is_nothing_purged(bench: Bench) -> None:
    assert bench.ask("purge") == 0
    assert bench.ask("purge", msg_ids=[], targets=[]) == 0
    assert bench.ask("history") == ALL


# ---------------------------------------------------------------- resubmission


def test_a_task_is_recalled_with_its_options() -> None:
    bench = Bench()
    after = m.Dependencies([m.MsgId("t_0")])
    call = task("t_1", retries=3, timeout_s=2.0, after=after, targets=[m.EngineId(1)], label="x")
    bench.submit(call)
    bench.end(m.Result(m.MsgId("t_1"), "error", m.EngineId(1), failure=FAILURE))
    (recalled,) = bench.recall("t_1")
    assert recalled == m.Recalled(call, "task")
    assert recalled.pickle is None


def test_a_task_is_recalled_with_its_function_and_buffers() -> None:
    bench = Bench()
    direct = m.SubmitDirect([m.MsgId("t_1")], [m.EngineId(1)], F, b"", 1, "x", [F])
    bench.hub.handle(m.Submitted(ME), [encode(direct), b"function", b"args"])
    bench.end(m.Result(m.MsgId("t_1"), "ok", m.EngineId(1)))
    (recalled,) = bench.recall("t_1")
    options = m.Options(targets=[m.EngineId(1)], label="x")
    call = m.Task(m.MsgId("t_1"), F, b"", 1, options)
    assert recalled == m.Recalled(call, "mux", b"function")
    assert bench.buffers == [b"args"]


def test_a_record_remembers_as_what_its_task_was_submitted_again(bench: Bench) -> None:
    bench.recall("t_1", "t_3", new_ids=["t_8", "t_9"])
    assert found(bench, {"resubmitted": "t_9"}) == ["t_3"]
    assert bench.ask("resubmission", msg_ids=["t_1"], new_ids=[]).ename == "ProtocolError"


def test_what_runs_is_not_recalled(bench: Bench) -> None:
    assert bench.ask("resubmission", msg_ids=["t_1", "t_2"]).ename == "RuntimeError"


def test_what_was_too_large_is_not_recalled() -> None:
    bench = Bench()
    bench.submit(m.Task(m.MsgId("t_1"), F, b"", 2))
    bench.end(m.Result(m.MsgId("t_1"), "ok", m.EngineId(1)))
    bench.end(m.Result(m.MsgId("t_2"), "unreachable", None, failure=FAILURE))  # never accepted
    for name in ("t_1", "t_2"):
        assert bench.ask("resubmission", msg_ids=[name]).ename == "ResultExpired"


# ---------------------------------------------------------------- storage


def test_the_storage_says_how_it_is(bench: Bench) -> None:
    assert bench.ask("storage") == {
        "store": "memory", "state": "ok", "records": 7, "culled": 0, "lost": 0, "note": "",
        "large": {"buffers": 0, "bytes": 0, "limit": 0, "dropped": 0, "state": "ok"},
    }  # fmt: skip


class Costly(str):
    """A value that counts how often it was compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Costly.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_a_long_list_costs_no_record_a_look_at_each_element() -> None:
    wanted = OPERATORS["$in"]([Costly(i) for i in range(10_000)])
    Costly.compared = 0
    assert not any(wanted(f"t_{i}") for i in range(100))
    assert wanted("77")
    assert wanted(["x", "77"])
    assert Costly.compared < 100
