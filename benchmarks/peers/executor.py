"""`concurrent.futures.ProcessPoolExecutor`: the reference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.peers.base import Adapter, CarriesArrays, Function
from benchmarks.peers.clientside import CallbackDag


class ProcessPool(CallbackDag, CarriesArrays, Adapter):
    name = "executor"
    requirements = ("numpy>=1.26",)
    imports = "from concurrent.futures import ProcessPoolExecutor"
    how = "ProcessPoolExecutor(n); chunks of 1,000; dependencies by callbacks of the client"

    def start(self, n: int) -> None:
        from concurrent.futures import ProcessPoolExecutor

        self.n = n
        self.pool = ProcessPoolExecutor(n)

    def stop(self) -> None:
        self.pool.shutdown()

    def submit(self, f: Function, *args: Any) -> Any:
        return self.pool.submit(f, *args)

    def map_items(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return list(self.pool.map(f, items))

    def map_chunks(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return list(self.pool.map(f, items, chunksize=1_000))


ADAPTER = ProcessPool
