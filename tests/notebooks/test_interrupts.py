"""The stop button of a notebook, while a cell waits for a map."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.kernel import Kernel
from support.leaks import wait_until


@pytest.fixture
def kernel(site: Any) -> Iterator[Kernel]:
    with Kernel() as kernel:
        yield kernel


START = """
import hippodrome as ipp
cluster = ipp.Cluster(n=2, log_level=50)
rc = cluster.start_and_connect_sync()
view = rc.load_balanced_view()
def long_one(path):
    import time
    open(path, "w").close()
    time.sleep(1000)
"""


@pytest.mark.timeout(120)
def test_the_stop_button_ends_the_calls_of_the_cell(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run(START)
    for number in range(10):
        paths = [str(tmp_path / f"{number}-{i}") for i in range(8)]
        cell = kernel.send(f"view.map_sync(long_one, {paths!r})")
        wait_until(lambda n=number: len(list(tmp_path.glob(f"{n}-*"))) == 2)  # type: ignore[misc]
        asked = time.monotonic()
        kernel.interrupt()
        ran = kernel.finish(cell)
        assert time.monotonic() - asked < 5.0
        assert ran.error == "KeyboardInterrupt"
        shown = re.sub(r"\x1b\[[0-9;]*m", "", ran.traceback)
        assert shown.endswith("8 tasks of long_one: 6 aborted, 2 interrupted"), shown
        kernel.run("assert not rc.outstanding; assert rc[:].apply_sync(abs, -1) == [1, 1]")
    kernel.run("cluster.stop_cluster_sync()")
