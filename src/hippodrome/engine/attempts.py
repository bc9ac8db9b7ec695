"""Attempts as an engine has them: those that came, the one that runs, and how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.bundles import check, ids_of
from hippodrome.protocol.frames import Buffer, BufferReader

MOST_SERIAL: Final = 1 << 62  # the page holds numbers of 64 bits

_FAILED_BEFORE: Final = m.Failure(
    "TaskAborted", "not run, as a cell that was queued before it on this engine failed"
)

Value = tuple[str, bytes, Sequence[Buffer]]  # name, pickle and buffers


class StartAttempt(msgspec.Struct, frozen=True, gc=False):
    """Run this attempt now. ``pickle`` is that of ``function``.

    ``bundle`` is the serial number of the first that came in its bundle; 0 if it came alone.
    """

    serial: int
    msg_id: m.MsgId
    attempt: int
    function: m.Digest
    payload: bytes
    buffers: tuple[Buffer, ...]
    pickle: bytes
    bundle: int = 0


class AttemptEnded(msgspec.Struct, frozen=True, gc=False):
    """How an attempt ended; the fields as in `Outcome`, and the buffers of its result.

    With ``ends_cells`` the cells that wait behind it do not start: it was one, and it failed.
    """

    status: str
    started: float
    run_s: float
    payload: bytes = b""
    buffers: Sequence[Buffer] = ()
    failure: m.Failure | None = None
    stdout: str = ""
    stderr: str = ""
    shown: m.Shown | None = None
    data: Sequence[Value] = ()
    ends_cells: bool = False


@dataclass(frozen=True, slots=True)
class EngineSnapshot:
    """The attempts that an engine holds, as tests and people count them."""

    engine: m.EngineId | None
    queued: tuple[tuple[m.MsgId, int], ...]
    running: tuple[m.MsgId, int] | None
    ended: int
    early_drops: int
    functions: int
    asked: frozenset[m.Digest]

    def __str__(self) -> str:
        who = "unregistered" if self.engine is None else self.engine
        n_running = int(self.running is not None)
        return f"{who}: {len(self.queued)} queued, {n_running} running, {self.ended} ended"


class Item(msgspec.Struct, gc=False, eq=False):
    """Attempts that came together: one, or those of a bundle, which start one by one."""

    serial: int  # of the first
    msg_ids: list[m.MsgId]
    attempt: int
    function: m.Digest
    payloads: list[bytes]
    buffers: tuple[Buffer, ...]
    n_begun: int = 0  # or passed over
    dropped: set[m.MsgId] | None = None

    @property
    def queued(self) -> list[m.MsgId]:
        """Those that may still start."""
        rest = self.msg_ids[self.n_begun :]
        return [m for m in rest if m not in self.dropped] if self.dropped else rest

    def drop(self, msg_id: m.MsgId) -> bool:
        """Keep one from starting; return False if it has begun, or was dropped before."""
        if msg_id not in self.queued:
            return False
        self.buffers = ()
        if self.dropped is None:
            self.dropped = set()
        self.dropped.add(msg_id)
        return True


def items_of(message: m.Assign, reader: BufferReader) -> list[Item]:
    """Return what has come with *message*; nothing else is left to read.

    Raises:
        ProtocolError: its parts do not fit together.
    """
    serial = message.first
    last = serial + sum(len(ids_of(attempt)) for attempt in message.attempts)
    if not 0 < serial <= last < MOST_SERIAL:
        raise ProtocolError(f"serial numbers from {serial} to {last}")
    items = []
    for attempt in message.attempts:
        items.append(_item_of(serial, attempt, reader))
        serial += len(items[-1].msg_ids)
    reader.check_empty()
    return items


def _item_of(serial: int, attempt: m.Attempt | m.AttemptBundle, reader: BufferReader) -> Item:
    number, function = attempt.attempt, attempt.function
    if isinstance(attempt, m.Attempt):
        buffers = reader.take(attempt.n_buffers)
        return Item(serial, [attempt.msg_id], number, function, [attempt.payload], buffers)
    check(attempt)
    if len(set(attempt.msg_ids)) < len(attempt.msg_ids):
        raise ProtocolError("a bundle with two attempts of one task")
    return Item(serial, attempt.msg_ids, number, function, attempt.payloads, ())


def data_of(start: StartAttempt, values: Sequence[Value], buffers: list[Buffer]) -> list[m.Datum]:
    """Return what an attempt has published as it travels; its buffers are added to *buffers*."""
    data = []
    for name, payload, owned in values:
        data.append(m.Datum(start.msg_id, start.attempt, name, payload, len(owned)))
        buffers += owned
    return data


def not_begun(msg_id: m.MsgId, attempt: int) -> m.Outcome:
    """Return the outcome of a cell before which another one failed."""
    return m.Outcome(msg_id, attempt, "aborted", 0.0, 0.0, 0.0, failure=_FAILED_BEFORE)
