"""Attempts as an engine has them: those that came, the one that runs, and how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from hippodrome.errors import ProtocolError
from hippodrome.protocol.bundles import check, ids_of
from hippodrome.protocol.frames import Buffer, BufferReader
from hippodrome.protocol.messages import (
    Assign,
    Attempt,
    AttemptBundle,
    Datum,
    Digest,
    EngineId,
    Failure,
    MsgId,
    Outcome,
    OutcomeBundle,
    Shown,
)

MOST_SERIAL: Final = 1 << 62  # the page holds numbers of 64 bits

_FAILED_BEFORE: Final = Failure(
    "TaskAborted", "not run, as a cell that was queued before it on this engine failed"
)

Value = tuple[str, bytes, Sequence[Buffer]]  # name, pickle and buffers


class StartAttempt(msgspec.Struct, frozen=True, gc=False):
    """Run this attempt now. ``pickle`` is that of ``function``."""

    serial: int
    msg_id: MsgId
    attempt: int
    function: Digest
    payload: bytes
    buffers: tuple[Buffer, ...]
    pickle: bytes


class AttemptEnded(msgspec.Struct, frozen=True, gc=False):
    """How an attempt ended; the fields as in `Outcome`, and the buffers of its result.

    With ``ends_cells`` the cells that wait behind it do not start: it was one, and it failed.
    """

    status: str
    started: float
    run_s: float
    payload: bytes = b""
    buffers: Sequence[Buffer] = ()
    failure: Failure | None = None
    stdout: str = ""
    stderr: str = ""
    shown: Shown | None = None
    data: Sequence[Value] = ()
    ends_cells: bool = False


@dataclass(frozen=True, slots=True)
class EngineSnapshot:
    """The attempts that an engine holds, as tests and people count them."""

    engine: EngineId | None
    queued: tuple[tuple[MsgId, int], ...]
    running: tuple[MsgId, int] | None
    ended: int
    early_drops: int
    functions: int
    asked: frozenset[Digest]


class Item(msgspec.Struct, gc=False, eq=False):
    """Attempts that came together: one, or those of a bundle, which start one by one."""

    serial: int  # of the first
    msg_ids: list[MsgId]
    attempt: int
    function: Digest
    payloads: list[bytes]
    buffers: tuple[Buffer, ...]
    n_begun: int = 0  # or passed over
    dropped: set[MsgId] | None = None
    outcomes: OutcomeBundle | None = None  # the last that has not left, if it can take more

    @property
    def queued(self) -> list[MsgId]:
        """Those that may still start."""
        rest = self.msg_ids[self.n_begun :]
        return [m for m in rest if m not in self.dropped] if self.dropped else rest

    def drop(self, msg_id: MsgId) -> bool:
        """Keep one from starting; return False if it has begun, or was dropped before."""
        if msg_id not in self.queued:
            return False
        self.buffers = ()
        if self.dropped is None:
            self.dropped = set()
        self.dropped.add(msg_id)
        return True


def check_serials(message: Assign) -> None:
    """Raise ProtocolError if attempts have serial numbers that none can have."""
    last = message.first + sum(len(ids_of(attempt)) for attempt in message.attempts)
    if not 0 < message.first <= last < MOST_SERIAL:
        raise ProtocolError(f"serial numbers from {message.first} to {last}")


def item_of(serial: int, attempt: Attempt | AttemptBundle, reader: BufferReader) -> Item:
    """Return what came as one attempt, or as a bundle.

    Raises:
        ProtocolError: its parts do not fit together.
    """
    number, function = attempt.attempt, attempt.function
    if isinstance(attempt, Attempt):
        buffers = reader.take(attempt.n_buffers)
        return Item(serial, [attempt.msg_id], number, function, [attempt.payload], buffers)
    check(attempt)
    if len(set(attempt.msg_ids)) < len(attempt.msg_ids):
        raise ProtocolError("a bundle with two attempts of one task")
    return Item(serial, attempt.msg_ids, number, function, attempt.payloads, ())


def data_of(start: StartAttempt, values: Sequence[Value], buffers: list[Buffer]) -> list[Datum]:
    """Return what an attempt has published as it travels; its buffers are added to *buffers*."""
    data = []
    for name, payload, owned in values:
        data.append(Datum(start.msg_id, start.attempt, name, payload, len(owned)))
        buffers += owned
    return data


def submitter_of(msg_id: MsgId) -> str:
    """Return what the ids of all tasks of one client begin with."""
    return msg_id.rpartition("_")[0]


def not_begun(msg_id: MsgId, attempt: int) -> Outcome:
    """Return the outcome of a cell before which another one failed."""
    return Outcome(msg_id, attempt, "aborted", 0.0, 0.0, 0.0, failure=_FAILED_BEFORE)


def is_plain(ended: AttemptEnded) -> bool:
    """Tell whether an outcome may travel in a bundle."""
    return ended.status == "ok" and not (
        ended.buffers or ended.stdout or ended.stderr or ended.shown
    )
