"""The floor: the least that a client, a broker and engines cost with pyzmq."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from benchmarks import calls
from benchmarks.peers.base import NOT_A_SCHEDULER, Adapter, Function

ONE_FUNCTION = "it carries small arguments of one function, and nothing else"


class BareZmq(Adapter):
    name = "floor"
    requirements = ("pyzmq>=26", "msgspec>=0.19")
    how = "benchmarks/floor.py: batches, a message authentication code, futures; nothing else"
    declines = MappingProxyType(
        {
            **NOT_A_SCHEDULER,
            **dict.fromkeys(("map_chunks", "arrays", "push", "pull", "broadcast"), ONE_FUNCTION),
            "dag": "it knows no dependencies",
            "import": "it is no package",
            "memory": "its engines cannot be made to wait",
        }
    )

    def start(self, n: int) -> None:
        from benchmarks.floor import Floor

        self.n = n
        self.floor = Floor(calls.noop, n)
        self.floor.__enter__()

    def stop(self) -> None:
        self.floor.__exit__(None, None, None)

    def submit(self, f: Function, *args: Any) -> Any:
        if f is not calls.noop:
            raise ValueError(ONE_FUNCTION)
        return self.floor.submit(*args)

    def worker_pids(self) -> set[int]:
        """Return nothing: `start` has waited for all engines."""
        return set()


ADAPTER = BareZmq
