"""The database that records are in: its tables, how it is opened, and whether it is whole."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

from hippodrome.store.oldtable import VIEW

VERSION: Final = 3
SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS tasks (
    msg_id TEXT PRIMARY KEY NOT NULL, number INTEGER NOT NULL, client TEXT NOT NULL,
    queue TEXT NOT NULL, submitted REAL NOT NULL, function BLOB NOT NULL, options BLOB,
    label TEXT NOT NULL, payload BLOB NOT NULL, n_buffers INTEGER NOT NULL, buffers BLOB,
    status TEXT, engine INTEGER, engine_uuid TEXT, attempt INTEGER, started REAL, completed REAL,
    received REAL, result BLOB, n_result_buffers INTEGER, result_buffers BLOB, failure BLOB,
    stdout TEXT, stderr TEXT, resubmitted TEXT, shown BLOB, call_sum INTEGER, end_sum INTEGER,
    again_sum INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tasks_by_number ON tasks (number);
CREATE INDEX IF NOT EXISTS tasks_by_submission ON tasks (submitted);
CREATE INDEX IF NOT EXISTS tasks_by_engine ON tasks (engine_uuid);
CREATE INDEX IF NOT EXISTS tasks_unfinished ON tasks (number) WHERE received IS NULL;
CREATE INDEX IF NOT EXISTS tasks_by_label ON tasks (label) WHERE label <> '';
CREATE TABLE IF NOT EXISTS functions (
    digest BLOB PRIMARY KEY NOT NULL, pickle BLOB NOT NULL, sum INTEGER
);
PRAGMA user_version = {VERSION};
"""
UPGRADES: Final[Mapping[int, tuple[str, ...]]] = {  # from a version to the next one
    1: ("ALTER TABLE tasks ADD COLUMN shown BLOB",),
    2: (
        "ALTER TABLE tasks ADD COLUMN call_sum INTEGER",
        "ALTER TABLE tasks ADD COLUMN end_sum INTEGER",
        "ALTER TABLE tasks ADD COLUMN again_sum INTEGER",
        "ALTER TABLE functions ADD COLUMN sum INTEGER",
    ),
}
SETTINGS: tuple[str, ...] = (
    "PRAGMA journal_mode = WAL",  # readers do not wait for the writer, nor it for them
    "PRAGMA synchronous = NORMAL",
    "PRAGMA secure_delete = ON",  # what was removed is not found in the file by whoever salvages it
)
BUSY_S: Final = 1.0
CHECK_BYTES: Final = 1 << 30  # a file of more is not looked through: that would take too long

BAD: Final[frozenset[int]] = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class BadFile(Exception):
    """The file is no database of ours."""


class OtherVersion(BadFile):
    """The file is of a later version, whose records are not as ours."""


def is_bad(error: BaseException) -> bool:
    """Tell whether an error says that the file is no database of ours, or not any more."""
    return isinstance(error, BadFile | UnicodeDecodeError) or code_of(error) in BAD


def code_of(error: BaseException) -> int:
    """Return what SQLite calls an error; 0 if it is none of its."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest are details
    if not code and isinstance(error, sqlite3.OperationalError) and "decode" in str(error):
        return sqlite3.SQLITE_CORRUPT  # a text that is none, found by the module itself
    return code


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the database, made if missing, for its owner alone.

    Raises:
        OSError: it cannot be made.
        sqlite3.Error: it cannot be opened.
        BadFile: it is something else, or of another version.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        connection.text_factory = _text
        _set_up(connection)
    except sqlite3.OperationalError as error:
        connection.close()
        if code_of(error) == sqlite3.SQLITE_ERROR:  # our statements fit our tables
            raise BadFile(str(error)) from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the database, which there is.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S)
    try:
        connection.text_factory = _text
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def version_of(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _text(data: bytes) -> str:
    """Return a text even if it is damaged: its checksum will not fit."""
    return data.decode(errors="replace")


def _set_up(connection: sqlite3.Connection) -> None:
    for setting in SETTINGS:
        connection.execute(setting)
    version = version_of(connection)
    if version == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT")
    elif version in UPGRADES:
        _upgrade(connection)
    elif version != VERSION:
        why = f"it has version {version}, and this is for version {VERSION}"
        is_flipped = (version ^ VERSION).bit_count() == 1
        raise BadFile(why) if is_flipped else OtherVersion(why)
    connection.execute(VIEW)


def _upgrade(connection: sqlite3.Connection) -> None:
    """Bring the tables of an older version up to date, all of it or nothing."""
    with transaction(connection):
        # asked again, as somebody else may have done it just now
        for older in range(version_of(connection), VERSION):
            for statement in UPGRADES[older]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {older + 1}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Let all that is executed meanwhile happen, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def check(connection: sqlite3.Connection) -> None:
    """Look whether all tables and indices are ours and fit together.

    Raises:
        BadFile: they do not.
        sqlite3.Error: they cannot even be read.
    """
    if _columns(connection) != _own_columns():
        raise BadFile("its tables have other columns than ours")
    (size_bytes,) = connection.execute(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    ).fetchone()
    if size_bytes <= CHECK_BYTES:
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise BadFile(str(verdict))


def _columns(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for table in ("tasks", "functions"):
        found += connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (table,))
    return found


@cache
def _own_columns() -> list[tuple[object, ...]]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(SCHEMA)
        return _columns(connection)
    finally:
        connection.close()
