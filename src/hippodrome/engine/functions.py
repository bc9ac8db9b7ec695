"""The functions that tasks call, unpickled: kept where that is safe, else made anew each time."""

from __future__ import annotations

import gc
from collections import OrderedDict
from time import monotonic
from typing import Final

from hippodrome.protocol.messages import Digest
from hippodrome.serialize.loaded import Loaded, load, load_anew
from hippodrome.serialize.namespaces import Namespace

KEPT_BYTES: Final = 32 << 20
ENTRY_BYTES: Final = 12 << 10  # of a function besides its constants: builtins of its own, mostly
NAME_BYTES: Final = 256
COLLECT_AFTER_BYTES: Final = 64 << 20
COLLECT_SHARE: Final = 10  # at least so many times as long between collections as they take


class LoadedFunctions:
    """Functions by digest; the least recently used go first.

    Args:
        namespace: to which functions of ``__main__`` belong.
        limit_bytes: how much is kept.
    """

    def __init__(self, namespace: Namespace, limit_bytes: int = KEPT_BYTES) -> None:
        self._namespace = namespace
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[Digest, tuple[Loaded | None, int]] = OrderedDict()
        self._kept_bytes = 0
        self._latest: Loaded | None = None  # it is last in `_kept`
        self._latest_digest = Digest(b"")
        self._made_bytes = 0
        self._collect_due = 0.0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, digest: Digest, data: bytes) -> Loaded:
        """Return a function as it was sent.

        Args:
            digest: its name.
            data: its pickle.

        Raises:
            Exception: whatever unpickling raises.
        """
        loaded = self._latest
        if loaded is not None and digest == self._latest_digest:
            guards = loaded.guards
            if guards is None or guards.hold():
                return loaded
        return self._find(digest, data)

    def _find(self, digest: Digest, data: bytes) -> Loaded:
        found = self._kept.get(digest)
        if found is None:
            return self._load(digest, data)
        loaded = found[0]
        self._kept.move_to_end(digest)
        if loaded is None:
            self._latest = None
            self._collect(len(data))
            return load_anew(data, self._namespace)
        if not loaded.holds():
            return self._load(digest, data)
        self._latest, self._latest_digest = loaded, digest
        return loaded

    def _load(self, digest: Digest, data: bytes) -> Loaded:
        self._forget(digest)
        self._collect(len(data))
        loaded = load(data, self._namespace)
        if not loaded.is_fixed:
            self._keep(digest, None, NAME_BYTES)
        else:
            self._keep(digest, loaded, len(data) + ENTRY_BYTES)
        return loaded

    def _keep(self, digest: Digest, loaded: Loaded | None, size_bytes: int) -> None:
        self._kept[digest] = loaded, size_bytes
        self._kept_bytes += size_bytes
        while self._kept_bytes > self._limit_bytes and self._kept:
            self._forget(next(iter(self._kept)))
        if loaded is not None and digest in self._kept:
            self._latest, self._latest_digest = loaded, digest

    def _forget(self, digest: Digest) -> None:
        self._latest = None
        found = self._kept.pop(digest, None)
        if found is not None:
            self._kept_bytes -= found[1]

    def _collect(self, size_bytes: int) -> None:
        """Free functions that were made before and refer to themselves, if they may be large."""
        self._made_bytes += size_bytes
        if self._made_bytes <= COLLECT_AFTER_BYTES:
            return
        began = monotonic()
        if began < self._collect_due:
            return
        self._made_bytes = size_bytes
        gc.collect()
        ended = monotonic()
        self._collect_due = ended + COLLECT_SHARE * (ended - began)
