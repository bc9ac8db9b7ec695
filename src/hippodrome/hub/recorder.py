"""Turns what passed through the scheduler into task records.

The scheduler forwards each submission as it came and each batch of results as it went out, one
message for many tasks; so keeping records costs the path of a task next to nothing.
"""

from __future__ import annotations

from itertools import chain

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import decode
from hippodrome.protocol.messages import EngineId, PeerId
from hippodrome.store.base import Store
from hippodrome.store.record import TaskRecord


class Recorder:
    """Writes records into a store.

    Args:
        store: where they go.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def submitted(self, client: PeerId, body: bytes, wall: float) -> None:
        """Record accepted tasks; *body* is their submission, *wall* seconds since the epoch."""
        message = decode(body)
        if isinstance(message, m.Submit):
            for task in message.tasks:
                label = task.options.label if task.options else ""
                for msg_id, payload in _calls(task):
                    self._begin(TaskRecord(msg_id, client, "task", wall, label, payload))
        elif isinstance(message, m.SubmitDirect):
            for msg_id in message.msg_ids:
                self._begin(TaskRecord(msg_id, client, "mux", wall, message.label, message.payload))
        else:
            raise ProtocolError(f"a {type(message).__name__} was recorded as submitted")

    def _begin(self, record: TaskRecord) -> None:
        """Keep a new record; an id that came twice names the first task, for good."""
        if self.store.get(record.msg_id) is None:
            self.store.put(record)

    def ended(self, client: PeerId, body: bytes, wall: float) -> dict[EngineId, int]:
        """Record outcomes; returns how many came from each engine."""
        message = decode(body)
        if not isinstance(message, m.Results):
            raise ProtocolError(f"a {type(message).__name__} was recorded as ended")
        counts: dict[EngineId, int] = {}
        for result in chain.from_iterable(map(_results, message.results)):
            if result.engine is not None:
                counts[result.engine] = counts.get(result.engine, 0) + 1
            self.store.put(self._finish(client, result, wall))
        return counts

    def _finish(self, client: PeerId, result: m.Result, wall: float) -> TaskRecord:
        record = self.store.get(result.msg_id)
        if record is None:  # ended before it was accepted, or forgotten since
            record = TaskRecord(result.msg_id, client, "task", wall)
        record.status = result.status
        record.engine = result.engine
        record.attempt = result.attempt
        record.started = result.started or None
        record.completed = result.completed or None
        record.received = wall
        record.result = result.payload
        record.failure = result.failure
        record.stdout = result.stdout
        record.stderr = result.stderr
        return record


def _calls(task: m.Task | m.TaskBundle) -> list[tuple[m.MsgId, bytes]]:
    if isinstance(task, m.Task):
        return [(task.msg_id, task.payload)]
    return list(zip(task.msg_ids, task.payloads, strict=True))


def _results(result: m.Result | m.ResultBundle) -> list[m.Result]:
    if isinstance(result, m.Result):
        return [result]
    columns = zip(result.msg_ids, result.started, result.run_s, result.payloads, strict=True)
    return [
        m.Result(msg_id, "ok", result.engine, result.attempt, started, started + run_s, payload)
        for msg_id, started, run_s, payload in columns
    ]
