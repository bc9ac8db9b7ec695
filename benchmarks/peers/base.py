"""What an adapter offers, and what its peer must be installed with.

An adapter drives one peer through its public API. It is imported by two kinds of process: the one
that runs the benchmarks, which reads only the attributes of the class, and the peer's own client,
which creates it. So packages of the peer are imported in `start`, never on top of the module.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from benchmarks import calls

READY_TIMEOUT_S: Final = 120.0

Function = Callable[..., Any]

NOT_A_SCHEDULER: Final[Mapping[str, str]] = {
    "schedules_alone": "its scheduler cannot be driven without its processes"
}


class Adapter:
    """One peer; subclasses add what it can do.

    Attributes:
        name: what the peer is called here.
        requirements: what pip installs into its environment.
        imports: the statement with which its users begin.
        how: how its cluster is made.
        declines: methods that it does not have, each with the reason.
    """

    name: ClassVar[str]
    requirements: ClassVar[tuple[str, ...]] = ()
    imports: ClassVar[str] = ""
    how: ClassVar[str] = ""
    declines: ClassVar[Mapping[str, str]] = NOT_A_SCHEDULER

    def __init__(self) -> None:
        self.n = 0

    def start(self, n: int) -> None:
        """Start *n* workers, and connect."""
        raise NotImplementedError

    def stop(self) -> None:
        """End what was started."""
        raise NotImplementedError

    def submit(self, f: Function, *args: Any) -> Any:
        """Submit one task; return what `wait` takes."""
        raise NotImplementedError

    def wait(self, future: Any) -> Any:
        return future.result()

    def gather(self, futures: Sequence[Any]) -> list[Any]:
        return [self.wait(future) for future in futures]

    def map_items(self, f: Function, items: Iterable[Any]) -> list[Any]:
        """Map with a task for each item."""
        return self.gather([self.submit(f, item) for item in items])

    def prepare_pull(self, n_bytes: int) -> None:
        """Do what must come before `pull` is measured; for most peers nothing."""

    def worker_pids(self) -> set[int]:
        """Wait until every worker has answered; return their processes."""
        pids: set[int] = set()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while len(pids) < self.n:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(pids)} of {self.n} workers answered")
            pids.update(self.gather([self.submit(calls.pid, i) for i in range(2 * self.n)]))
        return pids


class CarriesArrays:
    """For peers whose tasks take and return arrays, which is their way to move data, too."""

    submit: Function
    wait: Function
    gather: Function
    n: int

    arrays = True

    def push(self, array: Any) -> None:
        self.wait(self.submit(calls.keep, array))

    def prepare_pull(self, n_bytes: int) -> None:
        """Let every worker make the array that it will be asked for."""
        self.gather([self.submit(calls.own, n_bytes) for _ in range(2 * self.n)])

    def pull(self, n_bytes: int) -> Any:
        return self.wait(self.submit(calls.give, n_bytes))

    def broadcast(self, array: Any) -> None:
        self.gather([self.submit(calls.keep, array) for _ in range(self.n)])


class FuturesAsArguments:
    """For peers that wait for the futures among a task's arguments."""

    submit: Function
    gather: Function

    def dag(self, layers: int, width: int) -> list[Any]:
        last = [self.submit(calls.noop, i) for i in range(width)]
        for _ in range(layers - 1):
            last = [self.submit(calls.add, last[i], last[(i + 1) % width]) for i in range(width)]
        return self.gather(last)
