"""Times of records, in every store: what one shows finds it, and no clock can spoil the others."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from typing import Any, Final

import pytest

from hippodrome.protocol import messages as m
from hippodrome.store.base import Store
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.fields import show
from hippodrome.store.filters import understand
from hippodrome.store.memory import MemoryStore
from hippodrome.store.record import TaskRecord
from hippodrome.store.sqlite import SqliteStore

ME, F = m.PeerId("me"), m.Digest(b"f")
KEYS: Final = ("submitted", "started", "completed", "received")
COMPARED: Final = {"$eq": eq, "$ne": ne, "$lt": lt, "$lte": le, "$gt": gt, "$gte": ge}
ODD: Final = (
    math.nan, math.inf, -math.inf, 1e300, -1e300, 1e20, -1e20, 253402300799.9999999, 253402300800.0,
    -62135596800.1, 2.0**63, -(2.0**63),
)  # fmt: skip
RARE: Final = (-1.0, -1e9, -62135596800.0, 1e-7, -0.0, 253402300799.0, 9e9 + 0.123456789)


class Bench:
    """A store, and what runs in it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.n = 0

    def run(self, submitted: float, started: float, run_s: float, received: float) -> None:
        """Run one task whose result comes as a bundle, and one whose result does not."""
        names = [m.MsgId(f"me_{self.n + i}") for i in range(2)]
        self.n += 2
        tasks = m.TaskBundle(names, F, [b"args"] * 2)
        self.store.put_submitted(Submission(ME, submitted, m.Submit([tasks])))
        results = [
            m.ResultBundle(names[:1], m.EngineId(0), 1, [started], [run_s], [b""]),
            m.Result(names[1], "ok", m.EngineId(0), 1, started, started + run_s),
        ]
        self.store.put_ended(Ending(ME, received, results))

    def search(self, **query: Any) -> list[TaskRecord]:
        answers: list[list[TaskRecord]] = []
        self.store.search(understand(query), answers.append)  # type: ignore[arg-type]
        while not answers:
            self.store.collect()
        return answers[0]

    def shown(self) -> list[dict[str, Any]]:
        return [show(record) for record in self.search()]

    def ids(self, key: str, operator: str, operand: Any) -> set[str]:
        return {record.msg_id for record in self.search(**{key: {operator: operand}})}


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Bench]]:
    """Make a store; one on disk has next to nothing in memory once it has been filled."""
    stores: list[Store] = []

    def made() -> Bench:
        is_memory = request.param == "memory"
        path = tmp_path / f"{len(stores)}.db"
        stores.append(MemoryStore() if is_memory else SqliteStore(path, record_limit=0))
        return Bench(stores[-1])

    yield made
    for store in stores:
        store.close()


def wait_written(bench: Bench) -> None:
    if isinstance(bench.store, SqliteStore):
        assert bench.store.writer.wait_written(10)
        bench.store.put_ended(Ending(ME, 0.0, []))  # memory may forget what has been written
        assert bench.store.condition().n_records == 0


def times_of_today() -> list[tuple[float, float, float, float]]:
    """Return such times as clocks give, between two microseconds."""
    rng = random.Random(7)
    times = []
    for _ in range(40):
        submitted = 1.79e9 + rng.random() * 3
        started = submitted + rng.random() * 1e-5
        times.append((submitted, started, rng.random() * 1e-4, started + rng.random() * 1e-4))
    return times


@pytest.mark.parametrize("key", KEYS)
def test_a_record_is_found_by_the_times_that_it_shows(make: Callable[[], Bench], key: str) -> None:
    bench = make()
    for times in times_of_today():
        bench.run(*times)
    wait_written(bench)
    shown = {record["msg_id"]: record[key] for record in bench.shown()}
    assert len(shown) == 80
    for time in [*shown.values()][::20]:
        for operator, compare in COMPARED.items():
            expected = {name for name, other in shown.items() if compare(other, time)}
            elsewhere = time.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
            for operand in (time, elsewhere, elsewhere.isoformat(), time.timestamp()):
                assert bench.ids(key, operator, operand) == expected, (operator, operand)
        same = {name for name, other in shown.items() if other == time}
        assert bench.ids(key, "$in", [time, None]) == same
        assert bench.ids(key, "$nin", [time]) == shown.keys() - same
        just = timedelta(microseconds=1)
        expected = {name for name, other in shown.items() if time <= other < time + just}
        found = bench.search(**{key: {"$gte": time, "$lt": time + just}})
        assert {record.msg_id for record in found} == expected == same


def test_parts_of_records_are_found_by_their_times(make: Callable[[], Bench]) -> None:
    bench = make()
    for times in times_of_today()[:10]:
        bench.run(*times)
    wait_written(bench)
    for record in bench.shown():
        for name, key in (
            ("header", "date"), ("result_header", "date"),
            ("result_metadata", "started"), ("result_metadata", "completed"),
        ):  # fmt: skip
            for operator in ("$eq", "$gte", "$lte"):
                assert record["msg_id"] in bench.ids(f"{name}.{key}", operator, record[name][key])


@pytest.mark.parametrize("odd", [*ODD, *RARE])
def test_a_clock_may_say_anything(make: Callable[[], Bench], odd: float) -> None:
    bench = make()
    bench.run(100.0, 101.0, 1.0, 103.0)
    bench.run(odd, odd, 1.0, odd)
    bench.run(100.0, 101.0, odd, 103.0)
    wait_written(bench)
    shown = bench.shown()
    assert [record["msg_id"] for record in shown] == [f"me_{n}" for n in range(6)]
    for record in shown:
        for key in KEYS:
            time = record[key]
            assert time is None or record["msg_id"] in bench.ids(key, "$eq", time)
            assert time is None or record["msg_id"] in bench.ids(key, "$gte", time)
            assert record["msg_id"] in bench.ids(key, "$exists", time is not None)
    for record in shown[2:4]:
        assert record["submitted"] is not None
        assert record["received"] is not None
        if odd in RARE and odd not in (-0.0, 1e-7):
            assert record["submitted"] == record["started"]
            assert abs(record["started"].timestamp() - odd) < 1e-6
        elif odd in ODD:
            assert record["started"] is None
    assert [record.is_finished for record in bench.search()] == [True] * 6


@pytest.mark.parametrize("odd", [*ODD, *RARE, 2**63, True, "0001-01-01", "9999-12-31T23:59:59"])
def test_a_query_may_ask_for_any_time(make: Callable[[], Bench], odd: Any) -> None:
    bench = make()
    bench.run(100.0, 101.0, 1.0, 103.0)
    wait_written(bench)
    ends = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    for operand in (odd, *ends):
        for key in KEYS:
            above, below = bench.ids(key, "$gt", operand), bench.ids(key, "$lt", operand)
            assert len(above) + len(below) in (0, 2)
            assert not bench.ids(key, "$eq", operand)


def test_a_time_that_was_never_is_none(make: Callable[[], Bench]) -> None:
    bench = make()
    bench.run(100.0, 0.0, 0.0, 103.0)
    wait_written(bench)
    assert [(r.started, r.completed) for r in bench.search()] == [(None, None)] * 2
