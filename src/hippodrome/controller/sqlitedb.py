"""ipyparallel's name for the options of records in SQLite."""

from __future__ import annotations

from hippodrome.apps.controller_options import SQLiteDB

__all__ = ["SQLiteDB"]
