"""The store on disk: what outlives a controller, and what a disk can do to it."""

from __future__ import annotations

import json
import os
import queue
import select
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hippodrome.protocol import messages as m
from hippodrome.store import database, diskwriter, rows, sqlite
from hippodrome.store.base import Absent, Found, Unreadable
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.diskreader import DiskReader
from hippodrome.store.filters import understand
from hippodrome.store.record import TaskRecord
from hippodrome.store.sqlite import SqliteStore

ME = m.PeerId("c" * 32)
F = m.Digest(b"f")
PATIENCE_S = 20.0


class Bench:
    """A store in a file."""

    def __init__(self, path: Path, **limits: int) -> None:
        self.path = path
        self.store = SqliteStore(path, **limits)

    def submit(self, *numbers: int, payload: bytes = b"args") -> None:
        names = [m.MsgId(f"me_{n}") for n in numbers]
        options = m.Options(retries=1, label="mine", after=m.Dependencies([m.MsgId("me_0")]))
        tasks = m.TaskBundle(names, F, [payload] * len(names), options)
        batch = Submission(ME, 100.0, m.Submit([tasks]), size_bytes=len(payload) * len(names))
        self.store.put_submitted(batch)

    def end(self, *numbers: int) -> None:
        names, n = [m.MsgId(f"me_{n}") for n in numbers], len(numbers)
        result = m.ResultBundle(names, m.EngineId(0), 1, [1.0] * n, [0.5] * n, [b"value"] * n)
        self.store.put_ended(Ending(ME, 102.0, [result], {m.EngineId(0): m.PeerId("e0")}))

    def run(self, *numbers: int, payload: bytes = b"args") -> None:
        self.submit(*numbers, payload=payload)
        self.end(*numbers)

    def ask(self, question: Callable[..., None], *arguments: Any) -> Any:
        answers: list[Any] = []
        question(*arguments, answers.append)
        while not answers:
            assert select.select([self.store.wake_fd], [], [], PATIENCE_S)[0]
            self.store.collect()
        return answers[0]

    def names(self) -> list[int]:
        """Return the numbers of all records, in the order of their submission."""
        names: list[str] = self.ask(self.store.history)
        assert [r.msg_id for r in self.ask(self.store.search, understand({}))] == names
        return [int(name.partition("_")[2]) for name in names]

    def find(self, number: int) -> TaskRecord | Absent:
        name = m.MsgId(f"me_{number}")
        found: Found = self.ask(self.store.find, [name])
        return found[name]

    def get(self, number: int) -> TaskRecord:
        record = self.find(number)
        assert isinstance(record, TaskRecord)
        return record

    def wait_written(self) -> None:
        assert self.store.writer.wait_written(PATIENCE_S)

    def wait_troubled(self) -> str:
        assert self.store.writer.wait_troubled(PATIENCE_S)
        return str(self.store.condition())

    def on_disk(self) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.path) as connection:
            found = connection.execute(
                "SELECT msg_id, status FROM tasks ORDER BY number"
            ).fetchall()
        connection.close()
        return found


MakeBench = Callable[..., Bench]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBench]:
    """Make stores in the same file, one after the other; each closes the one before."""
    monkeypatch.setattr(diskwriter, "RETRY_S", 0.01)
    monkeypatch.setattr(database, "BUSY_S", 0.01)
    monkeypatch.setattr(sqlite, "CLOSE_S", 0.5)
    benches: list[Bench] = []

    def made(path: Path = tmp_path / "tasks.db", **limits: int) -> Bench:
        for bench in benches:
            bench.store.close()
        benches.append(Bench(path, **limits))
        return benches[-1]

    yield made
    for bench in benches:
        bench.store.close()


# ---------------------------------------------------------------- restart


OLD_COLUMNS = (
    "msg_id", "header", "metadata", "content", "buffers", "submitted", "client_uuid", "engine_uuid",
    "started", "completed", "resubmitted", "received", "result_header", "result_metadata",
    "result_content", "result_buffers", "queue", "execute_input", "execute_result", "error",
    "stdout", "stderr", "label",
)  # fmt: skip


def old_table(path: Path) -> dict[str, dict[str, Any]]:
    """Return the records as a program sees them that reads ipyparallel's table."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute('SELECT * FROM "ipython-tasks"')
        names = tuple(column[0] for column in found.description)
        assert names == OLD_COLUMNS
        return {row[0]: dict(zip(names, row, strict=True)) for row in found}


def test_tools_that_read_the_table_of_ipyparallel_find_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    bench = Bench(path)
    bench.run(1)
    bench.submit(2)
    bench.submit(3)
    failed = m.Result(m.MsgId("me_3"), "error", m.EngineId(0), 1, 1.9999996, 2.25)
    bench.store.put_ended(Ending(ME, 102.0, [failed], {m.EngineId(0): m.PeerId("e0")}))
    bench.store.close()
    found = old_table(path)
    done, waiting, failure = found["me_1"], found["me_2"], found["me_3"]
    assert done["submitted"] == "1970-01-01T00:01:40.000000+00:00"
    assert done["completed"] == "1970-01-01T00:00:01.500000+00:00"
    assert failure["started"] == "1970-01-01T00:00:02.000000+00:00"
    assert failure["completed"] == "1970-01-01T00:00:02.250000+00:00"
    for record in found.values():
        header, metadata = json.loads(record["header"]), json.loads(record["metadata"])
        assert (header["msg_id"], header["session"]) == (record["msg_id"], ME)
        assert metadata["label"] == record["label"] == "mine"
    assert (done["buffers"], done["result_buffers"]) == (b"args", b"value")
    assert (done["client_uuid"], done["engine_uuid"], done["queue"]) == (ME, "e0", "task")
    assert json.loads(done["result_content"]) == {"status": "ok"}
    assert json.loads(failure["result_header"])["engine"] == "e0"
    assert (done["error"], failure["error"]) == (None, "error")
    assert waiting["completed"] is waiting["result_header"] is waiting["result_content"] is None


def test_a_file_without_that_table_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    bench = Bench(path)
    bench.run(1)
    bench.store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('DROP VIEW "ipython-tasks"')
    Bench(path).store.close()
    assert [*old_table(path)] == ["me_1"]


def test_records_outlive_the_controller(make: MakeBench) -> None:
    bench = make()
    bench.run(1, 2)
    bench.store.put_functions({F: b"pickle"})
    before = bench.get(2)
    bench = make()
    assert bench.get(2) == before
    assert (before.result, before.engine_uuid, before.label) == (b"value", "e0", "mine")
    assert bench.ask(bench.store.find_functions, [F]) == {F: b"pickle"}
    bench.run(3)
    assert bench.names() == [1, 2, 3]


def make_older(path: Path) -> None:
    """Turn a file into one of version 1."""
    with sqlite3.connect(path) as connection:
        for column in ("call_sum", "end_sum", "again_sum"):
            connection.execute(f"ALTER TABLE tasks DROP COLUMN {column}")
        connection.execute("ALTER TABLE functions DROP COLUMN sum")
        connection.execute("ALTER TABLE tasks DROP COLUMN shown")
        connection.execute("PRAGMA user_version = 1")
    connection.close()


def test_a_file_of_an_older_version_is_brought_up_to_date(make: MakeBench) -> None:
    bench = make()
    bench.run(1)
    before = bench.get(1)
    bench.store.close()
    make_older(bench.path)
    bench = make()
    bench.submit(2)
    shown = m.Shown([m.Display("display_data", b"{}")])
    result = m.Result(m.MsgId("me_2"), "ok", m.EngineId(0), shown=shown)
    bench.store.put_ended(Ending(ME, 1.0, [result]))
    bench = make()
    bench.wait_written()
    assert bench.get(1) == before
    assert bench.get(2).shown == shown
    assert bench.store.condition().note == ""


def test_what_is_not_up_to_date_yet_is_not_read(make: MakeBench) -> None:
    bench = make()
    bench.run(1)
    bench.store.close()
    make_older(bench.path)
    reader = DiskReader(bench.path)
    answers: queue.SimpleQueue[list[TaskRecord]] = queue.SimpleQueue()
    nothing: list[TaskRecord] = []
    reader.ask(partial(rows.read, msg_ids=[m.MsgId("me_1")]), nothing, answers.put)
    assert answers.get(timeout=PATIENCE_S) == []
    assert reader.trouble == ""
    assert reader.close(PATIENCE_S)


def test_tasks_that_a_controller_left_behind_are_lost(make: MakeBench) -> None:
    make().submit(1, 2)
    bench = make()
    bench.submit(3)
    bench.wait_written()
    record = bench.get(1)
    assert (record.status, record.payload) == ("lost", b"args")
    assert record.failure is not None
    assert record.failure.ename == "ControllerLost"
    assert not bench.get(3).is_finished


def test_memory_holds_a_few_and_the_disk_all(make: MakeBench) -> None:
    bench = make(record_limit=10)
    for first in range(0, 2000, 100):
        bench.run(*range(first, first + 100))
        bench.wait_written()
    bench.run(2000)
    assert bench.store.condition().n_records <= 10 + 1
    assert bench.names() == list(range(2001))
    assert bench.get(5).result == b"value"
    assert bench.find(3000) is Absent.UNKNOWN


def test_the_file_is_for_its_owner_alone(make: MakeBench, tmp_path: Path) -> None:
    (tmp_path / "tasks.db").touch(0o666)
    (tmp_path / "tasks.db").chmod(0o666)
    bench = make()
    bench.run(1)
    bench.wait_written()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["tasks.db", "tasks.db-wal", "tasks.db-shm"], 0o600)


def test_what_is_removed_is_gone_at_once_and_for_good(make: MakeBench) -> None:
    bench = make(record_limit=1)
    bench.run(*range(10))
    bench.wait_written()
    bench.run(10)  # memory forgets
    bench.store.remove([m.MsgId("me_3"), m.MsgId("me_10")])
    assert bench.find(3) is Absent.UNKNOWN
    assert bench.names() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    bench.wait_written()
    bench.store.collect()
    assert bench.names() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    bench.submit(11)
    bench.store.remove_finished()
    assert bench.names() == [11]
    assert make().names() == [11]


def test_a_label_is_found_by_its_index(make: MakeBench) -> None:
    bench = make(record_limit=0)
    bench.run(1, 2)
    result = m.Result(m.MsgId("me_3"), "ok", m.EngineId(0))
    bench.store.put_ended(Ending(ME, 1.0, [result]))
    bench.wait_written()
    for label, n in (("mine", 2), ("", 1), ("x", 0)):
        assert len(bench.ask(bench.store.search, understand({"label": label}))) == n
    with sqlite3.connect(bench.path) as connection:
        clauses, operands = rows._clauses(understand({"label": "mine"}))
        plan = f"EXPLAIN QUERY PLAN SELECT * FROM tasks WHERE {' AND '.join(clauses)}"
        assert "tasks_by_label" in str(connection.execute(plan, operands).fetchall())
    connection.close()


def test_a_file_without_tables_yet_has_no_records(tmp_path: Path) -> None:
    (tmp_path / "tasks.db").touch()
    reader = DiskReader(tmp_path / "tasks.db")
    answers: queue.SimpleQueue[list[tuple[int, m.MsgId]]] = queue.SimpleQueue()
    nothing: list[tuple[int, m.MsgId]] = []
    reader.ask(rows.history, nothing, answers.put)
    assert answers.get(timeout=PATIENCE_S) == []
    assert reader.trouble == ""
    assert reader.close(PATIENCE_S)


# ---------------------------------------------------------------- trouble


@pytest.fixture
def locked(make: MakeBench) -> Iterator[tuple[Bench, sqlite3.Connection]]:
    """A store with task 1, and somebody who holds a lock on its file."""
    bench = make()
    bench.run(1)
    bench.wait_written()
    other = sqlite3.connect(bench.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield bench, other
    other.close()


def test_a_lock_holds_up_nobody_and_loses_nothing(
    locked: tuple[Bench, sqlite3.Connection],
) -> None:
    bench, other = locked
    bench.run(2)
    condition = bench.wait_troubled()
    assert condition.startswith("degraded (locked ")
    assert condition.endswith(" s)")
    for n in range(3, 1000):
        bench.run(n)
    assert bench.names() == list(range(1, 1000))
    assert bench.get(2).is_finished
    other.execute("ROLLBACK")
    bench.wait_written()
    assert str(bench.store.condition()) == "ok"
    assert bench.on_disk() == [(f"me_{n}", "ok") for n in range(1, 1000)]
    assert bench.store.condition().n_lost == 0


def test_a_lock_at_the_start_is_waited_for(make: MakeBench, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
    other.execute("CREATE TABLE other (x)")
    other.execute("BEGIN EXCLUSIVE")
    bench = make()
    bench.run(1)
    assert "locked" in bench.wait_troubled()
    assert bench.get(1).is_finished
    other.execute("ROLLBACK")
    other.close()
    bench.wait_written()
    assert bench.on_disk() == [("me_1", "ok")]


def test_a_queue_that_is_full_loses_changes_and_counts_them(
    locked: tuple[Bench, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, other = locked
    monkeypatch.setattr(diskwriter, "QUEUE_JOBS", 10)
    bench.wait_written()
    for n in range(2, 12):
        bench.run(n)
    assert bench.store.condition().n_lost == 10
    assert bench.names() == list(range(1, 12))  # memory has them
    other.execute("ROLLBACK")
    bench.wait_written()
    assert bench.on_disk() == [(f"me_{n}", "ok") for n in range(1, 7)]
    bench.run(12)
    bench.wait_written()
    assert bench.store.condition().n_lost == 10


def test_a_queue_may_hold_so_many_bytes(
    locked: tuple[Bench, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, _ = locked
    monkeypatch.setattr(diskwriter, "QUEUE_BYTES", 1000)
    bench.submit(2, payload=bytes(900))
    bench.submit(3, payload=bytes(900))
    assert bench.store.condition().n_lost == 1


def test_a_store_that_is_closed_while_locked_does_not_wait_for_long(
    locked: tuple[Bench, sqlite3.Connection], caplog: pytest.LogCaptureFixture
) -> None:
    bench, _ = locked
    bench.run(2)
    bench.store.close()
    assert "changes were not written" in caplog.text


def test_a_full_disk_holds_up_nobody(make: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = database.SETTINGS
    limited = [*settings, "PRAGMA max_page_count = 40"]
    monkeypatch.setattr(database, "SETTINGS", limited)
    bench = make()
    bench.run(1)
    bench.wait_written()
    for n in range(2, 60):
        bench.run(n, payload=os.urandom(8000))
    assert bench.wait_troubled().startswith("degraded (the disk is full ")
    assert bench.names() == list(range(1, 60))
    assert bench.get(59).is_finished
    monkeypatch.setattr(database, "SETTINGS", settings)
    bench.wait_written()
    assert len(bench.on_disk()) == 59
    assert str(bench.store.condition()) == "ok"


def test_a_file_that_cannot_be_written_holds_up_nobody(
    make: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = database.SETTINGS
    bench = make()
    bench.run(1)
    bench.wait_written()
    monkeypatch.setattr(database, "SETTINGS", [*settings, "PRAGMA query_only = ON"])
    bench = make()
    bench.run(2)
    assert bench.wait_troubled().startswith("degraded (read-only ")
    assert bench.names() == [1, 2]
    monkeypatch.setattr(database, "SETTINGS", settings)
    bench.wait_written()
    assert bench.on_disk() == [("me_1", "ok"), ("me_2", "ok")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_holds_up_nobody(
    make: MakeBench, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir(0o500)
    bench = make(home / "tasks.db")
    bench.run(1)
    assert bench.wait_troubled().startswith("degraded (Permission denied ")
    assert bench.names() == [1]
    home.chmod(0o700)
    bench.wait_written()
    assert bench.on_disk() == [("me_1", "ok")]


def test_a_directory_that_is_missing_holds_up_nobody(make: MakeBench, tmp_path: Path) -> None:
    bench = make(tmp_path / "home" / "tasks.db")
    bench.run(1)
    assert bench.wait_troubled().startswith("degraded (No such file or directory ")
    assert bench.names() == [1]
    (tmp_path / "home").mkdir()
    bench.wait_written()
    assert bench.on_disk() == [("me_1", "ok")]


def spoil_header(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


def spoil_middle(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def spoil_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize("spoil", [spoil_header, spoil_middle, spoil_version])
def test_a_bad_file_is_moved_aside(
    make: MakeBench,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path], None],
) -> None:
    bench = make()
    bench.run(*range(50))
    bench.store.close()
    spoil(bench.path)
    bad = bench.path.read_bytes()
    bench = make()
    bench.run(1)
    bench.wait_written()
    assert bench.on_disk() == [("me_1", "ok")]
    (aside,) = tmp_path.glob("tasks.db.bad-*[0-9]")
    assert aside.read_bytes() == bad
    assert "moved to" in caplog.text
    assert aside.name in bench.store.condition().note
    assert str(bench.store.condition()) == "ok"


def test_a_change_that_makes_no_sense_does_not_hold_up_the_others(make: MakeBench) -> None:
    bench = make()
    result = m.Result(m.MsgId("me_1"), "ok", m.EngineId(1 << 63))  # more than a row can hold
    bench.store.put_ended(Ending(ME, 1.0, [result]))
    bench.run(2)
    bench.wait_written()
    assert bench.on_disk() == [("me_2", "ok")]
    assert bench.store.condition().n_lost == 1


def test_a_row_that_makes_no_sense_is_said_aloud(make: MakeBench) -> None:
    bench = make(record_limit=0)
    bench.run(1)
    bench.wait_written()
    with sqlite3.connect(bench.path) as connection:
        connection.execute("UPDATE tasks SET options = x'c1', call_sum = NULL")
    connection.close()
    bench.run(2)
    assert bench.get(1).damage == "how it came"
    assert bench.get(1).result == b"value"
    assert not bench.get(1).is_call_kept
    assert bench.names() == [1, 2]
    assert str(bench.store.condition()) == "degraded (damaged records: 1)"
    bench.store.remove([m.MsgId("me_1")])
    assert str(bench.store.condition()) == "ok"


def break_reading(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise error

    for name in ("read", "search", "history", "read_functions"):
        monkeypatch.setattr(rows, name, broken)


@pytest.mark.parametrize("error", [OverflowError(), RuntimeError("x"), MemoryError()])
def test_each_question_ends_whatever_happens_to_the_reader(
    make: MakeBench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bench = make(record_limit=0)
    bench.run(1)
    bench.wait_written()
    bench.run(2)
    store = bench.store
    with monkeypatch.context() as broken:
        break_reading(broken, error)
        assert isinstance(bench.ask(store.find, [m.MsgId("me_1")]), Unreadable)
        assert isinstance(bench.ask(store.search, understand({})), Unreadable)
        assert isinstance(bench.ask(store.history), Unreadable)
        assert isinstance(bench.ask(store.find_functions, [F]), Unreadable)
    assert bench.names() == [1, 2]


def test_a_question_that_cannot_take_its_answer_does_not_end_the_others(
    make: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make(record_limit=0)
    bench.run(1)

    def fail(_: object) -> None:
        raise RuntimeError("no")

    bench.store.history(fail)
    assert bench.names() == [1]
    assert "was not answered" in caplog.text


def test_what_is_being_purged_is_not_found_any_more(
    make: MakeBench,
) -> None:
    bench = make(record_limit=0)
    bench.run(1, 2, 3)
    bench.wait_written()
    bench.end()  # memory may forget what has been written
    assert bench.store.condition().n_records == 0
    other = sqlite3.connect(bench.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # reading goes on, and the writer waits
    bench.store.remove([m.MsgId("me_2")])
    assert "locked" in bench.wait_troubled()
    assert bench.names() == [1, 3]
    assert bench.find(2) is Absent.UNKNOWN
    bench.store.remove_finished()
    assert bench.names() == []
    assert bench.find(1) is Absent.UNKNOWN
    assert [name for name, _ in bench.on_disk()] == ["me_1", "me_2", "me_3"]
    other.execute("ROLLBACK")
    other.close()
    bench.wait_written()
    assert bench.names() == []
    assert bench.on_disk() == []


def test_between_attempts_to_write_there_is_a_pause(
    make: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: queue.SimpleQueue[float] = queue.SimpleQueue()

    def refuse(path: Path) -> sqlite3.Connection:
        attempts.put(time.monotonic())
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(database, "open_for_writing", refuse)
    monkeypatch.setattr(diskwriter, "RETRY_S", 0.05)
    bench = make()
    first = attempts.get(timeout=PATIENCE_S)
    for n in range(1, 6):
        bench.run(n)  # what comes meanwhile makes it no faster
        assert attempts.get(timeout=PATIENCE_S) - first >= n * 0.05
