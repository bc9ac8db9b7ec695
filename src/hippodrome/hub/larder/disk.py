"""The larder on disk, in a directory beside the database of the records."""

from __future__ import annotations

import logging
import mmap
import os
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from hippodrome.hub.larder import files
from hippodrome.hub.larder.base import Got, Stock, why_dropped, why_never
from hippodrome.hub.larder.book import Book
from hippodrome.hub.larder.memory import Held
from hippodrome.hub.larder.worker import Worker
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import MsgId
from hippodrome.segments.files import Segments
from hippodrome.segments.kept import KeptSegments
from hippodrome.segments.reference import LEAST_BYTES
from hippodrome.store.large import CROWDED, GONE, TOO_LARGE, Large

log: logging.Logger = logging.getLogger(__name__)

SUFFIX: Final = ".large"
QUEUE_BYTES: Final = 256 << 20  # in memory of our own; segments are there anyway
MOST_REASONS: Final = 10_000

Absent = Callable[[Collection[MsgId], Callable[[Collection[MsgId]], None]], None]


class DiskLarder:
    """Large buffers in files, which the next controller finds again.

    Args:
        directory: where they go; made if missing.
        limit_bytes: how many bytes are kept.
        segments: where segments are found; None if there are none.
        lender: makes segments; None likewise.

    Attributes:
        absent: tells, of tasks whose buffers were found in files, which have no record.
    """

    def __init__(
        self,
        directory: Path,
        limit_bytes: int,
        segments: KeptSegments | None = None,
        lender: Segments | None = None,
    ) -> None:
        self._directory = directory
        self._segments = segments
        self._lender = lender
        self._book = Book(limit_bytes)
        self._pending: dict[int, Held] = {}  # not written yet
        self._pending_bytes = 0
        self._most_pending = QUEUE_BYTES if segments is None else segments.share_bytes()
        self._reasons: dict[int, str] = {}
        self._n_failed = 0
        self._trouble = ""
        # Keys of later controllers are higher, so that those of all can be ordered.
        self._first_key = self._next_key = time.time_ns() // 1000
        self._n_lent = 0
        self._is_loaded = False
        self._released_early: set[MsgId] = set()
        self.absent: Absent | None = None
        self.worker: Worker = Worker("large buffers")
        self.wake_fd: int | None = self.worker.wake_fd
        self.worker.do(self._load)

    # ---- what was there

    def _load(self) -> None:
        """Look what there is; on the worker's thread."""
        found: list[tuple[Large, list[MsgId]]] = []
        try:
            if self._directory.is_dir():
                found += files.scan(self._directory)
        except OSError as error:
            log.warning("%s: cannot be read: %s", self._directory, error)
        self.worker.later(partial(self._loaded, found))

    def _loaded(self, found: list[tuple[Large, list[MsgId]]]) -> None:
        self._is_loaded = True
        self._remove_files(self._book.add_old([each for each in found if each[1]]))
        self._remove_files([large for large, owners in found if not owners])
        for owner in self._released_early:
            self.release(owner)
        self._released_early.clear()
        if self.absent is not None and found:
            owners = {owner for _, names in found for owner in names}
            self.absent(owners, self._release_all)

    def _release_all(self, owners: Collection[MsgId]) -> None:
        """Let go of what a crash has left without a record."""
        for owner in owners:
            self.release(owner)

    # ---- what comes

    def take(self, owners: Sequence[MsgId], frame: Buffer) -> bytes | Large:
        name = self._segments.name_in(frame) if self._segments is not None else None
        if name is None:
            size = memoryview(frame).nbytes
            if size < LEAST_BYTES:
                return bytes(frame)
            held = Held(frame)
        else:
            assert self._segments is not None
            size_of_segment, held = self._segments.size_of(name), Held(name=name)
            if size_of_segment is None:
                return Large(GONE)
            size = size_of_segment
        if size > self._book.limit_bytes or self._is_full(size):
            self._forget_segment(held)
            if size > self._book.limit_bytes:
                return Large(TOO_LARGE, size)
            self._n_failed += 1
            return Large(CROWDED, size)
        self._next_key += 1
        large = Large(self._next_key, size)
        self._pending[large.key] = held
        self._pending_bytes += size
        self._drop(self._book.add(large, owners))
        self.worker.do(partial(self._write, large, list(owners), held))
        return large

    def _is_full(self, size_bytes: int) -> bool:
        return bool(self._pending) and self._pending_bytes + size_bytes > self._most_pending

    def _write(self, large: Large, owners: list[MsgId], held: Held) -> None:
        """Write a file; on the worker's thread."""
        if large.key not in self._pending:
            self._forget_segment(held)
            return
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._directory / str(large.key)
            if held.name is None:
                files.write(path, owners, held.frame)
            else:
                self._write_segment(path, owners, held.name)
        except (OSError, ValueError, MemoryError) as error:
            self.worker.later(partial(self._failed, large, held, error))
        else:
            self.worker.later(partial(self._written, large, held))

    def _write_segment(self, path: Path, owners: list[MsgId], name: str) -> None:
        assert self._segments is not None
        descriptor = self._segments.open_file(name)
        try:
            content = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        try:
            with memoryview(content) as view:
                files.write(path, owners, view)
        finally:
            with suppress(BufferError):
                content.close()

    def _forget_segment(self, held: Held) -> None:
        if held.name is not None and self._segments is not None:
            self.worker.do(partial(self._segments.remove, held.name))

    def _settle(self, large: Large) -> bool:
        """Note that a buffer waits for the disk no more; tell whether it did."""
        if self._pending.pop(large.key, None) is None:
            return False
        self._pending_bytes -= large.size_bytes
        return True

    def _written(self, large: Large, held: Held) -> None:
        self._settle(large)
        self._forget_segment(held)  # not before: until now it is lent from there
        if large not in self._book:
            self._remove_files([large])  # it has had to go meanwhile
        if self._trouble:
            log.warning("%s: can be written again", self._directory)
            self._trouble = ""

    def _failed(self, large: Large, held: Held, error: Exception) -> None:
        self._settle(large)
        self._forget_segment(held)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if reason != self._trouble:
            log.error(
                "%s: cannot be written: %s; what is large is not kept", self._directory, error
            )
            self._trouble = reason
        self._n_failed += 1
        self._book.drop(large)
        self._note(large, f"could not be kept: {reason}")

    def _note(self, large: Large, reason: str) -> None:
        self._reasons[large.key] = reason
        if len(self._reasons) > MOST_REASONS:
            del self._reasons[next(iter(self._reasons))]

    # ---- what goes

    def _drop(self, gone: Sequence[Large]) -> None:
        self._remove_files([large for large in gone if not self._settle(large)])

    def _remove_files(self, gone: Sequence[Large]) -> None:
        for large in gone:
            self.worker.do(partial(self._unlink, self._directory / str(large.key)))

    def _unlink(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink()

    def release(self, owner: MsgId) -> None:
        if not self._is_loaded:
            self._released_early.add(owner)
        self._drop(self._book.release(owner))

    def owners(self) -> list[MsgId]:
        return list(self._book.owners())

    # ---- what is asked for

    def why_not(self, large: Large) -> str:
        if not large.was_kept:
            return why_never(large, self._book.limit_bytes)
        if large in self._book or (not self._is_loaded and large.key <= self._first_key):
            return ""
        return self._reasons.get(large.key) or why_dropped(self._book.limit_bytes)

    def fetch(self, wanted: Collection[Large], then: Callable[[Got], None]) -> None:
        got: dict[Large, Buffer | str] = {}
        on_disk: list[Large] = []
        for large in wanted:
            why = self.why_not(large)
            held = self._pending.get(large.key)
            if why:
                got[large] = why
            elif held is None:
                on_disk.append(large)
            else:
                got[large] = held.lend(self._segments)
            if large in self._book:
                self._book.touch(large)
        if on_disk:
            self.worker.do(partial(self._read, on_disk, got, then), urgent=True)
        else:
            then(got)

    def _read(
        self, wanted: list[Large], got: dict[Large, Buffer | str], then: Callable[[Got], None]
    ) -> None:
        """Read files; on the worker's thread."""
        for large in wanted:
            try:
                got[large] = self._lend(files.read(self._directory / str(large.key), large))
            except files.DamagedFile as error:
                log.error("%s/%d: is damaged: %s", self._directory, large.key, error)  # noqa: TRY400
                got[large] = f"is damaged on disk: {error}"
            except (OSError, MemoryError) as error:
                log.error("%s/%d: cannot be read: %s", self._directory, large.key, error)  # noqa: TRY400
                got[large] = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        self.worker.later(partial(then, got))

    def _lend(self, data: bytearray) -> Buffer:
        if self._lender is None:
            return data
        self._n_lent += 1
        (lent,) = self._lender.lend(f"read-{self._n_lent}", [data])
        return lent

    def collect(self) -> None:
        self.worker.collect()

    def stock(self) -> Stock:
        book = self._book
        n_dropped = book.n_dropped + self._n_failed
        return Stock(len(book), book.size_bytes, book.limit_bytes, n_dropped, self._trouble)

    def close(self) -> None:
        self.worker.close()
