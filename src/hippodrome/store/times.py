"""Times of records: seconds since the epoch that mean what the datetimes say which people see.

A clock may say anything, and a float is finer than a datetime. So a time is what its datetime
says, to the microsecond, wherever it is shown, compared or sorted by; what no datetime can say is
not known.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

SLACK_S: Final = 1e-3  # more than a time may change in `known`


def known(seconds: float | None) -> float | None:
    """Return a time to the microsecond; None if there is none, or none that can be shown."""
    shown = as_datetime(seconds)
    return None if shown is None else shown.timestamp()


def known_or_zero(seconds: float) -> float:
    """Return a time as `known` does, or the epoch in its place."""
    return known(seconds) or 0.0


def as_datetime(seconds: float | None) -> datetime | None:
    """Return a time in UTC; None if there is none, or none that a datetime can say."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ArithmeticError, OSError, ValueError):  # infinite, before the year 1, after 9999
        return None


def as_seconds(operand: object) -> object:
    """Return seconds since the epoch for what stands for a time in a query.

    Texts are read as ISO 8601; what has no time zone is in UTC. Anything else, as None, stays.

    Raises:
        ValueError: a text is no time.
    """
    match operand:
        case list():
            return [as_seconds(each) for each in operand]
        case str():
            try:
                return as_seconds(datetime.fromisoformat(operand))
            except ValueError:
                raise ValueError(f"{operand!r:.60} is no time, as 2026-01-31 12:30 is") from None
        case datetime():
            aware = operand if operand.tzinfo else operand.replace(tzinfo=UTC)
            return aware.timestamp()
        case float():
            rounded = known(operand)
            return operand if rounded is None else rounded
        case _:
            return operand
