"""Kernels are other people's programs; ours must be gone when they are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import psutil
import pytest


def processes_of(ipython_dir: str) -> list[psutil.Process]:
    """Return the processes that live in a test's own world, this one aside."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("IPYTHONDIR") == ipython_dir:
                found.append(process)
    return found


@pytest.fixture(autouse=True)
def no_process_stays(site: Any) -> Iterator[None]:
    yield
    _, left = psutil.wait_procs(processes_of(os.environ["IPYTHONDIR"]), timeout=10)
    assert not left, left
