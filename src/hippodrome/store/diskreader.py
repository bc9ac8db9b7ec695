"""The thread that reads from the database, one question after the other."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hippodrome.store import rows
from hippodrome.store.base import Then, Unreadable
from hippodrome.store.diskwriter import BUSY_S

log: logging.Logger = logging.getLogger(__name__)

T = TypeVar("T")
Question = tuple[Callable[[sqlite3.Connection], Any], Any, Callable[[Any], None]]  # see `ask`


class DiskReader:
    """Reads from one database file.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
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
                then(self._read(read, nothing))
            except Exception:  # the next question wants its answer all the same
                log.exception("%s: an answer was lost", self._path)

    def _read(self, read: Callable[[sqlite3.Connection], T], nothing: T) -> T | Unreadable:
        if not self._path.exists():
            return nothing
        try:
            # A new connection costs little, and never holds on to a file that was moved aside.
            uri = f"{self._path.absolute().as_uri()}?mode=rw"
            connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S)
            try:
                connection.execute("PRAGMA query_only = ON")
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                # else its tables are not what they will be, as the writer has just begun
                is_ready = version >= rows.VERSION
                found = read(connection) if is_ready else nothing
            finally:
                connection.close()
        except Exception as error:  # a damaged file may make anything of what is in it
            if str(error) != self.trouble:
                log.warning("%s: cannot be read: %r", self._path, error)
            self.trouble = str(error)
            return Unreadable(f"the records on disk cannot be read: {error}")
        self.trouble = ""
        return found
