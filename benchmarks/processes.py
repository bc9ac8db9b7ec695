"""Processes of one session, found by a mark in their environment: to weigh, and to end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

MARK: Final = "HIPPODROME_BENCHMARK"
MB: Final = 1e6
END_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Weight:
    """Memory of some processes, in bytes; pages that n processes share count 1/n in *pss*."""

    rss: int = 0
    pss: int = 0
    uss: int = 0

    def __add__(self, other: Weight) -> Weight:
        return Weight(self.rss + other.rss, self.pss + other.pss, self.uss + other.uss)


def marked(mark: str) -> Iterator[psutil.Process]:
    """Find the processes of the session *mark*, whoever their parents are by now."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                yield process
        except (psutil.Error, OSError):
            continue


def weigh(mark: str) -> dict[int, Weight]:
    """Return what each process of a session holds in memory, by its pid."""
    weights = {}
    for process in marked(mark):
        try:
            memory = process.memory_full_info()
        except (psutil.Error, OSError):
            continue
        weights[process.pid] = Weight(memory.rss, getattr(memory, "pss", memory.rss), memory.uss)
    return weights


def cpu_s(mark: str) -> float:
    """Return how many seconds the threads of a session have computed so far, all together."""
    total_ns = 0
    for process in marked(mark):
        for thread in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                total_ns += int(thread.read_text().split()[0])
    return total_ns / 1e9


def end(mark: str) -> int:
    """Kill what is left of a session; return how many processes that were."""
    left = list(marked(mark))
    for process in left:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(left, timeout=END_TIMEOUT_S)
    return len(left)
