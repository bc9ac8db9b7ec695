"""Rows as they are on disk: each part has a checksum, and a record says if it does not fit.

A row has three parts, which are written at different times: how the task came, how it ended, and as
what it was submitted again. Files of older versions have no checksums.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hippodrome.protocol.frames import encode
from hippodrome.protocol.messages import Digest, Failure, MsgId, Options, PeerId, Shown
from hippodrome.store.columns import NOBODY
from hippodrome.store.large import Large
from hippodrome.store.record import DAMAGED, TaskRecord
from hippodrome.store.times import known, known_or_zero

Row = Sequence[Any]  # Any: what SQLite stores

CALL: Final = (
    "msg_id", "number", "client", "queue", "submitted", "function", "options", "label", "payload",
    "n_buffers", "buffers",
)  # fmt: skip
END: Final = (
    "status", "engine", "engine_uuid", "attempt", "started", "completed", "received", "result",
    "n_result_buffers", "result_buffers", "failure", "stdout", "stderr", "shown",
)  # fmt: skip
# in the order in which `record_of` takes them
READ: Final = (*CALL, "call_sum", *END, "end_sum", "resubmitted", "again_sum")
REAL: Final = frozenset({"submitted", "started", "completed", "received"})

_CALL_SUM: Final = len(CALL)
_END_SUM: Final = _CALL_SUM + 1 + len(END)
_AGAIN: Final = _END_SUM + 1
_RECEIVED: Final = READ.index("received")

_options: Final = msgspec.msgpack.Decoder(Options).decode
_failure: Final = msgspec.msgpack.Decoder(Failure).decode
_shown: Final = msgspec.msgpack.Decoder(Shown).decode
_buffers: Final = msgspec.msgpack.Decoder(tuple[bytes | Large, ...]).decode


def sum_of(*fields: Any) -> int:
    """Return the checksum of what is written, as of what is read again."""
    return zlib.crc32(encode(fields))


def fits_call(row: Row) -> bool | None:
    """Tell whether the first part of a row of `READ` is as it was written; None if unknown."""
    return _fits(row[_CALL_SUM], row[:_CALL_SUM])


def fits_end(row: Row) -> bool | None:
    """Tell whether the second part of a row of `READ` is as it was written; None if unknown."""
    end, its_sum = row[_CALL_SUM + 1 : _END_SUM], row[_END_SUM]
    if its_sum is None and row[_CALL_SUM] is not None:
        return not any(value is not None for value in end)
    return _fits(its_sum, (row[0], *end))


def _fits(its_sum: object, fields: Row) -> bool | None:
    if its_sum is None:
        return None
    try:
        return sum_of(*fields) == its_sum
    except (TypeError, ValueError, OverflowError):  # nothing that was ever written
        return False


def record_of(row: Row) -> TaskRecord:
    """Return the record of a row of `READ`, without those of its parts that are damaged."""
    record = _call_of(row) if fits_call(row) is not False else None
    record = record or _damaged_call(row)
    is_there = row[_RECEIVED] is not None or row[_END_SUM] is not None
    if is_there and not (fits_end(row) is not False and _add_end(record, row)):
        _add_damaged_end(record, row)
    again, its_sum = row[_AGAIN], row[_AGAIN + 1]
    if isinstance(again, str) and _fits(its_sum, (row[0], again)) is not False:
        record.resubmitted = MsgId(again)
    return record


def _call_of(row: Row) -> TaskRecord | None:
    """Return how a task came; None if that cannot be made out."""
    msg_id, number, client, queue, submitted, function, options, _, payload, n, buffers = row[:11]
    try:
        return TaskRecord(
            msg_id, client, queue, known_or_zero(submitted), number, function,
            None if options is None else _options(options), payload, n,
            () if buffers is None else _buffers(buffers),
        )  # fmt: skip
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError):
        return None


def _damaged_call(row: Row) -> TaskRecord:
    msg_id, number, client, queue, submitted = row[:5]
    return TaskRecord(
        MsgId(_text(msg_id)), PeerId(_text(client)), _text(queue), _time(submitted),
        number if isinstance(number, int) else 0, Digest(b""), n_buffers=1,  # not kept
        damage="how it came",
    )  # fmt: skip


def _add_end(record: TaskRecord, row: Row) -> bool:
    """Add how a task ended; return False if that cannot be made out."""
    (
        status, engine, engine_uuid, attempt, started, completed, received, result, n, buffers,
        failure, stdout, stderr, shown,
    ) = row[_CALL_SUM + 1 : _END_SUM]  # fmt: skip
    try:
        times = known(started), known(completed), known_or_zero(received)
        kept = () if buffers is None else _buffers(buffers)
        why = None if failure is None else _failure(failure)
        looks = None if shown is None else _shown(shown)
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError):
        return False
    record.status, record.engine, record.engine_uuid = status or "", engine, engine_uuid or NOBODY
    record.attempt, record.result, record.n_result_buffers = attempt or 0, result or b"", n or 0
    record.started, record.completed, record.received = times
    record.result_buffers, record.failure, record.shown = kept, why, looks
    record.stdout, record.stderr = stdout or "", stderr or ""
    return True


def _add_damaged_end(record: TaskRecord, row: Row) -> None:
    record.damage = "how it ended"
    record.status, record.received = DAMAGED, _time(row[_RECEIVED]) or record.submitted
    why = f"the record of {record.msg_id} is damaged on disk: its checksum does not fit"
    record.failure = Failure("ResultExpired", why)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "?"


def _time(value: object) -> float:
    return known_or_zero(value) if isinstance(value, float) else 0.0
