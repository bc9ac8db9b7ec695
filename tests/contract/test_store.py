"""What every store that keeps task records promises; each test runs against each of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hippodrome.protocol import messages as m
from hippodrome.store.base import Absent, Found, Store
from hippodrome.store.batch import Ending, Kept, Submission
from hippodrome.store.filters import understand
from hippodrome.store.memory import MemoryStore
from hippodrome.store.record import TaskRecord
from hippodrome.store.sqlite import SqliteStore

ME, OTHER = m.PeerId("c" * 32), m.PeerId("d" * 32)
F, G = m.Digest(b"f"), m.Digest(b"g")
ENGINES = {m.EngineId(n): m.PeerId(f"e{n}") for n in range(3)}
FAILURE = m.Failure("ValueError", "no", "trace", b"pickled")


class Bench:
    """A store, and short ways to fill it and to ask it."""

    def __init__(self, make: Callable[..., Store], **limits: int) -> None:
        self.store = make(**limits)
        self.wall = 100.0

    def submit(self, *msg_ids: str, payload: bytes = b"args", client: m.PeerId = ME) -> None:
        """Submit one bundle."""
        names = [m.MsgId(msg_id) for msg_id in msg_ids]
        self.submit_tasks(m.TaskBundle(names, F, [payload] * len(names)), client=client)

    def submit_tasks(
        self,
        *tasks: m.Task | m.TaskBundle,
        client: m.PeerId = ME,
        buffers: dict[int, Kept] | None = None,
    ) -> None:
        self.wall += 1
        self.store.put_submitted(Submission(client, self.wall, m.Submit([*tasks]), buffers or {}))

    def end(self, *msg_ids: str, payload: bytes = b"value", engine: int = 0) -> None:
        """End tasks well, as one bundle."""
        names, n = [m.MsgId(msg_id) for msg_id in msg_ids], len(msg_ids)
        times = [float(i) for i in range(1, n + 1)]
        self.end_as(m.ResultBundle(names, m.EngineId(engine), 1, times, [0.5] * n, [payload] * n))

    def end_as(
        self,
        *results: m.Result | m.ResultBundle,
        client: m.PeerId = ME,
        buffers: dict[int, Kept] | None = None,
    ) -> None:
        self.wall += 1
        self.store.put_ended(Ending(client, self.wall, [*results], ENGINES, buffers or {}))

    def run(self, *msg_ids: str, payload: bytes = b"", value: bytes = b"") -> None:
        self.submit(*msg_ids, payload=payload)
        self.end(*msg_ids, payload=value)

    def ask(self, question: Callable[..., None], *arguments: Any) -> Any:
        answers: list[Any] = []
        question(*arguments, answers.append)
        while not answers:
            self.store.collect()
        return answers[0]

    def find(self, *msg_ids: str) -> Found:
        found: Found = self.ask(self.store.find, [m.MsgId(msg_id) for msg_id in msg_ids])
        return found

    def get(self, msg_id: str) -> TaskRecord:
        record = self.find(msg_id)[m.MsgId(msg_id)]
        assert isinstance(record, TaskRecord), record
        return record

    def why_not(self, msg_id: str) -> Absent:
        absent = self.find(msg_id)[m.MsgId(msg_id)]
        assert isinstance(absent, Absent)
        return absent

    def remove(self, *msg_ids: str) -> None:
        self.store.remove([m.MsgId(msg_id) for msg_id in msg_ids])

    def search(self, **query: Any) -> list[str]:
        return [record.msg_id for record in self.ask(self.store.search, understand(query))]

    def names(self) -> list[str]:
        """Return all ids by every way to list them."""
        names: list[str] = self.ask(self.store.history)
        assert self.search() == names
        assert all(self.get(name).msg_id == name for name in names)
        return names

    @property
    def n_culled(self) -> int:
        return self.store.condition().n_culled


KINDS = ("memory", "sqlite", "sqlite with little memory", "sqlite that is read back")


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Bench]]:
    """Make stores of one kind, without limits."""
    benches: list[Bench] = []

    def made() -> Bench:
        path = tmp_path / f"{len(benches)}.db"
        kinds: dict[str, Callable[..., Store]] = {
            "memory": MemoryStore,
            "sqlite": lambda: SqliteStore(path),
            "sqlite with little memory": lambda: SqliteStore(path, record_limit=1),
            "sqlite that is read back": lambda: WrittenFirst(path, record_limit=0),
        }
        benches.append(Bench(kinds[request.param]))
        return benches[-1]

    yield made
    for bench in benches:
        bench.store.close()


@pytest.fixture
def make_bounded() -> Callable[..., Bench]:
    """Make stores that forget: their limits are arguments."""
    return lambda **limits: Bench(MemoryStore, **limits)


class WrittenFirst(SqliteStore):
    """Waits before each question, so that all is on disk and only what runs is in memory."""

    def find(self, *arguments: Any) -> None:
        self.wait()
        super().find(*arguments)

    def search(self, *arguments: Any) -> None:
        self.wait()
        super().search(*arguments)

    def history(self, *arguments: Any) -> None:
        self.wait()
        super().history(*arguments)

    def wait(self) -> None:
        assert self.writer.wait_written(10)
        self.put_ended(Ending(ME, 0.0, []))  # memory may forget what has been written
        self.collect()


def ids(numbers: Iterable[int], prefix: str = "me") -> list[str]:
    return [f"{prefix}_{n}" for n in numbers]


def test_a_new_store_is_empty(make: Callable[[], Bench]) -> None:
    bench = make()
    assert bench.names() == []
    assert bench.n_culled == 0
    assert bench.why_not("me_1") is Absent.UNKNOWN
    assert str(bench.store.condition()) == "ok"


def test_a_submission_begins_a_record_for_each_task(make: Callable[[], Bench]) -> None:
    bench = make()
    options = m.Options(retries=2, label="mine")
    msg_ids = [m.MsgId("me_7"), m.MsgId("me_8")]
    bench.submit_tasks(m.TaskBundle(msg_ids, F, [b"x", b"y"], options))
    before, record = bench.get("me_7"), bench.get("me_8")
    number = before.number + 1
    assert record == TaskRecord(m.MsgId("me_8"), ME, "task", 101.0, number, F, options, b"y")
    assert bench.get("me_8").label == "mine"
    assert not bench.get("me_7").is_finished


def test_single_tasks_and_bundles_may_come_together(make: Callable[[], Bench]) -> None:
    bench = make()
    bundle = m.TaskBundle([m.MsgId("me_2"), m.MsgId("me_3")], F, [b"b", b"c"])
    options = m.Options(label="z")
    bench.submit_tasks(
        m.Task(m.MsgId("me_1"), F, b"a"), bundle, m.Task(m.MsgId("me_4"), G, b"d", 0, options)
    )
    assert bench.names() == ids([1, 2, 3, 4])
    records = [bench.get(name) for name in bench.names()]
    assert [record.payload for record in records] == [b"a", b"b", b"c", b"d"]
    assert [record.function for record in records] == [F, F, F, G]
    assert [record.label for record in records] == ["", "", "", "z"]


def test_a_direct_call_begins_a_record_for_each_engine(make: Callable[[], Bench]) -> None:
    bench = make()
    msg_ids, targets = [m.MsgId("me_1"), m.MsgId("me_2")], [m.EngineId(4), m.EngineId(6)]
    direct = m.SubmitDirect(msg_ids, targets, F, b"args", 0, "mine")
    bench.store.put_submitted(Submission(ME, 1.0, direct))
    record = bench.get("me_2")
    assert (record.queue, record.label, record.payload) == ("mux", "mine", b"args")
    assert record.options is not None
    assert record.options.targets == [6]


def test_a_bundle_of_results_finishes_its_records(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.submit(*ids(range(6)))
    bench.end(*ids([2, 3]), engine=1)
    record = bench.get("me_3")
    assert record.is_finished
    assert (record.status, record.engine, record.engine_uuid, record.attempt) == ("ok", 1, "e1", 1)
    assert (record.submitted, record.started, record.completed) == (101.0, 2.0, 2.5)
    assert (record.received, record.result, record.failure) == (102.0, b"value", None)
    assert not bench.get("me_1").is_finished
    assert not bench.get("me_4").is_finished


def test_a_single_result_finishes_its_record(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.submit("me_1")
    result = m.Result(
        m.MsgId("me_1"), "error", m.EngineId(2), 3, 11.0, 12.0, b"", 0, FAILURE, "out", "err"
    )
    bench.end_as(result)
    record = bench.get("me_1")
    assert (record.status, record.engine, record.engine_uuid) == ("error", 2, "e2")
    assert record.attempt == 3
    assert (record.started, record.completed, record.failure) == (11.0, 12.0, FAILURE)
    assert (record.stdout, record.stderr) == ("out", "err")


def test_what_a_task_has_shown_is_kept(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.submit(*ids([1, 2, 3]))
    displays = [m.Display("display_data", b'{"data": {}}', 0, 2), m.Display("clear_output", b"{}")]
    shown = m.Shown(displays, m.Cut(1, 2, 3))
    names = [m.MsgId(name) for name in ids([1, 2, 3])]
    first, second, third = (m.Result(name, "ok", m.EngineId(0)) for name in names)
    bench.end_as(first, replace(second, shown=shown), third)
    assert [bench.get(name).shown for name in names] == [None, shown, None]


def test_a_task_that_never_ran_has_no_times_and_no_engine(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.submit("me_1")
    bench.end_as(m.Result(m.MsgId("me_1"), "aborted", None, failure=FAILURE))
    record = bench.get("me_1")
    assert record.is_finished
    assert (record.started, record.completed, record.engine) == (None, None, None)
    assert record.engine_uuid == ""


def test_what_ended_without_having_been_accepted_is_recorded(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.end(*ids([1, 2]))
    bench.submit(*ids([1, 2, 3]))
    assert bench.names() == ids([1, 2, 3])
    assert bench.get("me_2").is_finished
    assert bench.get("me_2").client == ME
    assert not bench.get("me_3").is_finished


def test_an_id_names_the_first_task_that_had_it(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.submit(*ids([2, 3]), payload=b"first")
    bench.end("me_2", payload=b"1")
    bench.submit(*ids([1, 2, 3, 4]), payload=b"second", client=OTHER)
    bench.end(*ids([1, 2, 3]), payload=b"2")
    assert bench.names() == ids([2, 3, 1, 4])
    payloads = [bench.get(name).payload for name in ids([1, 2, 3, 4])]
    assert payloads == [b"second", b"first", b"first", b"second"]
    assert [bench.get(name).result for name in ids([1, 2, 3, 4])] == [b"2", b"1", b"2", b""]


ODD = ["", "_", "a", "me_", "me_01", "me_-1", "me_1_", "me_1x", "me_+1", "me_\u0661", "_1",
       "me_" + "9" * 40, "me 1", "\n_1", "me_1\n"]  # fmt: skip


def test_ids_may_be_of_any_kind(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.submit(*ODD)
    bench.submit("me_1")
    assert bench.names() == [*ODD, "me_1"]
    bench.end(*reversed(ODD))
    assert all(bench.get(name).is_finished for name in ODD)
    assert not bench.get("me_1").is_finished
    bench.remove(*ODD)
    assert bench.names() == ["me_1"]
    assert bench.why_not(ODD[0]) is Absent.UNKNOWN


def test_ids_of_any_kind_can_be_forgotten(make_bounded: Callable[..., Bench]) -> None:
    bench = make_bounded(record_limit=1)
    bench.run(*ODD)
    assert bench.names() == [ODD[-1]]
    assert [bench.why_not(name) for name in ODD[:-1]] == [Absent.EXPIRED] * (len(ODD) - 1)


@pytest.mark.parametrize("first", [0, 7, 95, 990, 999, 1000, 1999, 123_456_700])
def test_long_runs_of_ids_are_kept_apart(make: Callable[[], Bench], first: int) -> None:
    bench = make()
    names = ids(range(first, first + 300))
    for start in range(0, 300, 100):
        bench.submit(*names[start : start + 100], payload=b"%d" % start)
    assert bench.names() == names
    bench.end(*names[50:250:2], payload=b"even")
    bench.end(*names[51:250:2], payload=b"odd")
    assert bench.get(names[101]).result == b"odd"
    assert bench.get(names[200]).result == b"even"
    assert bench.get(names[200]).payload == b"200"
    assert bench.search(received=None) == [*names[:50], *names[250:]]


def test_what_looks_like_a_run_and_is_none_is_kept_apart(make: Callable[[], Bench]) -> None:
    bench = make()
    # joined, these are as me_11, me_12, me_13
    names = ["me_11", "me_12me_13", ""]
    bench.submit(*names)
    assert bench.names() == names
    assert bench.why_not("me_12") is Absent.UNKNOWN


def test_clients_may_take_turns(make: Callable[[], Bench]) -> None:
    bench = make()
    for n in range(5):
        bench.submit(f"me_{n}")
        bench.submit(f"you_{n}", client=OTHER)
    assert bench.names() == [f"{who}_{n}" for n in range(5) for who in ("me", "you")]
    assert bench.search(client_uuid=OTHER) == ids(range(5), "you")


def test_a_removed_record_is_gone_and_unknown(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.run(*ids([1, 2, 3]))
    bench.remove("me_2", "me_2", "me_9")
    assert bench.names() == ids([1, 3])
    assert bench.why_not("me_2") is Absent.UNKNOWN
    assert bench.n_culled == 0


def test_what_has_not_ended_is_not_removed(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.submit(*ids([1, 2]))
    bench.run(*ids([3, 4]))
    bench.remove("me_1")
    assert bench.names() == ids([1, 2, 3, 4])
    bench.store.remove_finished()
    assert bench.names() == ids([1, 2])
    bench.end(*ids([1, 2]))
    assert bench.get("me_2").is_finished


def test_no_more_records_are_kept_than_the_limit_says(make_bounded: Callable[..., Bench]) -> None:
    bench = make_bounded(record_limit=2)
    bench.run(*ids([1, 2, 3]))
    bench.run(*ids([4]))
    assert bench.names() == ids([3, 4])
    assert bench.n_culled == 2
    assert bench.why_not("me_1") is Absent.EXPIRED
    assert bench.why_not("me_5") is Absent.UNKNOWN


def test_what_ended_first_is_forgotten_first(make_bounded: Callable[..., Bench]) -> None:
    bench = make_bounded(record_limit=2)
    bench.submit(*ids([1, 2, 3, 4]))
    for n in (3, 1, 4):
        bench.end(f"me_{n}")
    assert bench.names() == ids([1, 2, 4])
    bench.end("me_2")
    assert bench.names() == ids([2, 4])
    assert [bench.why_not(name) for name in ids([1, 3])] == [Absent.EXPIRED] * 2


def test_no_more_bytes_are_kept_than_the_limit_says(make_bounded: Callable[..., Bench]) -> None:
    bench = make_bounded(size_limit=10)
    bench.run("me_1", payload=bytes(2), value=bytes(2))
    bench.run("me_2", payload=bytes(4))
    bench.run("me_3", payload=bytes(6))
    assert bench.names() == ids([2, 3])
    bench.run("me_4", value=bytes(7))
    assert bench.names() == ["me_4"]
    assert bench.n_culled == 3


def test_output_failures_and_buffers_count_as_bytes(make_bounded: Callable[..., Bench]) -> None:
    fat = [
        {"stdout": "x" * 9}, {"stderr": "x" * 9},
        {"shown": m.Shown([m.Display("display_data", b"x" * 9)])},
        {"failure": m.Failure("E", "", exception=bytes(9))},
        {"failure": m.Failure("E", "", traceback="x" * 9)},
    ]  # fmt: skip
    bench = make_bounded(size_limit=10)
    bench.run("me_0", payload=bytes(2))
    for n, more in enumerate(fat, 1):
        bench.submit(f"me_{n}", payload=b"")
        bench.end_as(m.Result(m.MsgId(f"me_{n}"), "error", None, **more))  # type: ignore[arg-type]
        assert bench.names() == [f"me_{n}"]
    bench.submit("me_8", payload=b"")
    result = m.Result(m.MsgId("me_8"), "ok", m.EngineId(0), n_buffers=2)
    bench.end_as(result, buffers={0: (bytes(4), bytes(5))})
    assert bench.names() == ["me_8"]


def test_a_record_larger_than_the_limit_is_not_kept(make_bounded: Callable[..., Bench]) -> None:
    bench = make_bounded(size_limit=10)
    bench.run("me_1", payload=bytes(11))
    assert bench.names() == []
    assert bench.why_not("me_1") is Absent.EXPIRED


def test_unfinished_records_are_always_kept(make_bounded: Callable[..., Bench]) -> None:
    bench = make_bounded(record_limit=1, size_limit=10)
    bench.submit(*ids([1, 2, 3]), payload=bytes(100))
    for n in (4, 5):
        bench.run(f"me_{n}")
    assert bench.names() == ids([1, 2, 3, 5])
    assert bench.n_culled == 1


def test_a_record_that_is_removed_frees_its_bytes(make_bounded: Callable[..., Bench]) -> None:
    bench = make_bounded(size_limit=10, record_limit=3)
    bench.run(*ids([1, 2]), payload=bytes(5))
    bench.remove("me_1")
    bench.run("me_3", payload=bytes(5))
    assert bench.names() == ids([2, 3])
    bench.store.remove_finished()
    bench.run(*ids([4, 5, 6]), payload=bytes(3))
    assert bench.names() == ids([4, 5, 6])
    assert bench.n_culled == 0
    bench.run("me_7")
    assert bench.n_culled == 1


def test_what_was_removed_does_not_count_when_its_neighbors_are_forgotten(
    make_bounded: Callable[..., Bench],
) -> None:
    bench = make_bounded(size_limit=10)
    bench.run(*ids([1, 2]), payload=bytes(5))
    bench.remove("me_1")
    bench.run("you_1", payload=bytes(6))
    assert bench.names() == ["you_1"]
    bench.run("she_1", payload=bytes(5))
    assert bench.names() == ["she_1"]


def test_a_store_that_was_used_for_long_forgets_evenly(make_bounded: Callable[..., Bench]) -> None:
    bench = make_bounded(record_limit=50)
    for start in range(0, 600, 20):
        names = ids(range(start, start + 20))
        bench.submit(*names)
        bench.end(*names[:5])
        bench.end(*names[:4:-1])
        bench.remove(names[7], names[12])
    assert len(bench.names()) == 50 - 2  # the removed ones of the last bundle
    states = [bench.find(name)[m.MsgId(name)] for name in ids(range(600))]
    assert states.count(Absent.UNKNOWN) == 2 * 30
    assert bench.n_culled == states.count(Absent.EXPIRED) == 600 - 48 - 60


def test_buffers_are_kept_with_their_task(make: Callable[[], Bench]) -> None:
    bench = make()
    tasks = [m.Task(m.MsgId(f"me_{n}"), F, b"", n) for n in range(3)]
    bench.submit_tasks(*tasks, buffers={1: (b"x",), 2: None})
    results = [m.Result(m.MsgId(f"me_{n}"), "ok", m.EngineId(0), n_buffers=2 - n) for n in range(3)]
    bench.end_as(*results, buffers={0: None, 1: (b"r",)})
    records = [bench.get(name) for name in ids(range(3))]
    assert [record.buffers for record in records] == [(), (b"x",), ()]
    assert [record.is_call_kept for record in records] == [True, True, False]
    assert [record.result_buffers for record in records] == [(), (b"r",), ()]
    assert [record.is_result_kept for record in records] == [False, True, True]


def test_the_buffers_of_a_direct_call_belong_to_each_engine(make: Callable[[], Bench]) -> None:
    bench = make()
    msg_ids, targets = [m.MsgId("me_1"), m.MsgId("me_2")], [m.EngineId(4), m.EngineId(6)]
    direct = m.SubmitDirect(msg_ids, targets, F, b"", 1)
    bench.store.put_submitted(Submission(ME, 1.0, direct, {0: (b"pickle",)}))
    assert [bench.get(name).buffers for name in msg_ids] == [(b"pickle",)] * 2


def test_functions_are_kept_by_their_digest(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.store.put_functions({F: b"function"})
    assert bench.ask(bench.store.find_functions, [F, G]) == {F: b"function"}


def test_a_record_says_as_what_it_was_submitted_again(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.run(*ids([1, 2]))
    bench.store.resubmitted({m.MsgId("me_1"): m.MsgId("me_3"), m.MsgId("me_9"): m.MsgId("me_4")})
    assert bench.get("me_1").resubmitted == "me_3"
    assert bench.get("me_2").resubmitted is None
    assert bench.search(resubmitted="me_3") == ["me_1"]
    assert bench.why_not("me_9") is Absent.UNKNOWN


QUERIES: list[tuple[dict[str, Any], Collection[int]]] = [
    ({"msg_id": "me_2"}, [2]),
    ({"msg_id": {"$in": ids([1, 5, 9])}}, [1, 5]),
    ({"msg_id": {"$in": "me_1"}}, [1]),
    ({"msg_id": {"$nin": "me_1"}}, [2, 3, 4, 5]),
    ({"label": {"$in": "label"}}, [4]),
    ({"label": {"$in": "labels"}}, []),
    ({"status": {"$nin": "ok"}}, [2, 4, 5]),
    ({"status": {"$all": "ok"}}, [1, 3]),
    ({"queue": "task", "engine_uuid": "e1"}, [3]),
    ({"submitted": {"$gt": 101.0}}, [4, 5]),
    ({"submitted": {"$gte": 101.0, "$lt": 104.0}}, [1, 2, 3]),
    ({"started": {"$exists": True}}, [1, 2, 3]),
    ({"started": {"$ne": None}, "status": {"$ne": "error"}}, [1, 3]),
    ({"status": None}, [4, 5]),
    ({"engine_id": {"$nin": [1, None]}}, [1, 2]),
    ({"label": {"$glob": "la*"}}, [4]),
    ({"$or": [{"msg_id": "me_1"}, {"status": "error"}]}, [1, 2]),
]


@pytest.mark.parametrize(("query", "numbers"), QUERIES)
def test_records_can_be_searched(
    make: Callable[[], Bench], query: dict[str, Any], numbers: Collection[int]
) -> None:
    bench = make()
    bench.submit(*ids([1, 2, 3]))
    bench.end("me_1")
    failed = m.Result(m.MsgId("me_2"), "error", m.EngineId(0), 1, 11.0, 12.0, failure=FAILURE)
    bench.end_as(failed)
    options = m.Options(label="label")
    bench.submit_tasks(m.Task(m.MsgId("me_4"), F, b"", 0, options))
    bench.submit("me_5")
    bench.end("me_3", engine=1)
    assert bench.search(**query) == ids(numbers)
