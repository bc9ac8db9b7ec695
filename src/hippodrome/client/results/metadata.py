"""The metadata that one task has, by the names that users know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from hippodrome.errors import UnknownNameError

KEYS: Final = (
    "msg_id", "submitted", "started", "completed", "received", "engine_uuid", "engine_id",
    "follow", "after", "status", "execute_input", "execute_result", "error", "stdout", "stderr",
    "outputs", "data", "label",
)  # fmt: skip


class Metadata(dict[str, Any]):  # Any: times, numbers, texts
    """A dict of `KEYS`, whose values can be read as attributes too.

    Times are timezone-aware, in UTC; None stands for what is not known, or not yet.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(dict.fromkeys(KEYS))
        self.update(outputs=[], data={}, stdout="", stderr="", after=[], follow=[])
        self.update(values)

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"no attribute or key {key!r}") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in KEYS:
            raise no_metadata(key)
        super().__setitem__(key, value)

    def __dir__(self) -> Iterator[str]:
        yield from super().__dir__()
        yield from KEYS


def as_time(seconds: float) -> datetime | None:
    """Return seconds since the epoch as a time in UTC.

    None is for 0.0, which means unknown, and for what a clock may say and no datetime can.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (ArithmeticError, OSError, ValueError):  # infinite, before the year 1, after 9999
        return None


def no_metadata(key: object) -> UnknownNameError:
    """Return the error that there is no *key* of metadata, with those that there are."""
    return UnknownNameError(f"there is no metadata {key!r}; there are {', '.join(KEYS)}")
