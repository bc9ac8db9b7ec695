"""Pickled functions by digest: kept while a task needs them, and for a while after."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Digest

UNUSED_BYTES: Final = 64 << 20
ENTRY_BYTES: Final = 512  # what one costs besides its pickle


class FunctionCache:
    """Function pickles, never opened; the least recently used go first.

    Args:
        limit_bytes: how much is kept of functions that no unfinished task uses.
    """

    def __init__(self, limit_bytes: int = UNUSED_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._data: dict[Digest, Buffer] = {}
        self._uses: dict[Digest, int] = {}
        self._unused: OrderedDict[Digest, int] = OrderedDict()
        self._unused_bytes = 0

    def put(self, digest: Digest, data: Buffer) -> None:
        """Keep a function's pickle; `use` it first if it must stay even if it is very large."""
        if digest in self._data:
            return
        self._data[digest] = data
        if digest not in self._uses:
            self._retire(digest)

    def get(self, digest: Digest) -> Buffer | None:
        """Return the pickle, or None if it is not here."""
        return self._data.get(digest)

    def __contains__(self, digest: object) -> bool:
        return digest in self._data

    def use(self, digest: Digest, n_tasks: int = 1) -> None:
        """More unfinished tasks need the function."""
        n = self._uses.get(digest, 0)
        self._uses[digest] = n + n_tasks
        if n == 0:
            self._unused_bytes -= self._unused.pop(digest, 0)

    def release(self, digest: Digest, n_tasks: int = 1) -> None:
        """Tasks that needed the function have ended."""
        n = self._uses.get(digest, 0) - n_tasks
        if n > 0:
            self._uses[digest] = n
        elif n == 0:
            del self._uses[digest]
            if digest in self._data:
                self._retire(digest)

    def _retire(self, digest: Digest) -> None:
        size_bytes = memoryview(self._data[digest]).nbytes + ENTRY_BYTES
        self._unused[digest] = size_bytes
        self._unused_bytes += size_bytes
        while self._unused_bytes > self._limit_bytes:
            oldest, size_bytes = self._unused.popitem(last=False)
            self._unused_bytes -= size_bytes
            del self._data[oldest]

    def __len__(self) -> int:
        return len(self._data)

    def check(self) -> None:
        """Assert that what is unused is accounted for."""
        assert self._unused_bytes <= max(0, self._limit_bytes)
        assert self._unused_bytes == sum(self._unused.values())
        assert not (self._uses.keys() & self._unused.keys())
        assert self._data.keys() >= self._unused.keys()
