"""The thread that writes to the database, in the order in which it is told to.

What cannot be written stays in a queue and is tried again, for as long as the queue has room; then
changes are lost, and counted. Nobody waits for this thread, unless to close it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hippodrome.store import database
from hippodrome.store.database import BadFile, transaction
from hippodrome.store.salvage import salvage

log: logging.Logger = logging.getLogger(__name__)

QUEUE_JOBS: Final = 20_000
QUEUE_BYTES: Final = 256 << 20
BATCH_JOBS: Final = 200
RETRY_S: Final = 0.5
WHOLE_S: Final = 10.0
_REASONS: Final = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_IOERR: "input/output error",
}


_OF_THE_FILE: Final = (
    sqlite3.OperationalError,
    sqlite3.InternalError,
    OSError,
    MemoryError,
    BadFile,
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the database.

    Attributes:
        run: makes it.
        n_ended: how many tasks had ended once it was asked for.
        size_bytes: about how much it holds in memory.
        done: called on the writer's thread once it is on disk, or has been given up.
    """

    run: Callable[[sqlite3.Connection], None]
    n_ended: int
    size_bytes: int = 0
    done: Callable[[], None] | None = None


class DiskWriter:
    """Writes to one database file.

    Args:
        path: the file.

    Attributes:
        n_written: how many of the tasks that ended are on disk, or have been given up.
        n_lost: how many changes were given up.
        note: what happened that its owner should know of; empty if nothing did.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._jobs: deque[Change] = deque()
        self._size_bytes = 0
        self._is_idle = True
        self._is_closing = False
        self._connection: sqlite3.Connection | None = None
        self._trouble = ""
        self._since = 0.0
        self._thread: threading.Thread | None = None
        self._is_checked = False
        self._is_odd = False  # a statement failed, and the next check says whose fault it is
        self._aside: Path | None = None  # a bad file of which something may be kept
        self.n_written: int = 0
        self.n_lost: int = 0
        self.note: str = ""

    def post(self, job: Change) -> None:
        """Have a change made soon."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="disk writer", daemon=True)
                self._thread.start()
            if len(self._jobs) >= QUEUE_JOBS or self._size_bytes + job.size_bytes > QUEUE_BYTES:
                if not self.n_lost:
                    log.error("%s: the queue is full, records are lost", self._path)
                self.n_lost += 1
                # Something takes its place, so that what is counted is counted in order.
                job = Change(_nothing, job.n_ended, 0, job.done)
            self._jobs.append(job)
            self._size_bytes += job.size_bytes
            self._changed.notify_all()

    @property
    def trouble(self) -> str:
        """The trouble that keeps it from writing, and since when; empty if nothing does."""
        with self._changed:
            if not self._trouble:
                return ""
            return f"{self._trouble} {time.monotonic() - self._since:.0f} s"

    def wait_written(self, timeout_s: float) -> bool:
        """Wait until all is written that was posted; tell whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs and self._is_idle, timeout_s)

    def wait_troubled(self, timeout_s: float) -> bool:
        """Wait until something keeps it from writing; tell whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._trouble), timeout_s)

    def wait_whole(self) -> None:
        """Wait until the file has been looked through, and what can be kept of a bad one is in it.

        Not if something keeps the writer from it, and not for longer than `WHOLE_S`.
        """
        with self._changed:
            self._changed.wait_for(self._is_whole, WHOLE_S)

    def _is_whole(self) -> bool:
        return self._is_closing or (self._aside is None and bool(self._is_checked or self._trouble))

    def close(self, timeout_s: float) -> bool:
        """Write what is left, if that can be done in time; tell whether the thread has ended."""
        if self._thread is None:
            return True
        if not self.wait_written(timeout_s):
            with self._changed:
                log.error("%s: %d changes were not written", self._path, len(self._jobs))
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            while jobs := self._next_jobs():
                try:
                    self._write(jobs)
                    self._on_written(jobs)
                except Exception as error:  # whatever it is, it may be over the next time
                    self._on_error(error)
        finally:
            self._disconnect()

    def _next_jobs(self) -> list[Change]:
        """Wait for jobs; return the first of them, which stay where they are; none at the end."""
        with self._changed:
            if self._trouble and not self._is_closing:
                self._changed.wait_for(lambda: self._is_closing, RETRY_S)
            self._changed.wait_for(lambda: self._jobs or self._is_closing)
            if self._is_closing:
                return []
            self._is_idle = False
            return [self._jobs[i] for i in range(min(len(self._jobs), BATCH_JOBS))]

    def _write(self, jobs: list[Change]) -> None:
        if self._connection is None:
            self._connection = self._connect()
        connection = self._connection
        with transaction(connection):
            for job in jobs:
                self._run_job(job, connection)

    def _run_job(self, job: Change, connection: sqlite3.Connection) -> None:
        try:
            job.run(connection)
        except Exception as error:
            if isinstance(error, _OF_THE_FILE) or type(error) is sqlite3.DatabaseError:
                raise
            # It would be no better the next time, and must not hold up the others.
            log.error("%s: a change makes no sense: %s", self._path, error)  # noqa: TRY400
            self.n_lost += 1

    def _connect(self) -> sqlite3.Connection:
        """Open the file, look whether it is whole, and bring back what was in one that was not."""
        connection = database.open_for_writing(self._path)
        try:
            if not self._is_checked:
                database.check(connection)
            if self._aside is not None:
                self._salvage(self._aside, connection)
            with self._changed:
                self._is_checked, self._aside = True, None
                self._changed.notify_all()
        except BaseException:
            connection.close()
            raise
        return connection

    def _salvage(self, aside: Path, connection: sqlite3.Connection) -> None:
        try:
            salvaged = salvage(aside, connection)
        except (OSError, sqlite3.Error):
            raise  # it may go better the next time
        except Exception:
            log.exception("%s: nothing could be kept of it", aside)
            return
        kept = f"{salvaged.n_kept} records of it were kept"
        damaged = f", {salvaged.n_damaged} are damaged" if salvaged.n_damaged else ""
        self.note = f"a bad file was moved to {aside.name}; {kept}{damaged}"
        log.error("%s: %s", self._path, self.note)

    def _on_written(self, jobs: list[Change]) -> None:
        with self._changed:
            for job in jobs:
                self._jobs.popleft()
                self._size_bytes -= job.size_bytes
            self.n_written = jobs[-1].n_ended
            self._is_idle, self._is_odd = True, False
            if self._trouble:
                held_up_s = time.monotonic() - self._since
                log.warning("%s: can be written again, after %.0f s", self._path, held_up_s)
                self._trouble = ""
            self._changed.notify_all()
        for job in jobs:
            if job.done is not None:
                job.done()

    def _on_error(self, error: Exception) -> None:
        """Note what keeps us from writing; the jobs stay."""
        if database.is_bad(error):
            self._move_aside(error)
            return
        code = database.code_of(error)
        if code == sqlite3.SQLITE_ERROR:  # our statements fit our tables, if these are as they were
            if self._is_odd:
                self._move_aside(error)
                return
            self._is_odd, self._is_checked = True, False
        reason = _REASONS.get(code) or getattr(error, "strerror", None) or str(error)
        reason = reason or type(error).__name__
        if self._set_trouble(reason):
            log.warning("%s: cannot be written: %s (%s)", self._path, reason, error)
        if code != sqlite3.SQLITE_BUSY:
            self._disconnect()  # a new one may do better

    def _set_trouble(self, reason: str) -> bool:
        """Note that nothing can be written for now; tell whether that is news."""
        with self._changed:
            self._is_idle = True
            is_news = reason != self._trouble
            if not self._trouble:
                self._since = time.monotonic()
            self._trouble = reason
            self._changed.notify_all()
        return is_news

    def _move_aside(self, error: Exception) -> None:
        """Give the bad file another name; the next turn makes a new one."""
        self._disconnect()
        aside = self._path.with_name(f"{self._path.name}.bad-{time.time_ns()}")
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                os.rename(f"{self._path}{suffix}", f"{aside}{suffix}")
        self._is_checked = False
        if self._path.exists():
            is_news = self._set_trouble("a bad file is in the way")
        else:
            self.note = f"a bad file was moved to {aside.name}"
            self._aside = None if isinstance(error, database.OtherVersion) else aside
            is_news = self._set_trouble("a bad file was moved aside")
        if is_news:
            log.error("%s: cannot be used (%s); moved to %s", self._path, error, aside)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # it was of no use any more
                connection.close()


def _nothing(connection: sqlite3.Connection) -> None:
    """Do nothing in place of what was lost."""
