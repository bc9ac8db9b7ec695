"""How much memory processes take at their peak, as the system counts it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psutil

_RESET_PEAK: Final = "5"


class Watch:
    """The peaks of some processes from now on.

    Args:
        pids: which processes.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._before: dict[int, float] = {}
        for pid in pids:
            _file(pid, "clear_refs").write_text(_RESET_PEAK)
            self._before[pid] = _status_mb(pid, "VmHWM")

    def growth_mb(self) -> dict[str, float]:
        """Return by how many MB each has grown at most, as far as it still runs."""
        return {
            f"{psutil.Process(pid).name()} {pid}": _status_mb(pid, "VmHWM") - before
            for pid, before in self._before.items()
        }


def shared_mb() -> float:
    """Return how much memory all files in memory take together."""
    return _find_mb(Path("/proc/meminfo"), "Shmem")


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def _file(pid: int, name: str) -> Path:
    return Path(f"/proc/{pid}/{name}")


def _status_mb(pid: int, name: str) -> float:
    return _find_mb(_file(pid, "status"), name)


def _find_mb(path: Path, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
