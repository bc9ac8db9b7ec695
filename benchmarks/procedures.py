"""What a client does for each workload, and the figures that it takes while it does.

Each function gets a started adapter. A peer that would take longer than `PATIENCE_S` for the
number of tasks that is asked for gets fewer; ``n`` among the figures is how many it got.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks import calls
from benchmarks.peers.base import Adapter

PATIENCE_S: Final = 20.0
PROBE: Final = 200
FEWEST: Final = 500
GATE_TIMEOUT_S: Final = 30.0

Figures = dict[str, float]


def warm_up(adapter: Adapter, n: int) -> Figures:
    adapter.gather([adapter.submit(calls.noop, i) for i in range(n)])
    return {}


def round_trips(adapter: Adapter, n: int) -> Figures:
    """Submit one task and wait for its result, *n* times."""
    times = []
    for i in range(n):
        start = time.perf_counter()
        adapter.wait(adapter.submit(calls.noop, i))
        times.append((time.perf_counter() - start) * 1e6)
    p99 = statistics.quantiles(times, n=100, method="inclusive")[-1]
    return {"median_us": statistics.median(times), "p99_us": p99, "n": n}


def tasks(adapter: Adapter, n: int) -> Figures:
    """Submit no-op tasks one by one, then gather their results."""

    def run(n: int) -> list[Any]:
        return adapter.gather([adapter.submit(calls.noop, i) for i in range(n)])

    return _rate("tasks_per_s", run, n)


def map_items(adapter: Adapter, n: int) -> Figures:
    return _rate("items_per_s", lambda n: adapter.map_items(calls.noop, range(n)), n)


def map_chunks(adapter: Adapter, n: int) -> Figures:
    run: Callable[[int], list[Any]] = lambda n: adapter.map_chunks(calls.noop, range(n))  # noqa: E731
    return _rate("items_per_s", run, n)


def _rate(name: str, run: Callable[[int], list[Any]], n: int) -> Figures:
    n = _bearable(run, n)
    start = time.perf_counter()
    values = run(n)
    took_s = time.perf_counter() - start
    assert values == list(range(n)), "the results are wrong"
    return {name: n / took_s, "n": n}


def _bearable(run: Callable[[int], Any], n: int) -> int:
    """Return how many of *n* tasks can be expected to be done in good time."""
    start = time.perf_counter()
    run(PROBE)
    per_task_s = (time.perf_counter() - start) / PROBE
    return min(n, max(FEWEST, int(PATIENCE_S / per_task_s)))


def dag(adapter: Adapter, layers: int, width: int) -> Figures:
    """Run a graph of *layers* times *width* tasks."""
    adapter.dag(3, width)
    start = time.perf_counter()
    last = adapter.dag(layers, width)
    took_s = time.perf_counter() - start
    assert len(last) == width
    return {"tasks_per_s": layers * width / took_s, "n": layers * width}


def arguments(adapter: Adapter, n: int) -> Figures:
    """Submit *n* tasks, each with an array of 1 MB."""
    import numpy as np

    arrays = [np.random.default_rng(seed).random(125_000) for seed in range(8)]

    def run(n: int) -> list[float]:
        return adapter.gather([adapter.submit(calls.total, arrays[i % 8]) for i in range(n)])

    run(20)
    start = time.perf_counter()
    sums = run(n)
    took_s = time.perf_counter() - start
    assert abs(sums[0] - arrays[0].sum()) < 1e-6
    return {"tasks_per_s": n / took_s, "n": n}


def results(adapter: Adapter, n: int) -> Figures:
    """Submit *n* tasks, each of which returns an array of 1 MB."""

    def run(n: int) -> list[Any]:
        return adapter.gather([adapter.submit(calls.give, 1_000_000) for _ in range(n)])

    run(20)
    start = time.perf_counter()
    arrays = run(n)
    took_s = time.perf_counter() - start
    assert arrays[-1].nbytes == 1_000_000
    return {"tasks_per_s": n / took_s, "n": n}


def push_pull(adapter: Adapter, n_bytes: int) -> Figures:
    """Send an array to one worker, which looks at it; get one back, and look at it."""
    import numpy as np

    array = np.random.default_rng(1).random(n_bytes // 8)
    adapter.prepare_pull(n_bytes)
    adapter.push(array)
    adapter.pull(n_bytes)
    array[0] += 1  # nobody has seen this array
    push_s, _ = _timed(lambda: adapter.push(array))
    pull_s, pulled = _timed(lambda: _looked_at(adapter.pull(n_bytes)))
    assert pulled.nbytes == n_bytes
    return {"push_gb_per_s": n_bytes / push_s / 1e9, "pull_gb_per_s": n_bytes / pull_s / 1e9}


def broadcast(adapter: Adapter, n_bytes: int) -> Figures:
    """Send one array to all workers."""
    import numpy as np

    array = np.random.default_rng(1).random(n_bytes // 8)
    adapter.broadcast(array)
    array[0] += 1  # nobody has seen this array
    return {"seconds": _timed(lambda: adapter.broadcast(array))[0]}


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def _looked_at(array: Any) -> Any:
    float(array[0] + array[-1])
    return array


class Pile:
    """Tasks that wait, because every worker does.

    Args:
        adapter: where.
        n: how many of them wait.
    """

    def __init__(self, adapter: Adapter, n: int) -> None:
        self._adapter = adapter
        self._folder = tempfile.TemporaryDirectory()
        self._gate = Path(self._folder.name, "gate")
        self._futures = [self._block(i) for i in range(adapter.n)]
        self._futures += [adapter.submit(calls.noop, i) for i in range(n)]

    def _block(self, i: int) -> Any:
        """Occupy one more worker; return once it is."""
        started = Path(self._folder.name, f"started-{i}")
        future = self._adapter.submit(calls.wait_for, str(self._gate), str(started))
        deadline = time.monotonic() + GATE_TIMEOUT_S
        while not started.exists():
            if time.monotonic() > deadline:
                raise TimeoutError("a task that makes its worker wait did not start")
            time.sleep(0.005)
        return future

    def take(self) -> None:
        self._gate.touch()
        self._adapter.gather(self._futures)
        self._futures = []
        self._folder.cleanup()
        gc.collect()


def bystand(adapter: Adapter, stop: str) -> Figures:
    """Call, one after the other, until there is a file *stop*; how long the longest took."""
    times = []
    while not Path(stop).exists():
        start = time.perf_counter()
        adapter.wait(adapter.submit(calls.noop, len(times)))
        times.append((time.perf_counter() - start) * 1e3)
        time.sleep(0.01)
    return {"worst_ms": max(times), "median_ms": statistics.median(times), "n": len(times)}


def napping(adapter: Adapter, n: int, nap_ms: int) -> Figures:
    """Run *n* tasks of *nap_ms* each; which part of the time the workers were busy."""
    took_s, _ = _timed(
        lambda: adapter.gather([adapter.submit(calls.nap, nap_ms / 1e3) for _ in range(n)])
    )
    return {"busy_percent": 100 * n * nap_ms / 1e3 / (took_s * adapter.n), "n": n}


def everyone(adapter: Adapter) -> Figures:
    """Call every engine once."""
    pids = adapter.all.apply_sync(calls.pid)
    assert len(pids) == adapter.n, f"{len(pids)} of {adapter.n} engines answered"
    return {}
