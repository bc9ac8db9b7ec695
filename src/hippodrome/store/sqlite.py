"""The store that keeps its records in a file, with the latest of them in memory.

Whatever is not yet on disk is in memory. So a question is answered by what memory has at that
moment, and by what is on disk of all others; the disk is read on another thread, and written on a
third. What is locked, full, read-only or broken holds up nobody, and is said aloud.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from hippodrome.process.handover import Handover
from hippodrome.protocol.messages import Digest, MsgId
from hippodrome.store import database, rows
from hippodrome.store.base import Absent, Found, StoreCondition, Then, Unreadable
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.diskreader import DiskReader
from hippodrome.store.diskwriter import Change, DiskWriter
from hippodrome.store.filters import Filter
from hippodrome.store.memory import MemoryStore
from hippodrome.store.record import TaskRecord

log: logging.Logger = logging.getLogger(__name__)

S = TypeVar("S")
T = TypeVar("T")

CLOSE_S: Final = 3.0
MOST_DAMAGED: Final = 10_000  # of which it is remembered which they are


class SqliteStore:
    """Records in an SQLite database; none is ever forgotten unless it is removed.

    Args:
        path: the file; made if missing.
        record_limit: how many finished records are kept in memory besides.
        size_limit: how many bytes of payload these may hold together.
    """

    def __init__(self, path: Path, record_limit: int = 2_000, size_limit: int = 64 << 20) -> None:
        # Numbers of later sessions are higher, so that records of all sessions can be ordered.
        first_number = time.time_ns() // 1000
        self._memory = MemoryStore(record_limit, size_limit, first_number)
        self._memory.may_cull = 0
        self.writer: DiskWriter = DiskWriter(path)
        self._reader = DiskReader(
            path, self.writer.wait_whole, partial(self._later, self._look_through)
        )
        self._is_looking = False
        self._damaged: set[MsgId] = set()
        self._removing: dict[MsgId, int] = {}  # not gone from the disk yet
        self._renaming: dict[MsgId, MsgId] = {}
        self._n_clearing = 0
        self._answers = Handover()
        self.wake_fd: int | None
        self.wake_fd = self._answers.fd
        self._post(partial(rows.end_session, wall=time.time()))

    # ------------------------------------------------------------ changes

    def put_submitted(self, batch: Submission) -> None:
        number = self._memory.next_number
        self._memory.put_submitted(batch)
        run = partial(rows.write_submitted, batch=batch, number=number)
        self._post(run, size_bytes=batch.size_bytes)

    def put_ended(self, batch: Ending) -> None:
        number = self._memory.next_number
        self._memory.may_cull = self.writer.n_written
        self._memory.put_ended(batch)
        self._post(partial(rows.write_ended, batch=batch, number=number), batch.size_bytes)

    def put_functions(self, functions: Mapping[Digest, bytes]) -> None:
        self._memory.put_functions(functions)
        self._post(partial(rows.write_functions, functions=functions))

    def resubmitted(self, renamed: Mapping[MsgId, MsgId]) -> None:
        self._memory.resubmitted(renamed)
        self._renaming.update(renamed)
        self._post(
            partial(rows.write_resubmitted, renamed=renamed),
            done=partial(self._later, partial(self._renamed, renamed)),
        )

    def _renamed(self, renamed: Mapping[MsgId, MsgId]) -> None:
        for old, new in renamed.items():
            if self._renaming.get(old) == new:
                del self._renaming[old]

    def remove(self, msg_ids: Collection[MsgId]) -> None:
        going = [msg_id for msg_id in msg_ids if not self._is_unfinished(msg_id)]
        self._memory.remove(going)
        self._damaged.difference_update(going)
        for msg_id in going:
            self._removing[msg_id] = self._removing.get(msg_id, 0) + 1
        self._post(
            partial(rows.remove, msg_ids=going),
            done=partial(self._later, partial(self._removed, going)),
        )

    def _is_unfinished(self, msg_id: MsgId) -> bool:
        record = self._memory.get(msg_id)
        return isinstance(record, TaskRecord) and not record.is_finished

    def _removed(self, msg_ids: Collection[MsgId]) -> None:
        for msg_id in msg_ids:
            self._removing[msg_id] -= 1
            if not self._removing[msg_id]:
                del self._removing[msg_id]

    def remove_finished(self) -> None:
        self._memory.remove_finished()
        self._damaged.clear()
        self._n_clearing += 1
        self._post(rows.remove_finished, done=partial(self._later, self._cleared))

    def _cleared(self) -> None:
        self._n_clearing -= 1

    def _post(
        self,
        run: Callable[[sqlite3.Connection], None],
        size_bytes: int = 0,
        done: Callable[[], None] | None = None,
    ) -> None:
        self.writer.post(Change(run, self._memory.n_ended, size_bytes, done))

    def _look_through(self) -> None:
        """Have the writer find out whether the file is damaged, and do what there is to do then."""
        if not self._is_looking:
            self._is_looking = True
            self._post(database.check, done=partial(self._later, self._looked_through))

    def _looked_through(self) -> None:
        self._is_looking = False

    # ------------------------------------------------------------ questions

    def find(self, msg_ids: Collection[MsgId], then: Then[Found]) -> None:
        known = {msg_id: self._memory.get(msg_id) for msg_id in msg_ids}
        absent = [msg_id for msg_id, record in known.items() if isinstance(record, Absent)]
        if not absent or self._n_clearing:
            then({**known, **self._missing(absent)})
            return
        hidden = self._removing.keys() & set(absent)

        def merge(records: list[TaskRecord]) -> Found:
            found = {r.msg_id: self._shown(r) for r in records if r.msg_id not in hidden}
            return {**known, **self._missing(absent), **found}

        nothing: list[TaskRecord] = []
        self._ask(partial(rows.read, msg_ids=absent), nothing, _merged(merge, then))

    def _missing(self, msg_ids: list[MsgId]) -> dict[MsgId, Absent]:
        """Say why there are no such records, neither in memory nor on disk."""
        # Memory has forgotten much; only what was lost on its way is not on disk then.
        return {} if self.writer.n_lost else dict.fromkeys(msg_ids, Absent.UNKNOWN)

    def search(self, wanted: Filter, then: Then[list[TaskRecord]]) -> None:
        here, hidden = self._memory.matching(wanted), self._hidden()

        def merge(records: list[TaskRecord]) -> list[TaskRecord]:
            found = [self._shown(record) for record in records if record.msg_id not in hidden]
            return sorted(here + found, key=lambda record: record.number)

        self._ask_unless_clearing(partial(rows.search, wanted=wanted), _merged(merge, then))

    def history(self, then: Then[list[MsgId]]) -> None:
        here, hidden = self._memory.numbered(), self._hidden()

        def merge(numbered: list[tuple[int, MsgId]]) -> list[MsgId]:
            found = [each for each in numbered if each[1] not in hidden]
            return [msg_id for _, msg_id in sorted(here + found)]

        self._ask_unless_clearing(rows.history, _merged(merge, then))

    def count(self, then: Then[int]) -> None:
        n_here, hidden = len(self._memory), self._hidden()
        if self._n_clearing:
            then(n_here)
        else:
            read = partial(rows.count, known=hidden)
            self._ask(read, 0, _merged(lambda n_there: n_here + n_there, then))

    def find_functions(
        self, digests: Collection[Digest], then: Then[Mapping[Digest, bytes]]
    ) -> None:
        known = self._memory.functions(digests)
        absent = [digest for digest in digests if digest not in known]
        read, nothing = partial(rows.read_functions, digests=absent), dict[Digest, bytes]()

        def merge(found: dict[Digest, bytes]) -> dict[Digest, bytes]:
            return {**known, **found}

        self._ask(read, nothing, _merged(merge, then))

    def absent(self, msg_ids: Collection[MsgId], then: Callable[[Collection[MsgId]], None]) -> None:
        """Find out which tasks certainly have no record; an unreadable disk tells nothing."""
        unknown = [msg_id for msg_id in msg_ids if msg_id not in self._memory]
        going = set(unknown) if self._n_clearing else self._removing.keys() & set(unknown)

        def tell(found: set[MsgId] | Unreadable | None) -> None:
            then(going | (set(unknown) - found) if isinstance(found, set) else going)

        nothing: set[MsgId] | None = None
        self._ask(partial(rows.present, msg_ids=unknown), nothing, tell)

    def _hidden(self) -> set[MsgId]:
        """Return the ids of which the disk knows nothing new: they are in memory, or going."""
        return {msg_id for _, msg_id in self._memory.numbered()} | self._removing.keys()

    def _shown(self, record: TaskRecord) -> TaskRecord:
        if record.damage and len(self._damaged) < MOST_DAMAGED:
            if record.msg_id not in self._damaged:
                log.warning("the record of %s is damaged: %s", record.msg_id, record.damage)
            self._damaged.add(record.msg_id)
        record.resubmitted = self._renaming.get(record.msg_id, record.resubmitted)
        return record

    def _ask_unless_clearing(
        self, read: Callable[[sqlite3.Connection], list[T]], then: Then[list[T]]
    ) -> None:
        """Ask the disk, unless all that it has and memory has not is about to go."""
        nothing: list[T] = []
        if self._n_clearing:
            then(nothing)
        else:
            self._ask(read, nothing, then)

    def _ask(self, read: Callable[[sqlite3.Connection], T], nothing: T, then: Then[T]) -> None:
        self._reader.ask(read, nothing, lambda found: self._later(partial(then, found)))

    # ------------------------------------------------------------ other threads

    def _later(self, call: Callable[[], Any]) -> None:
        """Have *call* called by `collect`; on any thread."""
        self._answers.later(call)

    def collect(self) -> None:
        self._answers.collect()

    def condition(self) -> StoreCondition:
        trouble = self.writer.trouble or self._reader.trouble
        if self._damaged and not trouble:
            trouble = f"damaged records: {len(self._damaged)}"
        memory = self._memory.condition()
        return StoreCondition(
            "sqlite", trouble, memory.n_records, memory.n_finished, 0, self.writer.n_lost,
            self.writer.note,
        )  # fmt: skip

    def close(self) -> None:
        if self.wake_fd is None:
            return
        has_ended = self.writer.close(CLOSE_S) and self._reader.close(CLOSE_S)
        self._answers.close(is_last=has_ended)
        self.wake_fd = None


def _merged(merge: Callable[[S], T], then: Then[T]) -> Then[S]:
    """Return what hands *then* what *merge* makes of an answer, or why there is none."""

    def take(found: S | Unreadable) -> None:
        then(found if isinstance(found, Unreadable) else merge(found))

    return take
