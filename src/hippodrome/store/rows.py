"""Records as rows of SQLite: the schema, what is written, what is read.

Nothing here is ever unpickled: payloads are blobs, and what has parts is msgpack.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from hippodrome.protocol.frames import encode
from hippodrome.protocol.messages import Digest, Failure, MsgId, Options, Shown
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.columns import NOBODY, calls_of, ends_of
from hippodrome.store.filters import Condition, Filter
from hippodrome.store.large import Large
from hippodrome.store.record import TaskRecord
from hippodrome.store.times import SLACK_S, known, known_or_zero

VERSION: Final = 2
SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS tasks (
    msg_id TEXT PRIMARY KEY NOT NULL, number INTEGER NOT NULL, client TEXT NOT NULL,
    queue TEXT NOT NULL, submitted REAL NOT NULL, function BLOB NOT NULL, options BLOB,
    label TEXT NOT NULL, payload BLOB NOT NULL, n_buffers INTEGER NOT NULL, buffers BLOB,
    status TEXT, engine INTEGER, engine_uuid TEXT, attempt INTEGER, started REAL, completed REAL,
    received REAL, result BLOB, n_result_buffers INTEGER, result_buffers BLOB, failure BLOB,
    stdout TEXT, stderr TEXT, resubmitted TEXT, shown BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tasks_by_number ON tasks (number);
CREATE INDEX IF NOT EXISTS tasks_by_submission ON tasks (submitted);
CREATE INDEX IF NOT EXISTS tasks_by_engine ON tasks (engine_uuid);
CREATE INDEX IF NOT EXISTS tasks_unfinished ON tasks (number) WHERE received IS NULL;
CREATE INDEX IF NOT EXISTS tasks_by_label ON tasks (label) WHERE label <> '';
CREATE TABLE IF NOT EXISTS functions (digest BLOB PRIMARY KEY NOT NULL, pickle BLOB NOT NULL);
PRAGMA user_version = {VERSION};
"""
UPGRADES: Final = {  # from a version to the next one
    1: "ALTER TABLE tasks ADD COLUMN shown BLOB",
}
_BEGIN: Final = """
INSERT INTO tasks (msg_id, number, client, queue, submitted, function, options, label, payload,
    n_buffers, buffers)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (msg_id) DO NOTHING
"""
_END: Final = """
INSERT INTO tasks (msg_id, number, client, queue, submitted, function, label, payload, n_buffers,
    status, engine, engine_uuid, attempt, started, completed, received, result,
    n_result_buffers, result_buffers, failure, stdout, stderr, shown)
VALUES (?, ?, ?, 'task', ?, x'', '', x'', 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (msg_id) DO UPDATE SET
    status = excluded.status, engine = excluded.engine, engine_uuid = excluded.engine_uuid,
    attempt = excluded.attempt, started = excluded.started, completed = excluded.completed,
    received = excluded.received, result = excluded.result,
    n_result_buffers = excluded.n_result_buffers, result_buffers = excluded.result_buffers,
    failure = excluded.failure, stdout = excluded.stdout, stderr = excluded.stderr,
    shown = excluded.shown
WHERE received IS NULL
"""
_READ: Final = """
SELECT msg_id, client, queue, submitted, number, function, options, payload, n_buffers, buffers,
    status, engine, engine_uuid, attempt, started, completed, received, result,
    n_result_buffers, result_buffers, failure, stdout, stderr, shown, resubmitted
FROM tasks
"""

_options: Final = msgspec.msgpack.Decoder(Options).decode
_failure: Final = msgspec.msgpack.Decoder(Failure).decode
_shown: Final = msgspec.msgpack.Decoder(Shown).decode
_buffers: Final = msgspec.msgpack.Decoder(tuple[bytes | Large, ...]).decode

Row = tuple[Any, ...]  # Any: what SQLite stores


# ---------------------------------------------------------------- write


def write_submitted(connection: sqlite3.Connection, batch: Submission, number: int) -> None:
    """Begin rows; *number* is the first task's place in the order of submission."""
    connection.executemany(_BEGIN, _begun(batch, number))


def _begun(batch: Submission, number: int) -> Iterator[Row]:
    calls = calls_of(batch)
    for i, (msg_id, begin, payload) in enumerate(
        zip(calls.msg_ids, calls.begins, calls.payloads, strict=True)
    ):
        n_buffers, kept = calls.buffers.get(i, (0, None))
        options = begin.options
        yield (
            msg_id, number + i, begin.client, begin.queue, begin.submitted, begin.function,
            encode(options) if options else None, options.label if options else "", payload,
            n_buffers, encode(kept) if kept else None,
        )  # fmt: skip


def end_session(connection: sqlite3.Connection, number: int, wall: float) -> None:
    """End what an earlier controller has left behind: all unfinished tasks before *number*."""
    failure = Failure("ControllerLost", "the controller ended before the task did")
    connection.execute(
        "UPDATE tasks SET status = 'lost', received = ?, result = x'', failure = ?"
        " WHERE received IS NULL AND number < ?",
        (wall, encode(failure), number),
    )


def write_ended(connection: sqlite3.Connection, batch: Ending, number: int) -> None:
    """Finish rows; *number* is for those that were never begun."""
    connection.executemany(_END, _ended(batch, number))


def _ended(batch: Ending, number: int) -> Iterator[Row]:
    for ends in ends_of(batch):
        for i, (msg_id, end) in enumerate(zip(ends.msg_ids, ends.ends, strict=True)):
            n_buffers, kept = ends.buffers.get(i, (0, None))
            started, until = ends.started[i], ends.until[i]
            yield (
                msg_id, number, batch.client, end.received, end.status, end.engine,
                end.engine_uuid, end.attempt, known(started or None),
                known((started + until if end.has_run_s else until) or None), end.received,
                ends.payloads[i], n_buffers, encode(kept) if kept else None,
                encode(end.failure) if end.failure else None, end.stdout, end.stderr,
                encode(end.shown) if end.shown else None,
            )  # fmt: skip


def write_functions(connection: sqlite3.Connection, functions: Mapping[Digest, bytes]) -> None:
    connection.executemany("INSERT OR IGNORE INTO functions VALUES (?, ?)", functions.items())


def write_resubmitted(connection: sqlite3.Connection, renamed: Mapping[MsgId, MsgId]) -> None:
    rows = [(new, old) for old, new in renamed.items()]
    connection.executemany("UPDATE tasks SET resubmitted = ? WHERE msg_id = ?", rows)


def remove(connection: sqlite3.Connection, msg_ids: Iterable[MsgId]) -> None:
    rows = [(msg_id,) for msg_id in msg_ids]
    connection.executemany("DELETE FROM tasks WHERE msg_id = ? AND received IS NOT NULL", rows)


def remove_finished(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM tasks WHERE received IS NOT NULL")


# ---------------------------------------------------------------- read


def read(connection: sqlite3.Connection, msg_ids: Collection[MsgId]) -> list[TaskRecord]:
    """Return those records of *msg_ids* that there are."""
    found = (connection.execute(f"{_READ} WHERE msg_id = ?", (name,)) for name in msg_ids)
    return [_record(row) for rows in found for row in rows]


def present(connection: sqlite3.Connection, msg_ids: Iterable[MsgId]) -> set[MsgId] | None:
    """Return those of *msg_ids* of which there is a record."""
    asked = "SELECT msg_id FROM tasks WHERE msg_id = ?"
    return {name for each in msg_ids for (name,) in connection.execute(asked, (each,))}


def search(connection: sqlite3.Connection, wanted: Filter) -> list[TaskRecord]:
    """Return the records that *wanted* fits, in the order in which they were submitted."""
    clauses, operands = _clauses(wanted)
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    rows = connection.execute(f"{_READ} {where} ORDER BY number", operands)
    return [record for record in map(_record, rows) if wanted.fits(record)]


def history(connection: sqlite3.Connection) -> list[tuple[int, MsgId]]:
    """Return all ids behind their places in the order of submission."""
    return connection.execute("SELECT number, msg_id FROM tasks ORDER BY number").fetchall()


def read_functions(
    connection: sqlite3.Connection, digests: Iterable[Digest]
) -> dict[Digest, bytes]:
    found: dict[Digest, bytes] = {}
    for digest in digests:
        found.update(connection.execute("SELECT * FROM functions WHERE digest = ?", (digest,)))
    return found


def _record(row: Row) -> TaskRecord:
    (
        msg_id, client, queue, submitted, number, function, options, payload, n_buffers, buffers,
        status, engine, engine_uuid, attempt, started, completed, received, result,
        n_result_buffers, result_buffers, failure, stdout, stderr, shown, resubmitted,
    ) = row  # fmt: skip
    return TaskRecord(
        msg_id, client, queue, known_or_zero(submitted), number, function,
        None if options is None else _options(options), payload, n_buffers,
        () if buffers is None else _buffers(buffers), status or "", engine, engine_uuid or NOBODY,
        attempt or 0, known(started), known(completed),
        None if received is None else known_or_zero(received), result or b"", n_result_buffers or 0,
        () if result_buffers is None else _buffers(result_buffers),
        None if failure is None else _failure(failure), stdout or "", stderr or "",
        None if shown is None else _shown(shown), resubmitted,
    )  # fmt: skip


_COLUMNS: Final[Mapping[str, str]] = {
    "msg_id": "msg_id",
    "client_uuid": "client",
    "engine_uuid": "engine_uuid",
    "queue": "queue",
    "label": "label",
    "status": "status",
    "submitted": "submitted",
    "started": "started",
    "completed": "completed",
    "received": "received",
}
_COMPARED: Final[Mapping[str, str]] = {
    "$eq": "=", "$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">=",
}  # fmt: skip


def _clauses(wanted: Filter) -> tuple[list[str], list[Any]]:
    """Return conditions that SQLite can check by itself; the filter decides in the end."""
    clauses: list[str] = []
    operands: list[Any] = []
    for condition in wanted.conditions:
        column = _COLUMNS.get(condition.key)
        clause = column and _clause(column, condition)
        if clause:
            clauses.append(clause[0])
            operands += clause[1]
    return clauses, operands


def _clause(column: str, condition: Condition) -> tuple[str, list[Any]] | None:
    operand = condition.operand
    if condition.operator == "$exists":
        return (f"{column} IS {'NOT ' if operand else ''}NULL", []) if column in _NULLABLE else None
    if column in _TIMES:
        return _clause_of_time(column, condition.operator, operand)
    if condition.operator in _COMPARED and isinstance(operand, str):
        clause = f"{column} {_COMPARED[condition.operator]} ?"
        if column == "label" and condition.operator == "$eq" and operand:
            clause += " AND label <> ''"  # which the index leaves out
        return clause, [operand]
    if condition.operator == "$in" and all(_is_plain(each) for each in operand):
        # one text for all, because the number of parameters is limited
        texts = msgspec.json.encode(operand).decode()
        return f"{column} {_IN}", [texts]
    return None


_IN: Final = "IN (SELECT value FROM json_each(?))"
_NULLABLE: Final = frozenset({"status", "received"})
_TIMES: Final = frozenset({"submitted", "started", "completed", "received"})


def _clause_of_time(column: str, operator: str, operand: Any) -> tuple[str, list[Any]] | None:
    """Return what is true of all rows that fit: their times are finer than those of records."""
    if not isinstance(operand, float):
        return None
    match operator:
        case "$eq":
            return f"{column} BETWEEN ? AND ?", [operand - SLACK_S, operand + SLACK_S]
        case "$lt" | "$lte":
            return f"{column} <= ?", [operand + SLACK_S]
        case "$gt" | "$gte":
            return f"{column} >= ?", [operand - SLACK_S]
        case _:
            return None


def _is_plain(value: Any) -> bool:
    """Tell whether SQLite finds this in a JSON text as it is: no zero ends it early."""
    return isinstance(value, str) and "\0" not in value
