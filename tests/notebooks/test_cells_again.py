"""A notebook's first cell, which starts a cluster, and is run again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.kernel import Kernel


@pytest.fixture
def kernel(site: Any) -> Iterator[Kernel]:
    with Kernel() as kernel:
        yield kernel


CELL = """
import hippodrome as ipp
cluster = ipp.Cluster(n=1, log_level=50)
rc = cluster.start_and_connect_sync()
"""


@pytest.mark.timeout(120)
def test_a_cell_that_starts_its_cluster_again_tells_of_the_former_one(kernel: Kernel) -> None:
    assert kernel.run(CELL).text == ""
    said = kernel.run(CELL).text
    assert "which this cell started before, still runs" in said
    call = said[said.index("Cluster.from_file") :].partition(" stops it")[0]
    kernel.run(f"ipp.{call}; rc[:].apply_sync(abs, -1)")
    assert kernel.run("cluster.stop_cluster_sync()").text == ""
    assert kernel.run(CELL + "cluster.stop_cluster_sync()").text == ""
