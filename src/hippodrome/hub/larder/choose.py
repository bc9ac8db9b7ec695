"""Opens what a configuration names: the store of the records, and the larder beside it."""

from __future__ import annotations

from hippodrome.hub.config import HubConfig
from hippodrome.hub.larder.base import Larder, NoLarder
from hippodrome.hub.larder.disk import SUFFIX, DiskLarder
from hippodrome.hub.larder.memory import MemoryLarder
from hippodrome.segments.files import Segments
from hippodrome.segments.kept import KeptSegments
from hippodrome.store.base import Store
from hippodrome.store.choose import NONE, SQLITE, open_store


def open_larder(config: HubConfig, shared: tuple[str, bytes] | None) -> Larder:
    """Return a larder.

    Args:
        config: of the hub.
        shared: directory and token of the segments; None if there are none.
    """
    if not config.large_limit or config.store == NONE:
        return NoLarder()
    segments = KeptSegments(*shared) if shared is not None else None
    if config.store == SQLITE and config.database is not None:
        directory = config.database.with_name(config.database.name + SUFFIX)
        lender = Segments(*shared) if shared is not None else None
        return DiskLarder(directory, config.large_limit, segments, lender)
    return MemoryLarder(config.large_limit, segments)


def open_records(config: HubConfig, larder: Larder) -> Store:
    """Return the store of the records, which lets *larder* know what is to be forgotten."""
    limits = config.record_limit, config.size_limit
    store = open_store(config.store, config.database, *limits, larder.release)
    if isinstance(larder, DiskLarder):
        larder.absent = getattr(store, "absent", None)
    return store
