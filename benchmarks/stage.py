"""The list of the first stage: a cluster of two engines beside a process pool and the floor.

Each measurement says what it compares and which goal it has; goals are printed, not enforced.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Final

import psutil

import hippodrome as ipp
from benchmarks.floor import Floor

ROUND_TRIPS: Final = 200
MB: Final = 1e6

STARTS: Final = {
    "ours": (
        "import time; start = time.perf_counter()\n"
        "import hippodrome as ipp\n"
        "with ipp.Cluster(n=2) as rc:\n"
        "    rc.load_balanced_view().apply_sync(abs, -1)\n"
        "    print('took', time.perf_counter() - start)\n"
    ),
    "pool": (
        "import time; start = time.perf_counter()\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "with ProcessPoolExecutor(2) as pool:\n"
        "    pool.submit(abs, -1).result()\n"
        "    print('took', time.perf_counter() - start)\n"
    ),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        goal: a bound; None where the figure is for comparison only.
        compare: ``"ratio"`` if the goal is about ours / yardstick, else ``"ours"``.
        at_least: whether the goal is a lower bound; else it is an upper one.
    """

    name: str
    unit: str
    ours: float
    yardstick: float | None
    yardstick_name: str
    goal: float | None = None
    compare: str = "ours"
    at_least: bool = False

    @property
    def ratio(self) -> float | None:
        return self.ours / self.yardstick if self.yardstick else None

    @property
    def is_reached(self) -> bool | None:
        if self.goal is None:
            return None
        value = self.ratio if self.compare == "ratio" else self.ours
        assert value is not None
        return value >= self.goal if self.at_least else value <= self.goal

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": self.ratio, "is_reached": self.is_reached}

    def as_row(self) -> tuple[str, ...]:
        unit = "" if self.compare == "ratio" else f" {self.unit}"
        return (
            self.name,
            f"{shown(self.ours)} {self.unit}",
            f"{shown(self.yardstick)} {self.unit} ({self.yardstick_name})"
            if self.yardstick
            else "",
            f"{self.ratio:.2f}" if self.ratio else "",
            f"{'>=' if self.at_least else '<='} {self.goal:g}{unit}" if self.goal else "",
            {None: "", True: "reached", False: "NOT reached"}[self.is_reached],
        )


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(figures: list[Figure]) -> str:
    rows = [("", "ours", "yardstick", "ratio", "goal", "")]
    rows += [figure.as_row() for figure in figures]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def measure(n_tasks: int, repetitions: int) -> list[Figure]:
    """Take all figures; about a minute with the defaults of the command line."""
    with ProcessPoolExecutor(2) as pool:
        rate(pool.submit, 200)  # its processes are forked now, before there are threads
        with ipp.Cluster(n=2) as rc, Floor() as floor:
            figures = measure_sizes(rc)
            view = rc.load_balanced_view()
            rate(view.apply_async, 200)
            figures += measure_rate(view, pool, floor, n_tasks, repetitions)
            figures += measure_round_trip(view, pool, floor, repetitions)
    return [*figures, measure_start(repetitions)]


def measure_rate(
    view: Any, pool: ProcessPoolExecutor, floor: Floor, n: int, repetitions: int
) -> list[Figure]:
    """Submit *n* no-op tasks one by one, then gather the results."""
    ours, pools, floors = [], [], []
    for _ in range(repetitions):
        ours.append(rate(view.apply_async, n))
        pools.append(rate(pool.submit, n))
        floors.append(rate(lambda _, i: floor.submit(i), n))
    name, our = f"{n:,} no-op tasks, one by one", statistics.median(ours)
    return [
        Figure(name, "tasks/s", our, statistics.median(pools), "pool", 2.0, "ratio", True),
        Figure(name, "tasks/s", our, statistics.median(floors), "floor"),
    ]


def rate(submit: Callable[..., Any], n: int) -> float:
    start = time.perf_counter()
    futures = [submit(abs, -i) for i in range(n)]
    assert [future.result() for future in futures] == list(range(n))
    return n / (time.perf_counter() - start)


def measure_round_trip(
    view: Any, pool: ProcessPoolExecutor, floor: Floor, repetitions: int
) -> list[Figure]:
    """Submit one task and wait for its result, again and again."""
    ours, pools, floors = [], [], []
    for _ in range(repetitions):
        ours += round_trips(lambda: view.apply_sync(abs, -1))
        floors += round_trips(lambda: floor.submit(-1).result())
        pools += round_trips(lambda: pool.submit(abs, -1).result())
    name, our = "blocking round trip", statistics.median(ours)
    return [
        Figure(name, "us", our, statistics.median(floors), "floor", 2.5, "ratio"),
        Figure(name, "us", our, statistics.median(pools), "pool"),
    ]


def round_trips(call: Callable[[], Any]) -> list[float]:
    """Return what each of `ROUND_TRIPS` calls took, in microseconds."""
    times = []
    for _ in range(ROUND_TRIPS):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e6)
    return times


def measure_start(repetitions: int) -> Figure:
    """From the import to the first result, each time in a new process."""
    times: dict[str, list[float]] = {name: [] for name in STARTS}
    for _ in range(repetitions):
        for name, code in STARTS.items():
            shown = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout
            times[name].append(float(shown.rpartition("took ")[2]))
    ours, pool = (statistics.median(times[name]) for name in ("ours", "pool"))
    return Figure("import to first result of Cluster(n=2)", "s", ours, pool, "pool", 1.5)


def measure_sizes(rc: Any) -> list[Figure]:
    """Memory of engines that have done nothing yet, and of the controller's processes."""
    engines = rc[:].apply_sync(os.getpid)
    engine = statistics.mean(psutil.Process(pid).memory_info().rss for pid in engines)
    controller = sum(process.memory_info().rss for process in controller_processes())
    return [
        Figure("an idle engine", "MB", engine / MB, None, "", 45.0),
        Figure("the controller, all its processes", "MB", controller / MB, None, "", 110.0),
    ]


def controller_processes() -> list[psutil.Process]:
    """Return the controller and its children, among what this process has started."""
    for process in psutil.Process().children(recursive=True):
        if any("controller" in argument for argument in process.cmdline()):
            return [process, *process.children(recursive=True)]
    return []
