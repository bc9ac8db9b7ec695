"""Keeps what can be read of a file that was moved aside: each record that is not damaged itself."""

from __future__ import annotations

import mmap
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hippodrome.store.checked import CALL, END, READ, REAL, fits_call, fits_end, sum_of
from hippodrome.store.database import transaction
from hippodrome.store.pages import Pages

SIZES: Final = (4096, 1024, 2048, 8192, 16384, 32768, 65536, 512)  # the first is the usual one

# The columns as they follow each other in a file; older files have less of the last ones.
_IN_FILE: Final = (
    *CALL, *(name for name in END if name != "shown"), "resubmitted", "shown", "call_sum",
    "end_sum", "again_sum",
)  # fmt: skip
_OLDEST: Final = _IN_FILE.index("shown")
_PLACES: Final = [_IN_FILE.index(name) for name in READ]
_REALS: Final = [_IN_FILE.index(name) for name in REAL]

_TASK: Final = f"""
INSERT INTO tasks ({", ".join(READ)}) VALUES ({", ".join("?" * len(READ))})
ON CONFLICT (msg_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in READ[1:])}
WHERE received IS NULL AND excluded.received IS NOT NULL
"""  # noqa: S608  # of names of our own


@dataclass(slots=True)
class Salvaged:
    """The numbers that a salvage ends with: records kept, and records known to be damaged."""

    n_kept: int = 0
    n_damaged: int = 0


def salvage(path: Path, connection: sqlite3.Connection) -> Salvaged:
    """Copy from a damaged file what is whole, in one transaction.

    Args:
        path: the file; what was written ahead is beside it.
        connection: the database that is to have it.
    """
    with _mapped(path) as data, _mapped(path.with_name(f"{path.name}-wal")) as wal:
        for size in SIZES:
            salvaged = _copy(Pages(data, wal, size), connection)
            if salvaged.n_kept or salvaged.n_damaged:
                return salvaged
    return Salvaged()


def _copy(pages: Pages, connection: sqlite3.Connection) -> Salvaged:
    known: set[str] = set()  # of whom an index knows
    (before,) = connection.execute("SELECT count(*) FROM tasks").fetchone()
    n_damaged = 0
    with transaction(connection):
        for row in pages.rows():
            if _OLDEST <= len(row) <= len(_IN_FILE):
                task = _task(row)
                if task is None:
                    n_damaged += 1
                else:
                    connection.execute(_TASK, task)
            elif len(row) == 2 and isinstance(row[0], int) and isinstance(row[1], str):
                known.add(row[1])
            elif len(row) in (2, 3) and _is_function(row):
                pickle = *row[:2], sum_of(*row[:2])
                connection.execute("INSERT OR IGNORE INTO functions VALUES (?, ?, ?)", pickle)
        kept = {name for (name,) in connection.execute("SELECT msg_id FROM tasks")}
    return Salvaged(len(kept) - before, max(n_damaged, len(known - kept)))


def _task(row: Sequence[Any]) -> list[Any] | None:
    """Return a row of `READ`; None if neither of its parts is as it was written."""
    padded = [*row, *[None] * (len(_IN_FILE) - len(row))]
    for place in _REALS:
        if isinstance(padded[place], int):  # as whole numbers are stored
            padded[place] = float(padded[place])
    task = [padded[place] for place in _PLACES]
    call, end = fits_call(task), fits_end(task)
    if call is None:
        return task if _is_plausible(task) else None
    return task if call or (end and task[READ.index("end_sum")] is not None) else None


def _is_plausible(task: Sequence[Any]) -> bool:
    """Tell whether what has no checksum may be a task."""
    msg_id, number, client, queue, submitted, function, _, label, payload, n_buffers = task[:10]
    texts = msg_id, client, queue, label
    return (
        all(isinstance(text, str) and "\ufffd" not in text for text in texts)
        and queue in ("task", "mux")
        and isinstance(number, int)
        and isinstance(n_buffers, int)
        and isinstance(submitted, float)
        and isinstance(function, bytes)
        and isinstance(payload, bytes)
    )


def _is_function(row: Sequence[Any]) -> bool:
    digest, pickle, its_sum = [*row, None][:3]
    is_one = isinstance(digest, bytes) and isinstance(pickle, bytes)
    return is_one and its_sum in (None, sum_of(digest, pickle))


@contextmanager
def _mapped(path: Path) -> Iterator[Any]:
    """Show a file as bytes, without reading all of it; a file that is missing has none."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # the second: it is empty
        yield b""
        return
    with closing(mapped):
        yield mapped
