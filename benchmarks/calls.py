"""The functions that tasks call. Importable by every worker; loads nothing that takes time."""

from __future__ import annotations

import os
import time
from typing import Any

NAP_S = 0.05

_kept: dict[Any, Any] = {}


def noop(x: Any) -> Any:
    return x


def pid(_: Any = None) -> int:
    """Return which process this is, late enough for the other workers to get a turn."""
    time.sleep(NAP_S)
    return os.getpid()


def nap(seconds: float) -> None:
    time.sleep(seconds)


def add(a: int, b: int) -> int:
    return (a + b) % 1_000_003


def total(array: Any) -> float:
    return float(array.sum())


def keep(array: Any) -> float:
    """Store *array* in the worker, and look at both ends of it."""
    _kept["array"] = array
    return float(array[0] + array[-1])


def give(n_bytes: int) -> Any:
    """Return an array that the worker holds since it was first asked for one of that size."""
    import numpy as np

    if n_bytes not in _kept:
        _kept[n_bytes] = np.random.default_rng(0).random(n_bytes // 8)
    return _kept[n_bytes]


def own(n_bytes: int) -> None:
    """Make the array that `give` returns, slowly enough for the other workers to get a turn."""
    give(n_bytes)
    time.sleep(NAP_S)


def wait_for(path: str, started: str) -> None:
    """Create the file *started*, then keep the worker busy until there is a file at *path*."""
    with open(started, "w"):
        pass
    while not os.path.exists(path):
        time.sleep(0.01)
