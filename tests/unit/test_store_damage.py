"""Files of records that a disk has damaged: nothing wrong is told, and what is whole is kept."""

from __future__ import annotations

import random
import select
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hippodrome.protocol import messages as m
from hippodrome.store import database, diskwriter
from hippodrome.store.base import Unreadable
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.filters import understand
from hippodrome.store.pages import Pages
from hippodrome.store.record import DAMAGED, TaskRecord
from hippodrome.store.sqlite import SqliteStore

ME, E = m.PeerId("c" * 32), m.PeerId("e" * 32)
F, PICKLE = m.Digest(b"f" * 16), b"pickle" * 50
N = 120
TRIES = 150  # of each kind; a thousand have been seen to pass
PATIENCE_S = 30.0
PAGE = 4096

Records = dict[str, TaskRecord]


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diskwriter, "RETRY_S", 0.001)
    hasty = "PRAGMA synchronous = OFF"  # what a test leaves on disk is read at once, or never
    monkeypatch.setattr(database, "SETTINGS", (*database.SETTINGS, hasty))


def fill(store: SqliteStore, n: int = N) -> None:
    """Run tasks of all sizes, some of which fill several pages."""
    rng = random.Random(3)
    for start in range(0, n, 8):
        ids = [m.MsgId(f"me_{i}") for i in range(start, start + 8)]
        payloads = [rng.randbytes(rng.choice([20, 200, 200, 9000])) for _ in ids]
        tasks = m.TaskBundle(ids, F, payloads, m.Options(label=f"label {start}"))
        store.put_submitted(Submission(ME, 1.7e9 + start, m.Submit([tasks])))
        times = [1.7e9 + rng.random() for _ in ids]
        values = [rng.randbytes(rng.choice([10, 100, 100, 6000])) for _ in ids]
        result = m.ResultBundle(ids, m.EngineId(0), 1, times, [0.25] * 8, values)
        store.put_ended(Ending(ME, 1.8e9 + start, [result], {m.EngineId(0): E}))
    store.put_functions({F: PICKLE})
    store.resubmitted({m.MsgId("me_3"): m.MsgId("me_900")})
    assert store.writer.wait_written(PATIENCE_S)


def ask(store: SqliteStore, question: Callable[..., None], *arguments: Any) -> Any:
    answers: list[Any] = []
    question(*arguments, answers.append)
    while not answers:
        assert select.select([store.wake_fd], [], [], PATIENCE_S)[0]
        store.collect()
    (answer,) = answers
    return answer


def records_in(store: SqliteStore) -> Records:
    """Return all records, having looked at them in every way."""
    found = ask(store, store.search, understand({}))
    assert not isinstance(found, Unreadable)
    names = [record.msg_id for record in found]
    assert ask(store, store.history) == names
    assert len({*names}) == len(names)
    assert ask(store, store.find, names) == {record.msg_id: record for record in found}
    return {record.msg_id: record for record in found}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Records]:
    """A file, and what is in it."""
    path = tmp_path_factory.mktemp("whole") / "tasks.db"
    store = SqliteStore(path)
    fill(store)
    store.close()
    data = path.read_bytes()
    store = SqliteStore(path, record_limit=0)
    records = records_in(store)
    store.close()
    assert len(records) == N
    return data, records


class Damaged:
    """Opens damaged files, one after the other, and compares what is in them."""

    def __init__(self, home: Path, records: Records) -> None:
        self.home = home
        self.records = records
        self.note = ""

    def n_kept(self, data: bytes, wal: bytes = b"") -> int:
        """Return how many records are as they were; none may be wrong."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        path = self.home / "tasks.db"
        path.write_bytes(data)
        if wal:
            (self.home / "tasks.db-wal").write_bytes(wal)
        store = SqliteStore(path, record_limit=0)
        try:
            found = records_in(store)
            assert ask(store, store.find_functions, [F]) in ({F: PICKLE}, {})
            self.try_out(store)
            self.note = store.condition().note
        finally:
            store.close()
        kept = [name for name, record in found.items() if not record.damage]
        for name in kept:
            # which number is the first depends on when the store was opened
            assert replace(found[name], number=0) == replace(self.records[name], number=0)
        for record in found.values():
            if record.damage == "how it ended":
                assert record.status == DAMAGED
                assert record.failure is not None
                assert "damaged" in record.failure.evalue
        return len(kept)

    def try_out(self, store: SqliteStore) -> None:
        """See that records can still be written."""
        name = m.MsgId("new_1")
        tasks = m.TaskBundle([name], F, [b"new"])
        store.put_submitted(Submission(ME, 5.0, m.Submit([tasks])))
        assert store.writer.wait_written(PATIENCE_S), store.condition()
        store.put_ended(Ending(ME, 6.0, [m.Result(name, "ok", m.EngineId(0))]))
        assert store.writer.wait_written(PATIENCE_S), store.condition()
        assert ask(store, store.find, [name])[name].is_finished


@pytest.fixture
def damaged(tmp_path: Path, whole: tuple[bytes, Records]) -> Damaged:
    return Damaged(tmp_path / "damaged", whole[1])


def test_a_bit_that_flips_costs_one_record_at_most(
    whole: tuple[bytes, Records], damaged: Damaged
) -> None:
    rng = random.Random("flips")
    for _ in range(TRIES):
        data = bytearray(whole[0])
        place, bit = rng.randrange(len(data)), rng.randrange(8)
        data[place] ^= 1 << bit
        # most of a page is what records hold; its first bytes are about all that are in it
        allowed = 1 if place % PAGE > 100 else N // 4
        assert damaged.n_kept(bytes(data)) >= N - allowed, (place, bit)


def test_of_a_file_that_is_cut_off_all_is_kept_that_is_there(
    whole: tuple[bytes, Records], damaged: Damaged
) -> None:
    rng = random.Random("cuts")
    data = whole[0]
    for _ in range(TRIES):
        size = rng.randrange(len(data))
        there = {row[0] for row in rows_in(data[: size // PAGE * PAGE]) if len(row) > 20}
        n_kept = damaged.n_kept(data[:size])
        assert n_kept >= len(there), size
        if 0 < n_kept < N:
            assert f"; {n_kept} records of it were kept" in damaged.note
    assert damaged.n_kept(data[: len(data) * 9 // 10]) > N // 2


def rows_in(data: bytes) -> Iterator[list[Any]]:
    return Pages(data, b"", PAGE).rows()


def test_what_was_written_ahead_is_kept_too(tmp_path: Path, damaged: Damaged) -> None:
    path = tmp_path / "tasks.db"
    store = SqliteStore(path)
    fill(store)
    data, wal = path.read_bytes(), path.with_name("tasks.db-wal").read_bytes()
    store.close()
    assert len(wal) > len(data)
    assert damaged.n_kept(data, wal) == N
    pages = Pages(data, wal, PAGE)
    assert len({row[0] for row in pages.rows() if len(row) > 20}) == N


def reword(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data[:PAGE].count(old)
    return data[:PAGE].replace(old, new) + data[PAGE:]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"received REAL", b"recei\xf6ed REAL"),
        (b"received REAL", b"recezved REAL"),
        (b"received REAL", b"received REAM"),
        (b"CREATE TABLE tasks", b"CREATE TABLE tesks"),
        (b"CREATE TABLE tasks", b"CREATE TABME tasks"),
        (b"tasks_by_engine", b"tasks_by_\xffngine"),
        (b"tasks_by_number ON tasks (number)", b"tasks_by_number ON tasks (nvmber)"),
        (b"WITHOUT ROWID", b"WITHOUT ROVID"),
        (b"digest BLOB", b"digesu BLOB"),
    ],
)
def test_a_schema_that_is_damaged_costs_nothing(
    whole: tuple[bytes, Records], damaged: Damaged, old: bytes, new: bytes
) -> None:
    assert damaged.n_kept(reword(whole[0], old, new)) == N


def test_an_index_that_is_damaged_costs_nothing(
    whole: tuple[bytes, Records], damaged: Damaged
) -> None:
    data, n_pages = whole[0], 0
    for start in range(0, len(data), PAGE):
        rows = list(rows_in(bytes(start) + data[start : start + PAGE]))
        place = data.find(b"me_", start, start + PAGE)
        if place < 0 or any(len(row) > 2 for row in rows) or not rows:
            continue
        flipped = bytearray(data)
        flipped[place + 3] ^= 1  # another id than that of the row
        assert damaged.n_kept(bytes(flipped)) == N
        n_pages += 1
    assert n_pages >= 3
    assert "records of it were kept" in damaged.note


@pytest.mark.parametrize("version", [0, 1, 2, 7, 11, 3 | 1 << 30])
def test_a_version_that_is_damaged_costs_nothing(
    whole: tuple[bytes, Records], damaged: Damaged, version: int
) -> None:
    data = whole[0]
    assert int.from_bytes(data[60:64], "big") == database.VERSION
    flipped = data[:60] + version.to_bytes(4, "big") + data[64:]
    assert damaged.n_kept(flipped) == N


def make_older(data: bytes, path: Path) -> bytes:
    """Return the file as an older version would have written it, without checksums."""
    path.write_bytes(data)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        for column in ("call_sum", "end_sum", "again_sum"):
            connection.execute(f"ALTER TABLE tasks DROP COLUMN {column}")
        connection.execute("ALTER TABLE functions DROP COLUMN sum")
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    return path.read_bytes()


def test_a_file_without_checksums_is_read_and_salvaged(
    whole: tuple[bytes, Records], damaged: Damaged, tmp_path: Path
) -> None:
    older = make_older(whole[0], tmp_path / "older.db")
    assert damaged.n_kept(older) == N
    assert damaged.note == ""
    assert damaged.n_kept(b"\xff" * 100 + older[100:]) >= N - 1
    assert damaged.n_kept(older[: len(older) * 9 // 10]) > N // 2


def test_each_part_of_a_row_that_is_changed_is_seen(
    whole: tuple[bytes, Records], tmp_path: Path
) -> None:
    path = tmp_path / "tasks.db"
    path.write_bytes(whole[0])
    columns = {  # what says that it is damaged, by column
        "payload": "how it came", "label": "how it came", "submitted": "how it came",
        "result": "how it ended", "stdout": "how it ended", "completed": "how it ended",
        "engine": "how it ended", "shown": "how it ended", "end_sum": "how it ended",
        "received": "how it ended",
    }  # fmt: skip
    with sqlite3.connect(path) as connection:
        for i, column in enumerate(columns):
            value = None if column in ("end_sum", "received") else 7
            connection.execute(
                f"UPDATE tasks SET {column} = ? WHERE msg_id = ?",
                (value, f"me_{i}"),
            )
        connection.execute("UPDATE tasks SET resubmitted = 'me_1' WHERE msg_id = 'me_3'")
    connection.close()
    store = SqliteStore(path, record_limit=0)
    found = records_in(store)
    state = str(store.condition())
    store.close()
    assert [found[f"me_{i}"].damage for i in range(len(columns))] == [*columns.values()]
    assert found["me_3"].resubmitted is None
    assert state == f"degraded (damaged records: {len(columns)})"
    assert all(record.is_finished for record in found.values())
    untouched = {name for name, record in found.items() if not record.damage}
    assert len(untouched) == N - len(columns)
    assert all(found[name] == whole[1][name] for name in untouched)


def test_what_was_removed_is_not_brought_back(tmp_path: Path, damaged: Damaged) -> None:
    path = tmp_path / "tasks.db"
    store = SqliteStore(path)
    fill(store)
    gone = [m.MsgId(f"me_{i}") for i in range(0, N, 2)]
    store.remove(gone)
    assert store.writer.wait_written(PATIENCE_S)
    store.close()
    data = path.read_bytes()
    assert damaged.n_kept(b"\xff" * 100 + data[100:]) in range(N // 2 - 1, N // 2 + 1)
