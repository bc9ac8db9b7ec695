"""ipyparallel's name for a few helpers that programs of users import."""

from __future__ import annotations

from datetime import UTC, datetime

from hippodrome.serialize.functions import interactive

__all__ = ["ensure_timezone", "interactive", "utc", "utcnow"]

utc = UTC


def utcnow() -> datetime:
    """Return the time now, with its time zone, as all times in metadata and records are."""
    return datetime.now(UTC)


def ensure_timezone(dt: datetime) -> datetime:
    """Return a time with a time zone: without one it is taken for local time."""
    return dt.astimezone() if dt.tzinfo is None else dt
