"""dask.distributed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Any

from benchmarks.peers.base import (
    NOT_A_SCHEDULER,
    Adapter,
    CarriesArrays,
    Function,
    FuturesAsArguments,
)

MANY = 8  # with more workers, a share of the memory for each is too little to start with


class Distributed(FuturesAsArguments, CarriesArrays, Adapter):
    name = "distributed"
    requirements = ("distributed>=2025.9", "numpy>=1.26")
    imports = "from distributed import Client, LocalCluster"
    how = "LocalCluster of n processes with one thread each, no dashboard; scatter moves data"
    declines = MappingProxyType(
        {**NOT_A_SCHEDULER, "map_chunks": "its map makes a task of each item"}
    )

    def start(self, n: int) -> None:
        from distributed import Client, LocalCluster

        self.n = n
        limit: dict[str, Any] = {"memory_limit": 0} if n > MANY else {}
        self.cluster = LocalCluster(
            n_workers=n, threads_per_worker=1, processes=True, dashboard_address=None, **limit
        )
        self.client = Client(self.cluster)
        self.client.wait_for_workers(n)
        self.one = next(iter(self.client.scheduler_info(n_workers=-1)["workers"]))
        self.scattered: Any = None

    def stop(self) -> None:
        self.scattered = None
        self.client.close()
        self.cluster.close()

    def submit(self, f: Function, *args: Any) -> Any:
        return self.client.submit(f, *args, pure=False)

    def gather(self, futures: Sequence[Any]) -> list[Any]:
        return self.client.gather(list(futures))

    def map_items(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return self.client.gather(self.client.map(f, list(items), pure=False))

    def push(self, array: Any) -> None:
        self.scattered = self.client.scatter(array, workers=[self.one], hash=False, direct=True)

    def pull(self, n_bytes: int) -> Any:
        return self.client.gather(self.scattered, direct=True)

    def broadcast(self, array: Any) -> None:
        self.scattered = None
        self.scattered = self.client.scatter(array, broadcast=True, hash=False, direct=True)


ADAPTER = Distributed
