"""Opens the store that a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from hippodrome.protocol.messages import MsgId
from hippodrome.store.base import Store
from hippodrome.store.memory import MemoryStore
from hippodrome.store.nothing import NoStore

MEMORY: Final = "memory"
SQLITE: Final = "sqlite"
NONE: Final = "none"


def open_store(
    kind: str,
    path: Path | None,
    record_limit: int,
    size_limit: int,
    forgotten: Callable[[MsgId], None] | None = None,
) -> Store:
    """Return a store.

    Args:
        kind: `MEMORY`, `SQLITE` or `NONE`.
        path: the file of the records, for `SQLITE`.
        record_limit: how many finished records may be kept, for `MEMORY`.
        size_limit: how many bytes of payload these may hold together, for `MEMORY`.
        forgotten: told of tasks whose records had to go, by `MEMORY`.

    Raises:
        ValueError: there is no such kind, or the file is not named.
    """
    if kind == MEMORY:
        return MemoryStore(record_limit, size_limit, forgotten=forgotten)
    if kind == NONE:
        return NoStore()
    if kind == SQLITE and path is not None:
        from hippodrome.store.sqlite import SqliteStore  # most controllers do without

        return SqliteStore(path)
    raise ValueError(f"there is no store {kind!r} at {path}")
