"""loky."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.peers.base import Adapter, CarriesArrays, Function
from benchmarks.peers.clientside import CallbackDag


class Loky(CallbackDag, CarriesArrays, Adapter):
    name = "loky"
    requirements = ("loky>=3.5", "numpy>=1.26")
    imports = "from loky import get_reusable_executor"
    how = "get_reusable_executor(n); chunks of 1,000; dependencies by callbacks of the client"

    def start(self, n: int) -> None:
        from loky import get_reusable_executor

        self.n = n
        self.pool = get_reusable_executor(max_workers=n, timeout=1_000)

    def stop(self) -> None:
        self.pool.shutdown(kill_workers=True)

    def submit(self, f: Function, *args: Any) -> Any:
        return self.pool.submit(f, *args)

    def map_items(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return list(self.pool.map(f, items))

    def map_chunks(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return list(self.pool.map(f, items, chunksize=1_000))


ADAPTER = Loky
