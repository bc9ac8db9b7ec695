"""``python -m benchmarks.live``: what comes while tasks run, and what a flood of it costs.

Latency is measured from the print of a time in an engine to the moment at which the client has
it; interrupts from the call to the end of the result. In a flood, eight engines print together
1 GB of lines of 1 kB, while a ninth gets one task after the other: how long these take is shown
beside how long they take while the eight only compute. Memory is the peak growth of any process.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil

import hippodrome as ipp

N: Final = 100
ENGINES: Final = 8
LINES: Final = 128 * 1024  # of each engine
COMPUTE_S: Final = 1.0
MS: Final = 1e3


def print_times(n: int) -> None:
    """Print the time *n* times, at moments that have nothing to do with those of any look."""
    import random

    for _ in range(n):
        time.sleep(random.uniform(0.15, 0.35))
        print(time.monotonic())


def print_lines(n: int) -> None:
    line = "x" * 1023
    for _ in range(n):
        print(line)


def compute(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def wait_long(path: str) -> None:
    open(path, "w").close()
    time.sleep(100)


def latencies(client: Any, n: int) -> list[float]:
    """Return how long after each print its line was here, in milliseconds."""
    result, found = client[0].apply_async(print_times, n), []
    n_seen = 0
    while not result.done():
        lines = str(result.stdout).splitlines()
        now = time.monotonic()
        found += [MS * (now - float(line)) for line in lines[n_seen:]]
        n_seen = len(lines)
        time.sleep(0.001)
    return found


def interrupts(client: Any, n: int, directory: Path) -> list[float]:
    """Return how long each of *n* interrupts took, in milliseconds."""
    found = []
    for i in range(n):
        path = directory / f"interrupt-{os.getpid()}-{i}"
        result = client[0].apply_async(wait_long, str(path))
        while not path.exists():
            time.sleep(0.002)
        path.unlink()
        began = time.monotonic()
        result.interrupt()
        result.wait()
        found.append(MS * (time.monotonic() - began))
    return found


def beside(
    client: Any, function: Callable[..., None], argument: float
) -> tuple[list[float], float]:
    """Return how long tasks of the ninth engine took meanwhile, and the whole, in milliseconds."""
    result, found = client[:ENGINES].apply_async(function, argument), []
    began = time.monotonic()
    while not result.done():
        at = time.monotonic()
        client[ENGINES].apply_sync(abs, -1)
        found.append(MS * (time.monotonic() - at))
        time.sleep(0.02)
    result.get()
    return found, MS * (time.monotonic() - began)


class Peaks:
    """The most memory of their own that this process and those below it take meanwhile."""

    def __enter__(self) -> Peaks:
        this = psutil.Process()
        self._pids = [this.pid, *(child.pid for child in this.children(recursive=True))]
        self._first = {pid: own_mb(pid) for pid in self._pids}
        self._most = dict(self._first)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.05):
            for pid in self._pids:
                self._most[pid] = max(self._most[pid], own_mb(pid))

    @property
    def growth_mb(self) -> float:
        return max(self._most[pid] - self._first[pid] for pid in self._pids)


def own_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def row(name: str, values: list[float]) -> str:
    p95 = statistics.quantiles(values, n=20, method="inclusive")[-1]
    middle = statistics.median(values)
    return f"| {name} | {middle:.1f} | {p95:.1f} | {max(values):.1f} | {len(values)} |"


def main() -> int:
    print("| ms | median | p95 | most | n |")
    print("| --- | ---: | ---: | ---: | ---: |")
    with ipp.Cluster(n=ENGINES + 1) as client:
        client[:].apply_sync(abs, -1)
        print(row("from a print to the client", latencies(client, N)))
        print(row("interrupt, until the result has ended", interrupts(client, N, Path("/tmp"))))
        print(row("another task, while eight compute", beside(client, compute, COMPUTE_S)[0]))
        with Peaks() as peaks:
            waits, took_ms = beside(client, print_lines, LINES)
        print(row("another task, while eight print 1 GB", waits))
    print(f"\nThe flood took {took_ms / MS:.1f} s; no process grew by more than ", end="")
    print(f"{peaks.growth_mb:.0f} MB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
