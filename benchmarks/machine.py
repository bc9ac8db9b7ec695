"""What a figure needs beside it to be understood: the machine, and who else was using it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

from benchmarks import environments, peers

QUIET: Final = 1.5


def describe() -> dict[str, str | float | int]:
    """Return what this machine is, and its load now."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "load_before": round(psutil.getloadavg()[0], 2),
    }


def processor() -> str:
    """Return the name of the processor, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def versions(pythons: Mapping[str, Path]) -> dict[str, str]:
    """Return the version of each peer that was used."""
    return {name: _version(name, python) for name, python in pythons.items()}


def _version(name: str, python: Path) -> str:
    wanted = {"floor": "pyzmq", peers.OURS: "hippodrome"}.get(name, name)
    return environments.versions(python).get(wanted, f"Python {platform.python_version()}")
