"""``python -m benchmarks.versus OTHER/src``: this version beside another one of this package.

Both run at the same time, each with two engines, and take turns, so that whatever else the machine
does disturbs both. In each turn, wall time and the CPU time of all processes are taken for each
task, and the ratio this / other; below 1 is better. As one start may be luckier than another,
all is started anew several times. Shown are the medians of the ratios and their quartiles.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks import peers, processes
from benchmarks.session import ROOT, Session

WORKLOADS: Final[Mapping[str, tuple[str, dict[str, int]]]] = {
    "round trip": ("round_trips", {"n": 500}),
    "tasks one by one": ("tasks", {"n": 10_000}),
    "map item by item": ("map_items", {"n": 50_000}),
    "layers of tasks": ("dag", {"layers": 50, "width": 50}),
}
WARM_UP: Final = 2_000
MICRO: Final = 1e6

Costs = tuple[float, float]  # microseconds of wall time and of CPU time, for each task
Ratios = dict[str, list[Costs]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="the directory that holds its package")
    parser.add_argument("--starts", type=int, default=4)
    parser.add_argument("--turns", type=int, default=6, help="after each start")
    options = parser.parse_args()
    ratios: Ratios = defaultdict(list)
    for _ in range(options.starts):
        for name, ratio in compare(ROOT / "src", options.other.resolve(), options.turns):
            ratios[name].append(ratio)
    print(table(ratios))
    return 0


def compare(this: Path, other: Path, n_turns: int) -> Iterator[tuple[str, Costs]]:
    """Start both once; yield the ratios of each workload in each turn."""
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(Session(peers.OURS, Path(sys.executable), source))
            for source in (this, other)
        ]
        for session in sessions:
            session.ask("start", n=2)
            session.ask("run", procedure="warm_up", arguments={"n": WARM_UP})
        for turn in range(n_turns):
            for name, work in WORKLOADS.items():
                order = sessions if turn % 2 else sessions[::-1]
                costs = {session.mark: measure(session, *work) for session in order}
                ours, theirs = (costs[session.mark] for session in sessions)
                yield name, (ours[0] / theirs[0], ours[1] / theirs[1])


def measure(session: Session, procedure: str, arguments: dict[str, int]) -> Costs:
    """Return what each task took."""
    before_s = processes.cpu_s(session.mark)
    figures = session.ask("run", procedure=procedure, arguments=arguments)
    cpu_s = processes.cpu_s(session.mark) - before_s
    rates = [figures[name] for name in ("tasks_per_s", "items_per_s") if name in figures]
    wall_us = MICRO / rates[0] if rates else figures["median_us"]
    return wall_us, MICRO * cpu_s / figures["n"]


def table(ratios: Ratios) -> str:
    lines = ["| workload | wall time, this / other | CPU time, this / other | turns |"]
    lines.append("| --- | ---: | ---: | ---: |")
    for name, pairs in ratios.items():
        wall, cpu = (spread([pair[i] for pair in pairs]) for i in (0, 1))
        lines.append(f"| {name} | {wall} | {cpu} | {len(pairs)} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{median:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    sys.exit(main())
