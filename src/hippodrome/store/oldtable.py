"""The records as tools for ipyparallel's files read them: the view ``ipython-tasks``.

It has all columns of that table. What is not text, a number or a blob in our rows is beyond SQL:
such a column is NULL, and `Client.db_query` has it.
"""

from __future__ import annotations

from typing import Final


def _date(column: str) -> str:
    """Return SQL for a time as a text in UTC, to the microsecond."""
    micros = f"CAST(round({column} * 1e6) AS INTEGER)"
    parts = f"strftime('%Y-%m-%dT%H:%M:%S', {micros} / 1000000, 'unixepoch')"
    return f"{parts} || printf('.%06d+00:00', {micros} % 1000000)"


_OF_END: Final = "CASE WHEN received IS NOT NULL THEN {} END"
_RESULT_HEADER: Final = _OF_END.format(
    "json_object('msg_type', 'apply_reply', 'status', status, 'engine', engine_uuid, "
    f"'date', {_date('received')})"
)
_RESULT_METADATA: Final = _OF_END.format(
    "json_object('status', status, 'engine', engine_uuid, 'attempt', attempt, "
    f"'started', {_date('started')}, 'completed', {_date('completed')})"
)
_COLUMNS: Final[dict[str, str]] = {
    "msg_id": "msg_id",
    "header": "json_object('msg_id', msg_id, 'msg_type', 'apply_request', 'session', client, "
    f"'date', {_date('submitted')})",
    "metadata": "json_object('label', label)",
    "content": "json_object('function', lower(hex(function)))",
    "buffers": "payload",
    "submitted": _date("submitted"),
    "client_uuid": "client",
    "engine_uuid": "engine_uuid",
    "started": _date("started"),
    "completed": _date("completed"),
    "resubmitted": "resubmitted",
    "received": _date("received"),
    "result_header": _RESULT_HEADER,
    "result_metadata": _RESULT_METADATA,
    "result_content": _OF_END.format("json_object('status', status)"),
    "result_buffers": "result",
    "queue": "queue",
    "execute_input": "NULL",
    "execute_result": "NULL",
    "error": "CASE WHEN status <> 'ok' THEN status END",
    "stdout": "stdout",
    "stderr": "stderr",
    "label": "label",
}
VIEW: Final = (
    'CREATE VIEW IF NOT EXISTS "ipython-tasks" AS SELECT '  # noqa: S608  # of names of our own
    + ", ".join(f'{value} AS "{name}"' for name, value in _COLUMNS.items())
    + " FROM tasks"
)
