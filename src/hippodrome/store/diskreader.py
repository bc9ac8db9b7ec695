"""The thread that reads from the database, one question after the other."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeVar

from hippodrome.store import database
from hippodrome.store.base import Then, Unreadable

log: logging.Logger = logging.getLogger(__name__)

LOCKED_S: Final = 1.0  # how long a lock is waited for
PAUSE_S: Final = 0.01

T = TypeVar("T")
Question = tuple[Callable[[sqlite3.Connection], Any], Any, Callable[[Any], None]]  # see `ask`


class DiskReader:
    """Reads from one database file.

    Args:
        path: the file.
        wait_whole: waits until the file has been looked through, if it is about to be.
        suspect: called on the reader's thread when the file seems to be damaged.
    """

    def __init__(
        self,
        path: Path,
        wait_whole: Callable[[], None] = lambda: None,
        suspect: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = path
        self._wait_whole = wait_whole
        self._suspect = suspect
        self._questions: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.trouble: str = ""

    def ask(self, read: Callable[[sqlite3.Connection], T], nothing: T, then: Then[T]) -> None:
        """Have a question answered soon.

        Args:
            read: finds the answer.
            nothing: the answer if there is no database yet.
            then: takes the answer, on the reader's thread.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="disk reader", daemon=True)
            self._thread.start()
        self._questions.put((read, nothing, then))

    def close(self, timeout_s: float) -> bool:
        """Answer what is left, and end; tell whether that could be done in time."""
        if self._thread is None:
            return True
        self._questions.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (question := self._questions.get()) is not None:
            read, nothing, then = question
            try:
                then(self._answer(read, nothing))
            except Exception:  # the next question wants its answer all the same
                log.exception("%s: an answer was lost", self._path)

    def _answer(self, read: Callable[[sqlite3.Connection], T], nothing: T) -> T | Unreadable:
        self._wait_whole()
        until = time.monotonic() + LOCKED_S
        while True:
            try:
                found = self._read(read, nothing)
            except Exception as error:  # a damaged file may make anything of what is in it
                if database.code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    return self._failed(error)
                time.sleep(PAUSE_S)  # the writer has it, as when it closes the file
            else:
                self.trouble = ""
                return found

    def _failed(self, error: Exception) -> Unreadable:
        if str(error) != self.trouble:
            log.warning("%s: cannot be read: %r", self._path, error)
        self.trouble = str(error)
        if database.is_bad(error) or database.code_of(error) == sqlite3.SQLITE_ERROR:
            self._suspect()
        return Unreadable(f"the records on disk cannot be read: {error}")

    def _read(self, read: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        if not self._path.exists():
            return nothing
        # A new connection costs little, and never holds on to a file that was moved aside.
        with closing(database.open_for_reading(self._path)) as connection:
            # else its tables are not what they will be, as the writer has just begun
            is_ready = database.version_of(connection) >= database.VERSION
            return read(connection) if is_ready else nothing
