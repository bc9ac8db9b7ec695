"""Ray."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.peers.base import Adapter, CarriesArrays, Function, FuturesAsArguments


class Ray(FuturesAsArguments, CarriesArrays, Adapter):
    name = "ray"
    requirements = ("ray>=2.50", "numpy>=1.26")
    imports = "import ray"
    how = "ray.init(num_cpus=n), no dashboard; ray.put and one actor for each worker move data"

    def start(self, n: int) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        self.n = n
        self.ray = ray
        ray.init(
            address="local",
            num_cpus=n,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
        self.remotes: dict[Function, Any] = {}
        self.actors: list[Any] = []
        self.pool: Any = None

    def stop(self) -> None:
        self.ray.shutdown()

    def submit(self, f: Function, *args: Any) -> Any:
        remote = self.remotes.get(f)
        if remote is None:
            remote = self.remotes[f] = self.ray.remote(f)
        return remote.remote(*args)

    def wait(self, future: Any) -> Any:
        return self.ray.get(future)

    def gather(self, futures: Sequence[Any]) -> list[Any]:
        return self.ray.get(list(futures))

    def map_items(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return self._pool().map(f, items, chunksize=1)

    def map_chunks(self, f: Function, items: Iterable[Any]) -> list[Any]:
        return self._pool().map(f, items)

    def push(self, array: Any) -> None:
        self.ray.get(self._holders()[0].keep.remote(self.ray.put(array)))

    def pull(self, n_bytes: int) -> Any:
        return self.ray.get(self._holders()[0].give.remote(n_bytes))

    def broadcast(self, array: Any) -> None:
        reference = self.ray.put(array)
        self.ray.get([holder.keep.remote(reference) for holder in self._holders()])

    def _pool(self) -> Any:
        if self.pool is None:
            from ray.util.multiprocessing import Pool

            self.pool = Pool(self.n)
        return self.pool

    def _holders(self) -> list[Any]:
        if not self.actors:
            self.actors = [self.ray.remote(num_cpus=0)(Holder).remote() for _ in range(self.n)]
        return self.actors


class Holder:
    """Keeps arrays in a worker."""

    def keep(self, array: Any) -> float:
        from benchmarks import calls

        return calls.keep(array)

    def give(self, n_bytes: int) -> Any:
        from benchmarks import calls

        return calls.give(n_bytes)


ADAPTER = Ray
