"""ipyparallel's name for the options of records in memory."""

from __future__ import annotations

from hippodrome.apps.controller_options import DictDB

__all__ = ["DictDB"]
