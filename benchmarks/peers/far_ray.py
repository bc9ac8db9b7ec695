"""Ray, over hosts."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.peers.ray import Holder, Ray


class Far(Ray):
    how = "ray start on each host, the client's too; ray.put and one actor for each worker"

    def start(self, n: int) -> None:
        import ray

        self.n = n
        self.ray = ray
        ray.init(
            address=os.environ["FAR"],
            _node_ip_address=os.environ["FAR_ADDRESS"],
            log_to_driver=False,
            logging_level="ERROR",
        )
        self.remotes: dict[Any, Any] = {}
        self.actors: list[Any] = []
        self.pool: Any = None

    def _holders(self) -> list[Any]:
        """One on each place for an engine, as `Ray` of the farm declares them."""
        if not self.actors:
            place = {"num_cpus": 0, "resources": {"engine": 1}}
            self.actors = [self.ray.remote(**place)(Holder).remote() for _ in range(self.n)]
        return self.actors


ADAPTER = Far
