"""`multiprocessing.Pool`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks import calls
from benchmarks.peers.base import Adapter, CarriesArrays, Function


class Pool(CarriesArrays, Adapter):
    name = "pool"
    requirements = ("numpy>=1.26",)
    imports = "from multiprocessing.pool import Pool"
    how = "multiprocessing.Pool(n); a layer of the graph is submitted when the one before is done"

    def start(self, n: int) -> None:
        from multiprocessing import Pool as make_pool

        self.n = n
        self.pool = make_pool(n)

    def stop(self) -> None:
        self.pool.terminate()
        self.pool.join()

    def submit(self, f: Function, *args: Any) -> Any:
        return self.pool.apply_async(f, args)

    def wait(self, future: Any) -> Any:
        return future.get()

    def map_items(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return self.pool.map(f, items, chunksize=1)

    def map_chunks(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return self.pool.map(f, items)

    def dag(self, layers: int, width: int) -> list[Any]:
        last = self.gather([self.submit(calls.noop, i) for i in range(width)])
        for _ in range(layers - 1):
            pairs = [(last[i], last[(i + 1) % width]) for i in range(width)]
            last = self.gather([self.submit(calls.add, *pair) for pair in pairs])
        return last


ADAPTER = Pool
