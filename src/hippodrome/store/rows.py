"""Records as rows of SQLite: what is written, what is read.

Nothing here is ever unpickled: payloads are blobs, and what has parts is msgpack.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from hippodrome.protocol.frames import encode
from hippodrome.protocol.messages import Digest, Failure, MsgId
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.checked import CALL, END, READ, Row, record_of, sum_of
from hippodrome.store.columns import calls_of, ends_of
from hippodrome.store.filters import Condition, Filter
from hippodrome.store.record import TaskRecord
from hippodrome.store.times import SLACK_S, known, known_or_zero

_BEGIN: Final = f"""
INSERT INTO tasks ({", ".join(CALL)}, call_sum) VALUES ({", ".join("?" * (len(CALL) + 1))})
ON CONFLICT (msg_id) DO NOTHING
"""  # noqa: S608  # of names of our own, as are those below
_ENDED: Final = (*END, "end_sum")
_END: Final = f"""
INSERT INTO tasks ({", ".join(CALL)}, call_sum, {", ".join(_ENDED)})
VALUES ({", ".join("?" * (len(CALL) + 1 + len(_ENDED)))})
ON CONFLICT (msg_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _ENDED)}
WHERE received IS NULL
"""  # noqa: S608
_READ: Final = f"SELECT {', '.join(READ)} FROM tasks"  # noqa: S608


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
        call = (
            msg_id, number + i, begin.client, begin.queue, begin.submitted, begin.function,
            encode(options) if options else None, options.label if options else "", payload,
            n_buffers, encode(kept) if kept else None,
        )  # fmt: skip
        yield *call, sum_of(*call)


def end_session(connection: sqlite3.Connection, wall: float) -> None:
    """End what an earlier controller has left behind: all unfinished tasks, as none is ours yet."""
    failure = encode(Failure("ControllerLost", "the controller ended before the task did"))
    lost = ("lost", None, None, None, None, None, known_or_zero(wall), b"", None, None, failure)
    end = (*lost, None, None, None)
    found = connection.execute(
        "SELECT msg_id FROM tasks WHERE received IS NULL AND end_sum IS NULL"
    ).fetchall()
    columns = ", ".join(f"{name} = ?" for name in _ENDED)
    connection.executemany(
        f"UPDATE tasks SET {columns} WHERE msg_id = ?",  # noqa: S608
        ((*end, sum_of(msg_id, *end), msg_id) for (msg_id,) in found),
    )


def write_ended(connection: sqlite3.Connection, batch: Ending, number: int) -> None:
    """Finish rows; *number* is for those that were never begun."""
    connection.executemany(_END, _ended(batch, number))


def _ended(batch: Ending, number: int) -> Iterator[Row]:
    for ends in ends_of(batch):
        for i, (msg_id, end) in enumerate(zip(ends.msg_ids, ends.ends, strict=True)):
            n_buffers, kept = ends.buffers.get(i, (0, None))
            started, until = ends.started[i], ends.until[i]
            call = (
                msg_id, number, batch.client, "task", end.received, b"", None, "", b"", 0, None
            )  # fmt: skip
            ended = (
                end.status, end.engine, end.engine_uuid, end.attempt, known(started or None),
                known((started + until if end.has_run_s else until) or None), end.received,
                ends.payloads[i], n_buffers, encode(kept) if kept else None,
                encode(end.failure) if end.failure else None, end.stdout, end.stderr,
                encode(end.shown) if end.shown else None,
            )  # fmt: skip
            # mostly there is a row already, whose first part is not touched
            yield *call, None, *ended, sum_of(msg_id, *ended)


def write_functions(connection: sqlite3.Connection, functions: Mapping[Digest, bytes]) -> None:
    rows = [(digest, pickle, sum_of(digest, pickle)) for digest, pickle in functions.items()]
    connection.executemany("INSERT OR REPLACE INTO functions VALUES (?, ?, ?)", rows)


def write_resubmitted(connection: sqlite3.Connection, renamed: Mapping[MsgId, MsgId]) -> None:
    rows = [(new, sum_of(old, new), old) for old, new in renamed.items()]
    connection.executemany("UPDATE tasks SET resubmitted = ?, again_sum = ? WHERE msg_id = ?", rows)


def remove(connection: sqlite3.Connection, msg_ids: Iterable[MsgId]) -> None:
    rows = [(msg_id,) for msg_id in msg_ids]
    connection.executemany("DELETE FROM tasks WHERE msg_id = ? AND received IS NOT NULL", rows)


def remove_finished(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM tasks WHERE received IS NOT NULL")


# ---------------------------------------------------------------- read


def read(connection: sqlite3.Connection, msg_ids: Collection[MsgId]) -> list[TaskRecord]:
    """Return those records of *msg_ids* that there are."""
    found = (connection.execute(f"{_READ} WHERE msg_id = ?", (name,)) for name in msg_ids)
    return [record_of(row) for rows in found for row in rows]


def present(connection: sqlite3.Connection, msg_ids: Iterable[MsgId]) -> set[MsgId]:
    """Return those of *msg_ids* of which there is a record."""
    asked = "SELECT msg_id FROM tasks WHERE msg_id = ?"
    return {name for each in msg_ids for (name,) in connection.execute(asked, (each,))}


def search(connection: sqlite3.Connection, wanted: Filter) -> list[TaskRecord]:
    """Return the records that *wanted* fits, in the order in which they were submitted."""
    clauses, operands = _clauses(wanted)
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    rows = connection.execute(f"{_READ} {where} ORDER BY number", operands)
    return [record for record in map(record_of, rows) if wanted.fits(record)]


def count(connection: sqlite3.Connection, known: Collection[MsgId]) -> int:
    """Return how many records there are but for *known* ones."""
    (n,) = connection.execute("SELECT count(*) FROM tasks").fetchone()
    return int(n) - len(present(connection, known) or ())


def history(connection: sqlite3.Connection) -> list[tuple[int, MsgId]]:
    """Return all ids behind their places in the order of submission."""
    return connection.execute("SELECT number, msg_id FROM tasks ORDER BY number").fetchall()


def read_functions(
    connection: sqlite3.Connection, digests: Iterable[Digest]
) -> dict[Digest, bytes]:
    found: dict[Digest, bytes] = {}
    for digest in digests:
        rows = connection.execute("SELECT * FROM functions WHERE digest = ?", (digest,))
        found.update(
            (name, pickle)
            for name, pickle, its_sum in rows
            if its_sum in (None, sum_of(name, pickle))
        )
    return found


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
