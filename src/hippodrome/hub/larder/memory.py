"""The larder in memory: buffers as they came, or segments where they lie."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from hippodrome.hub.larder.base import Got, Stock, why_dropped, why_never
from hippodrome.hub.larder.book import Book
from hippodrome.hub.larder.worker import Worker
from hippodrome.process.stowage import Stowage
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import MsgId
from hippodrome.segments.kept import KeptSegments
from hippodrome.segments.reference import LEAST_BYTES
from hippodrome.store.large import GONE, TOO_LARGE, Large

MEMORY_BYTES: Final = 64 << 20  # of buffers that are nowhere else


@dataclass(slots=True)
class Held:
    """A buffer: itself, or the name of the segment in which it lies."""

    frame: Buffer = None
    name: str | None = None
    is_stowed: bool = False  # the buffer is in a file, mapped

    def lend(self, segments: KeptSegments | None) -> Buffer | str:
        """Return what can be sent to a client; a text says why there is nothing."""
        if self.name is None:
            return self.frame
        assert segments is not None
        try:
            return segments.lend_again(self.name)
        except OSError as error:
            return f"cannot be read: {error.strerror}"


class MemoryLarder:
    """Large buffers in memory. Those in segments stay there, while there is room for others.

    Args:
        limit_bytes: how many bytes are kept.
        segments: where the segments are; None if there are none.
        stowage: where others are put from `MEMORY_BYTES` on; they stay in memory if it has no room.
    """

    def __init__(
        self,
        limit_bytes: int,
        segments: KeptSegments | None = None,
        stowage: Stowage | None = None,
    ) -> None:
        self._segments = segments
        self._stowage = stowage or Stowage()  # the worker's
        self._memory_bytes = 0
        self._book = Book(limit_bytes)
        self._held: dict[int, Held] = {}
        self._n_taken = 0
        self._linked_bytes = 0
        self._share_bytes = segments.share_bytes() if segments is not None else 0
        self.worker: Worker = Worker("large buffers")
        self.wake_fd: int | None = self.worker.wake_fd

    def take(self, owners: Sequence[MsgId], frame: Buffer) -> bytes | Large:
        name = self._segments.name_in(frame) if self._segments is not None else None
        if name is not None:
            return self._take_segment(owners, name)
        size_bytes = memoryview(frame).nbytes
        if size_bytes < LEAST_BYTES:
            return bytes(frame)
        if size_bytes > self._book.limit_bytes:
            return Large(TOO_LARGE, size_bytes)
        self._memory_bytes += size_bytes
        large = self._enter(owners, size_bytes, Held(frame))
        if self._memory_bytes > MEMORY_BYTES and large.key in self._held:
            self.worker.do(partial(self._stow, large, frame))
        return large

    def _take_segment(self, owners: Sequence[MsgId], name: str) -> Large:
        assert self._segments is not None
        size_bytes = self._segments.size_of(name)
        if size_bytes is None:
            return Large(GONE)
        if size_bytes > self._book.limit_bytes:
            self._remove(name)
            return Large(TOO_LARGE, size_bytes)
        held = Held(name=name)
        self._linked_bytes += size_bytes
        large = self._enter(owners, size_bytes, held)
        if self._linked_bytes > self._share_bytes:
            self.worker.do(partial(self._read, large, name))
        return large

    def _enter(self, owners: Sequence[MsgId], size_bytes: int, held: Held) -> Large:
        self._n_taken += 1
        large = Large(self._n_taken, size_bytes)
        self._held[large.key] = held
        self._let_go(self._book.add(large, owners))
        return large

    def _let_go(self, gone: Sequence[Large]) -> None:
        for large in gone:
            held = self._held.pop(large.key)
            if held.name is not None:
                self._linked_bytes -= large.size_bytes
                self._remove(held.name)
            elif not held.is_stowed:
                self._memory_bytes -= large.size_bytes

    def _remove(self, name: str) -> None:
        assert self._segments is not None
        self.worker.do(partial(self._segments.remove, name))  # to free pages takes a while

    # ---- out of the segments

    def _read(self, large: Large, name: str) -> None:
        """Copy a segment; on the worker's thread."""
        assert self._segments is not None
        try:
            data = _content(self._segments.open_file(name), large.size_bytes)
            stowed = self._stowage.put(data)
        except (OSError, MemoryError):
            self.worker.later(partial(self._lose, large))
        else:
            self.worker.later(partial(self._move, large, data, stowed))

    def _move(self, large: Large, data: Buffer, stowed: Buffer | None) -> None:
        held = self._held.get(large.key)
        if held is None or held.name is None:
            return  # it has had to go meanwhile
        self._linked_bytes -= large.size_bytes
        self._remove(held.name)
        held.name, held.frame, held.is_stowed = None, stowed or data, stowed is not None
        if stowed is None:
            self._memory_bytes += large.size_bytes

    # ---- out of memory

    def _stow(self, large: Large, frame: Buffer) -> None:
        """Put a buffer into a file; on the worker's thread."""
        stowed = self._stowage.put(frame)
        if stowed is not None:
            self.worker.later(partial(self._replace, large, stowed))

    def _replace(self, large: Large, stowed: Buffer) -> None:
        held = self._held.get(large.key)
        if held is not None:
            held.frame, held.is_stowed = stowed, True
            self._memory_bytes -= large.size_bytes

    def _lose(self, large: Large) -> None:
        if large in self._book:
            self._book.drop(large)
            self._let_go([large])

    # ---- the rest

    def release(self, owner: MsgId) -> None:
        self._let_go(self._book.release(owner))

    def owners(self) -> list[MsgId]:
        return list(self._book.owners())

    def why_not(self, large: Large) -> str:
        if not large.was_kept:
            return why_never(large, self._book.limit_bytes)
        return "" if large in self._book else why_dropped(self._book.limit_bytes)

    def fetch(self, wanted: Collection[Large], then: Callable[[Got], None]) -> None:
        then({large: self._get(large) for large in wanted})

    def _get(self, large: Large) -> Buffer | str:
        why = self.why_not(large)
        if why:
            return why
        self._book.touch(large)
        return self._held[large.key].lend(self._segments)

    def collect(self) -> None:
        self.worker.collect()

    def stock(self) -> Stock:
        book = self._book
        return Stock(len(book), book.size_bytes, book.limit_bytes, book.n_dropped)

    def close(self) -> None:
        self.worker.close()


def _content(descriptor: int, size_bytes: int) -> bytearray:
    """Return what a file holds, and close it.

    Raises:
        OSError: it cannot be read, or holds less.
    """
    try:
        data = bytearray(size_bytes)
        view = memoryview(data)
        while view:
            n = os.readv(descriptor, [view])
            if not n:
                raise OSError(errno.EIO, "it was cut off")
            view = view[n:]
        return data
    finally:
        os.close(descriptor)
