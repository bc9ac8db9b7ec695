"""Whatever numbers clocks and engines tell, the hub goes on, and each question has one answer."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hippodrome.errors import ProtocolError
from hippodrome.hub.config import HubConfig
from hippodrome.hub.core import HubCore
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import encode
from hippodrome.store.base import Store
from hippodrome.store.memory import MemoryStore
from hippodrome.store.sqlite import SqliteStore

ME, F = m.PeerId("me"), m.Digest(b"f")
KEYS: Final = ("submitted", "started", "completed", "received", "header.date")
PATIENCE_S: Final = 20.0

usual = st.floats(1.7e9, 1.9e9)
edges = st.sampled_from([0.0, -0.0, -1.0, 1e20, 253402300799.9999999, -62135596801.0])
odd = st.one_of(usual, st.floats(), edges)
times = st.tuples(odd, odd, odd, odd, odd)
operands = st.one_of(odd, st.datetimes(timezones=st.just(UTC)), st.none())
queries = st.tuples(
    st.sampled_from(KEYS), st.sampled_from(["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"]), operands
)


@contextmanager
def store_of(kind: str) -> Iterator[Store]:
    if kind == "memory":
        yield MemoryStore()
        return
    with TemporaryDirectory() as home:
        store = SqliteStore(Path(home) / "tasks.db", record_limit=0)
        yield store
        store.close()


class Bench:
    """A hub with one engine."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.hub = HubCore(HubConfig(), store)
        self.hub.handle(m.EngineArrived(m.PeerId("e0"), {"node": "n"}), [])
        self.n = 0

    def run(self, submitted: float, ended: float, started: float, until: float, s: float) -> None:
        """Run three tasks: of a bundle, single, and one that failed."""
        names = [m.MsgId(f"t_{self.n + i}") for i in range(3)]
        self.n += 3
        self.hub.tick(1.0, submitted)
        tasks = m.TaskBundle(names, F, [b"args"] * 3)
        self.hub.handle(m.Submitted(ME), [encode(m.Submit([tasks]))])
        self.hub.tick(2.0, ended)
        results: list[m.Result | m.ResultBundle] = [
            m.ResultBundle(names[:1], m.EngineId(0), 1, [started], [s], [b""]),
            m.Result(names[1], "ok", m.EngineId(0), 1, started, until),
            m.Result(names[2], "error", m.EngineId(0), 1, until, started),
        ]
        for result in results:
            with suppress(ProtocolError):  # a number is not for messages, and nothing has changed
                self.hub.handle(m.Ended(ME), [encode(m.Results([result]))])

    def settle(self) -> None:
        if isinstance(self.store, SqliteStore):
            assert self.store.writer.wait_written(PATIENCE_S)
            self.hub.handle(m.Ended(ME), [encode(m.Results([]))])  # memory may forget now

    def ask(self, name: str, **arguments: Any) -> Any:
        query = m.Query(7, name, encode(arguments))
        answers = self.hub.handle(m.Asked(ME, query), [])
        while not answers:
            assert self.store.wake_fd is not None
            assert select.select([self.store.wake_fd], [], [], PATIENCE_S)[0]
            answers = self.hub.collect()
        (answered,) = answers
        assert isinstance(answered, m.Answered)
        assert answered.answer.error is None, answered.answer.error
        return msgspec.msgpack.decode(answered.answer.value)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@settings(max_examples=60, deadline=None)
@given(st.lists(times, min_size=1, max_size=4), st.lists(queries, max_size=4))
def test_each_question_has_its_answer(
    kind: str,
    ran: list[tuple[float, float, float, float, float]],
    asked: list[tuple[str, str, Any]],
) -> None:
    with store_of(kind) as store:
        bench = Bench(store)
        for one in ran:
            bench.run(*one)
        bench.settle()
        every = bench.ask("history")
        assert every == [f"t_{n}" for n in range(bench.n)]
        for key, operator, operand in asked:
            found = bench.ask("db_query", query={key: {operator: operand}})
            assert {record["msg_id"] for record in found} <= {*every}
        for record in bench.ask("db_query", query={}):
            for key in KEYS[:4]:
                time = record[key]
                assert time is None or isinstance(time, datetime)
                if time is not None:
                    same = bench.ask("db_query", query={key: time}, keys=[key])
                    assert record["msg_id"] in [each["msg_id"] for each in same]
        assert len(bench.ask("results", msg_ids=every)) == bench.n
        status = bench.ask("result_status", msg_ids=every)
        assert bench.ask("purge", msg_ids=status["completed"]) == len(status["completed"])
        assert bench.ask("history") == status["pending"]
