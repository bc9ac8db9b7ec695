"""What a client with direct and load-balanced views does, in the dialect that two peers share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks import calls
from benchmarks.peers.base import Function


class Views:
    """The methods of an adapter that has connected a client."""

    n: int
    client: Any
    balanced: Any
    all: Any
    one: Any

    arrays = True

    def connect(self, client: Any, n: int) -> None:
        self.n = n
        self.client = client
        self.balanced = client.load_balanced_view()
        self.all = client[:]
        self.one = client[client.ids[0]]

    def submit(self, f: Function, *args: Any) -> Any:
        return self.balanced.apply_async(f, *args)

    def wait(self, future: Any) -> Any:
        return future.get()

    def map_items(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return list(self.balanced.map_sync(f, items, chunksize=1))

    def map_chunks(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return list(self.all.map_sync(f, items))

    def push(self, array: Any) -> None:
        self.one.push({"array": array}, block=True)

    def pull(self, n_bytes: int) -> Any:
        return self.one.pull("array", block=True)

    def broadcast(self, array: Any) -> None:
        self.all.push({"array": array}, block=True)

    def dag(self, layers: int, width: int) -> list[Any]:
        last = [self.submit(calls.noop, i) for i in range(width)]
        for _ in range(layers - 1):
            last = [self._after(last[i], last[(i + 1) % width], i) for i in range(width)]
        return [self.wait(result) for result in last]

    def _after(self, one: Any, other: Any, i: int) -> Any:
        with self.balanced.temp_flags(after=[one, other]):
            return self.submit(calls.add, i, i)
