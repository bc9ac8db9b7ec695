"""A record as a map, by the names that users of this model know.

Times are timezone-aware datetimes in UTC, which msgpack carries as its timestamp extension; None
stands for what there is not, or not yet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final

from hippodrome.store import times
from hippodrome.store.large import Large
from hippodrome.store.record import TaskRecord

Field = Callable[[TaskRecord], Any]  # Any: texts, numbers, maps

TIMES: Final = frozenset({"submitted", "started", "completed", "received", "date"})
BUFFERS: Final = frozenset({"buffers", "result_buffers"})


def _header(record: TaskRecord) -> dict[str, Any]:
    return {
        "msg_id": record.msg_id,
        "msg_type": "apply_request",
        "session": record.client,
        "date": times.as_datetime(record.submitted),
    }


def _metadata(record: TaskRecord) -> dict[str, Any]:
    options = record.options
    return {
        "label": record.label,
        "targets": options.targets if options else None,
        "retries": options.retries if options else 0,
        "timeout": options.timeout_s if options else None,
        "after": options.after.msg_ids if options and options.after else [],
        "follow": options.follow.msg_ids if options and options.follow else [],
    }


def _result_header(record: TaskRecord) -> dict[str, Any]:
    if not record.is_finished:
        return {}
    return {
        "msg_type": "apply_reply",
        "status": record.status,
        "engine": record.engine_uuid or None,
        "date": times.as_datetime(record.received),
    }


def _result_metadata(record: TaskRecord) -> dict[str, Any]:
    if not record.is_finished:
        return {}
    return {
        "status": record.status,
        "engine": record.engine_uuid or None,
        "attempt": record.attempt,
        "started": times.as_datetime(record.started),
        "completed": times.as_datetime(record.completed),
    }


def _result_content(record: TaskRecord) -> dict[str, Any]:
    if not record.is_finished:
        return {}
    content: dict[str, Any] = {"status": record.status}
    if record.failure is not None:
        failure = record.failure
        content.update(ename=failure.ename, evalue=failure.evalue, traceback=failure.traceback)
    return content


def _error(record: TaskRecord) -> str | None:
    return f"{record.failure.ename}: {record.failure.evalue}" if record.failure else None


def _execute_result(record: TaskRecord) -> bytes | None:
    """Return what the value of a cell's last expression shows, as a JSON text."""
    displays = record.shown.displays if record.shown else ()
    values = [each.content for each in displays if each.kind == "execute_result"]
    return values[-1] if values else None


def _call_buffers(record: TaskRecord) -> list[bytes | Large]:
    return [record.payload, *record.buffers] if record.payload else list(record.buffers)


def _result_buffers(record: TaskRecord) -> list[bytes | Large]:
    return [record.result, *record.result_buffers] if record.result else list(record.result_buffers)


FIELDS: Final[Mapping[str, Field]] = {
    "msg_id": lambda record: record.msg_id,
    "client_uuid": lambda record: record.client,
    "engine_uuid": lambda record: record.engine_uuid or None,
    "engine_id": lambda record: record.engine,
    "queue": lambda record: record.queue,
    "label": lambda record: record.label,
    "status": lambda record: record.status or None,
    "submitted": lambda record: record.submitted,
    "started": lambda record: record.started,
    "completed": lambda record: record.completed,
    "received": lambda record: record.received,
    "resubmitted": lambda record: record.resubmitted,
    "header": _header,
    "metadata": _metadata,
    "content": lambda record: {"function": record.function.hex()},
    "buffers": _call_buffers,
    "result_header": _result_header,
    "result_metadata": _result_metadata,
    "result_content": _result_content,
    "result_buffers": _result_buffers,
    "execute_input": lambda record: None,
    "execute_result": _execute_result,
    "error": _error,
    "stdout": lambda record: record.stdout,
    "stderr": lambda record: record.stderr,
}


def show(record: TaskRecord, keys: Collection[str] | None = None) -> dict[str, Any]:
    """Return a record as a map.

    Args:
        record: which.
        keys: what to show besides ``msg_id``; by default everything but buffers.

    Raises:
        ValueError: there is no such key.
    """
    if keys is None:
        keys = FIELDS.keys() - BUFFERS
    wanted = {"msg_id": None, **dict.fromkeys(keys)}  # in order, and each once
    return {key: _shown(key, field_of(key)(record)) for key in wanted}


def field_of(key: str) -> Field:
    """Return what reads *key*, which may name a part of a map as ``header.date``, off a record.

    Raises:
        ValueError: there is no such key.
    """
    name, dot, rest = key.partition(".")
    field = FIELDS.get(name)
    if field is None:
        raise ValueError(f"records have no {name!r}; they have {', '.join(FIELDS)}")
    return _part_of(field, rest.split(".")) if dot else field


def is_time(key: str) -> bool:
    """Tell whether what *key* names is a time; `field_of` gives it in seconds since the epoch."""
    return key.rpartition(".")[2] in TIMES


def _part_of(field: Field, names: list[str]) -> Field:
    def read(record: TaskRecord) -> Any:  # Any: whatever is there
        value = field(record)
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value.timestamp() if isinstance(value, datetime) else value

    return read


def _shown(key: str, value: Any) -> Any:  # Any: whatever the field holds
    return times.as_datetime(value) if is_time(key) else value
