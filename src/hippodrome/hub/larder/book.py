"""Which large buffers are kept, whose they are, and which go first.

Pure: it counts; whoever holds the bytes lets go of what it names.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hippodrome.protocol.messages import MsgId
from hippodrome.store.large import Large


@dataclass(slots=True)
class _Shelf:
    large: Large
    owners: set[MsgId]


class Book:
    """Large buffers within a budget of bytes; what was not asked for longest goes first.

    Args:
        limit_bytes: how many bytes they may hold together.

    Attributes:
        size_bytes: how many they hold.
        n_dropped: how many went because of the budget.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.size_bytes: int = 0
        self.n_dropped: int = 0
        self._entries: OrderedDict[int, _Shelf] = OrderedDict()
        self._keys_of: dict[MsgId, set[int]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, large: Large) -> bool:
        return large.key in self._entries

    def owners(self) -> Iterator[MsgId]:
        """Yield whose the buffers are."""
        return iter(self._keys_of)

    def add(self, large: Large, owners: Sequence[MsgId]) -> list[Large]:
        """Enter a buffer of tasks; return those that have to go for it."""
        self._enter(large, owners)
        return self._drop_excess()

    def add_old(self, found: Sequence[tuple[Large, Sequence[MsgId]]]) -> list[Large]:
        """Enter buffers that are older than all others, in their order; as `add`."""
        for large, owners in reversed(found):
            self._enter(large, owners)
            self._entries.move_to_end(large.key, last=False)
        return self._drop_excess()

    def _enter(self, large: Large, owners: Sequence[MsgId]) -> None:
        self._entries[large.key] = _Shelf(large, set(owners))
        self.size_bytes += large.size_bytes
        for owner in owners:
            self._keys_of.setdefault(owner, set()).add(large.key)

    def _drop_excess(self) -> list[Large]:
        dropped: list[Large] = []
        while self.size_bytes > self.limit_bytes and self._entries:
            large = next(iter(self._entries.values())).large
            self.drop(large)
            dropped.append(large)
        self.n_dropped += len(dropped)
        return dropped

    def touch(self, large: Large) -> None:
        """Note that somebody has asked for a buffer."""
        self._entries.move_to_end(large.key)

    def release(self, owner: MsgId) -> list[Large]:
        """Forget a task; return the buffers that no other one has."""
        freed: list[Large] = []
        for key in self._keys_of.pop(owner, ()):
            entry = self._entries[key]
            entry.owners.remove(owner)
            if not entry.owners:
                freed.append(entry.large)
                self._remove(key)
        return freed

    def drop(self, large: Large) -> None:
        """Forget a buffer, if it is here."""
        entry = self._entries.get(large.key)
        if entry is None:
            return
        for owner in entry.owners:
            keys = self._keys_of[owner]
            keys.remove(large.key)
            if not keys:
                del self._keys_of[owner]
        self._remove(large.key)

    def _remove(self, key: int) -> None:
        self.size_bytes -= self._entries.pop(key).large.size_bytes

    def check(self) -> None:
        """Assert that the two sides of the book agree."""
        keys_of: dict[MsgId, set[int]] = {}
        for key, entry in self._entries.items():
            for owner in entry.owners:
                keys_of.setdefault(owner, set()).add(key)
        assert keys_of == self._keys_of
        assert self.size_bytes == sum(e.large.size_bytes for e in self._entries.values())
        assert self.size_bytes <= self.limit_bytes
