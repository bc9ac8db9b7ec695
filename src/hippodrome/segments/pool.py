"""Segments that a process keeps, to write them again when nobody can see what is in them.

New pages are what costs time when a large buffer is written: the kernel zeroes each, and enters
it into page tables. A kept segment has a second name, in a directory of the pool, so that the
scheduler, which removes the first when no task needs it, frees no pages. It is written again when

- the first name is gone, so that nobody can open it any more, and
- nobody has it mapped: receivers hold a shared lock for as long as their mapping lives. The
  kernel keeps the lock for the mapping, also for that of a forked child, and takes it back however
  the process ends.

The exclusive lock is held from before the first byte is written until the segment has its new
name. A receiver that was stopped in between finds, once it has its lock, that its name is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
from collections import deque
from typing import Final

from hippodrome.process.descriptors import write_all

PREFIX: Final = ".pool-"  # of directories; no reference has a dot
LOCK: Final = ".lock"
LIMIT_BYTES: Final = 256 << 20
LEAST_FREE: Final = 0.5  # of the file system; with less nothing is kept
TRIES: Final = 4  # segments that are looked at for one buffer
PREPARED_BYTES: Final = 8 << 20  # from here on it pays to prepare a second segment
IDLE_S: Final = 5.0  # then everything is given back


class Pool:
    """The kept segments of one process, in a directory that is locked while it lives.

    Any thread may use it. A forked child has none: its methods do nothing there.

    Args:
        directory: that of the controller's segments.
    """

    def __init__(self, directory: str) -> None:
        self._parent = directory
        self._directory = ""  # made when first needed
        self._lock_fd = -1
        self._pid = os.getpid()
        self._kept: deque[_Kept] = deque()  # the one that was lent longest ago first
        self._n_made = 0
        self._n_uses = 0
        self._wanted: deque[int] = deque()  # sizes of segments to prepare
        self._keeper: threading.Thread | None = None
        self._is_closed = False
        self._changed = threading.Condition()

    def rewrite(self, path: str, data: memoryview) -> bool:
        """Write *data* to a kept segment that is free, and name it *path*.

        Returns:
            Whether there was one.
        """
        if os.getpid() != self._pid:
            return False
        with self._changed:
            self._n_uses += 1
            found = self._take(data.nbytes)
        if found is None:
            return False
        kept, descriptor = found
        try:
            kept.write(descriptor, data)
            os.link(kept.path, path)
        except OSError:  # no memory for it, or the directory is gone
            kept.remove()
            return False
        except BaseException:
            kept.remove()
            raise
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough after a fork
            os.close(descriptor)
        self._add(kept, prepare=data.nbytes >= PREPARED_BYTES)
        return True

    def keep(self, path: str, size_bytes: int) -> None:
        """Keep the segment that was just written to *path*, which nobody has seen yet."""
        if os.getpid() != self._pid or not self._may_keep(size_bytes):
            return
        kept = self._make(size_bytes)
        if kept is None:
            return
        with contextlib.suppress(OSError):
            os.link(path, kept.path)
            self._add(kept, prepare=size_bytes >= PREPARED_BYTES)

    def clear(self) -> None:
        """Give everything back; segments that are still needed have their other name."""
        if os.getpid() != self._pid:
            return
        with self._changed:
            while self._kept:
                self._kept.popleft().remove()

    def close(self) -> None:
        """Give everything back, for good."""
        if os.getpid() != self._pid:
            return
        with self._changed:
            self._is_closed = True
            self._changed.notify()
            keeper = self._keeper
        if keeper is not None:
            keeper.join()
        self.clear()
        with self._changed:
            if self._directory:
                shutil.rmtree(self._directory, ignore_errors=True)
                os.close(self._lock_fd)
                self._directory = ""

    # ---- segments

    def _take(self, size_bytes: int) -> tuple[_Kept, int] | None:
        """Return a free segment, locked, and its descriptor; the caller holds the pool's lock."""
        for _ in range(min(TRIES, len(self._kept))):
            kept = self._kept[0]
            descriptor = kept.lock() if size_bytes <= kept.size_bytes <= 2 * size_bytes else None
            if descriptor is not None:
                self._kept.popleft()
                return kept, descriptor
            self._kept.rotate(-1)
        return None

    def _add(self, kept: _Kept, *, prepare: bool = False) -> None:
        with self._changed:
            if self._is_closed:
                kept.remove()
                return
            self._kept.append(kept)
            while sum(each.size_bytes for each in self._kept) > LIMIT_BYTES:
                self._kept.popleft().remove()
            if prepare and not self._wanted:
                self._wanted.append(kept.size_bytes)
            self._rouse_keeper()

    def _may_keep(self, size_bytes: int) -> bool:
        if size_bytes > LIMIT_BYTES // 2:
            return False  # each would drive out the one before it
        try:
            found = os.statvfs(self._parent)
        except OSError:
            return False
        return found.f_bavail * found.f_frsize - size_bytes > LEAST_FREE * (
            found.f_blocks * found.f_frsize
        )

    def _make(self, size_bytes: int) -> _Kept | None:
        """Return a segment that has no file yet."""
        with self._changed:
            if self._is_closed:
                return None
            if not self._directory:
                try:
                    self._make_directory()
                except OSError:
                    return None
            self._n_made += 1
            return _Kept(os.path.join(self._directory, str(self._n_made)), size_bytes)

    def _make_directory(self) -> None:
        made = tempfile.mkdtemp(prefix=".new-", dir=self._parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._lock_fd = os.open(os.path.join(made, LOCK), flags, 0o600)
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        self._directory = made.replace(".new-", PREFIX)
        os.rename(made, self._directory)  # from now on who finds it can tell whether we live

    # ---- on the pool's thread

    def _rouse_keeper(self) -> None:
        if self._keeper is None:
            name = "hippodrome-segments"
            keeper = threading.Thread(target=self._keep_house, name=name, daemon=True)
            with contextlib.suppress(RuntimeError):  # too many threads, or the interpreter ends
                keeper.start()
                self._keeper = keeper
        elif self._wanted:
            self._changed.notify()

    def _keep_house(self) -> None:
        """Prepare segments, and give all back once the pool is idle; then end."""
        while True:
            with self._changed:
                before = self._n_uses
                self._changed.wait_for(lambda: self._is_closed or self._wanted, IDLE_S)
                is_idle = not self._wanted and before == self._n_uses
                if self._is_closed or is_idle:
                    self._keeper = None
                    break
                size_bytes = self._wanted.popleft() if self._wanted else 0
            if size_bytes:
                self._prepare(size_bytes)
        self.clear()

    def _has_free(self, size_bytes: int) -> bool:
        with self._changed:
            found = self._take(size_bytes)
            if found is None:
                return False
            kept, descriptor = found
            self._kept.appendleft(kept)
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough after a fork
            os.close(descriptor)
            return True

    def _prepare(self, size_bytes: int) -> None:
        """Make a segment that has its pages, unless one is free.

        Who pushes twice needs two at a time, and what the records keep is not free for long.
        """
        if self._has_free(size_bytes) or not self._may_keep(size_bytes):
            return
        kept = self._make(size_bytes)
        if kept is not None:
            try:
                kept.allocate()
            except OSError:
                kept.remove()
            else:
                self._add(kept)


class _Kept:
    """One segment, by the name that keeps it.

    Attributes:
        path: that name.
        size_bytes: of the file.
    """

    def __init__(self, path: str, size_bytes: int) -> None:
        self.path = path
        self.size_bytes = size_bytes

    def lock(self) -> int | None:
        """Return a descriptor that holds the exclusive lock; None while somebody needs it.

        While there is another name the lock is left alone: a receiver may be waiting for it.
        """
        descriptor = -1
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            if os.fstat(descriptor).st_nlink == 1:  # and only the pool can give it another
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
        except OSError:
            pass  # it is mapped somewhere, or has been removed
        if descriptor >= 0:
            os.close(descriptor)
        return None

    def write(self, descriptor: int, data: memoryview) -> None:
        """Replace what is in it; the caller holds the lock."""
        if data.nbytes < self.size_bytes:
            os.ftruncate(descriptor, data.nbytes)
            self.size_bytes = data.nbytes
        write_all(descriptor, data)

    def allocate(self) -> None:
        """Make the file, with its pages; what is in them does not matter."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self.size_bytes)
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Give the pages back, unless there is another name."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)
