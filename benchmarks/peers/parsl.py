"""Parsl with its HighThroughputExecutor."""

from __future__ import annotations

import tempfile
from types import MappingProxyType
from typing import Any

from benchmarks.peers.base import (
    NOT_A_SCHEDULER,
    Adapter,
    CarriesArrays,
    Function,
    FuturesAsArguments,
)


class Parsl(FuturesAsArguments, CarriesArrays, Adapter):
    name = "parsl"
    requirements = ("parsl>=2025.9", "numpy>=1.26")
    imports = "import parsl"
    how = "HighThroughputExecutor, one block on this host, not encrypted, no strategy"
    declines = MappingProxyType({**NOT_A_SCHEDULER, "map_chunks": "it has no map"})

    def start(self, n: int) -> None:
        import parsl
        from parsl.config import Config
        from parsl.executors import HighThroughputExecutor
        from parsl.providers import LocalProvider

        self.n = n
        self.parsl = parsl
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        executor = HighThroughputExecutor(
            label="htex",
            max_workers_per_node=n,
            cores_per_worker=0.01,
            address="127.0.0.1",
            provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
            encrypted=False,
        )
        self.kernel = parsl.load(
            Config(
                executors=[executor],
                strategy="none",
                run_dir=self.folder.name,
                usage_tracking=0,
                initialize_logging=False,
            )
        )
        self.apps: dict[Function, Function] = {}

    def stop(self) -> None:
        self.kernel.cleanup()
        self.parsl.clear()
        self.folder.cleanup()

    def submit(self, f: Function, *args: Any) -> Any:
        app = self.apps.get(f)
        if app is None:
            app = self.apps[f] = self.parsl.python_app(f, cache=False)
        return app(*args)


ADAPTER = Parsl
