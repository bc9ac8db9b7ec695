"""executorlib."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.peers.base import Adapter, CarriesArrays, Function, FuturesAsArguments


class Executorlib(FuturesAsArguments, CarriesArrays, Adapter):
    name = "executorlib"
    requirements = ("executorlib>=1.7", "numpy>=1.26")
    imports = "from executorlib import SingleNodeExecutor"
    how = "SingleNodeExecutor(max_workers=n, block_allocation=True); chunks of 1,000"

    def start(self, n: int) -> None:
        from executorlib import SingleNodeExecutor

        self.n = n
        self.pool = SingleNodeExecutor(
            max_workers=n, block_allocation=True, hostname_localhost=True
        )

    def stop(self) -> None:
        self.pool.shutdown(wait=True)

    def submit(self, f: Function, *args: Any) -> Any:
        return self.pool.submit(f, *args)

    def map_items(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return list(self.pool.map(f, items))

    def map_chunks(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return list(self.pool.map(f, items, chunksize=1_000))


ADAPTER = Executorlib
