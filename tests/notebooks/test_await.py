"""Cells that await: a kernel has an event loop, and nothing of ours may need another in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.kernel import Kernel


@pytest.fixture
def kernel(site: Any) -> Iterator[Kernel]:
    with Kernel() as kernel:
        yield kernel


ALL_IN_THE_LOOP = """
import asyncio
import hippodrome as ipp
loop = asyncio.get_running_loop()
cluster = ipp.Cluster(n=1)
rc = await cluster.start_and_connect()
view = rc.load_balanced_view()
print(await view.apply_async(abs, -1), await rc[:].apply_async(abs, -2))
print([item async for item in view.map_async(abs, range(-3, 0))])
assert view.map_sync(abs, range(-3, 0)) == view.map_async(abs, range(-3, 0)).get()
rc.close()
await cluster.stop_cluster()
async with ipp.Cluster(n=1) as rc:
    print(await rc[0].apply_async(abs, -3))
with ipp.Cluster(n=1) as rc:
    print(rc[0].apply_sync(abs, -4))
assert asyncio.get_running_loop() is loop
assert not hasattr(asyncio, "_nest_patched")
"""


def test_cells_await_results_and_clusters(kernel: Kernel) -> None:
    assert kernel.run(ALL_IN_THE_LOOP).text == "1 [2]\n[3, 2, 1]\n3\n4\n"
    failed = kernel.finish(
        kernel.send("async with ipp.Cluster(n=1) as rc:\n await rc[0].apply_async(int, 'x')")
    )
    assert failed.error == "RemoteError"
