"""Engines that are far away: behind a proxy over which everything takes its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hippodrome.security import connection_file
from support.distance import Distance
from support.processes import Process, Site, program

ONE_WAY_S = 0.025
RUN_S = 0.01
N = 400
BUSY = 0.6  # 16 % without looking at the way; 90 % where nothing else runs


@pytest.mark.alone
def test_engines_far_away_are_kept_busy(site: Site, connect: Callable[..., Any]) -> None:
    controller = site.start("ipcontroller", "--ip=127.0.0.1")
    path = site.security_dir / "ipcontroller-engine.json"
    info = connection_file.read(path)
    port = next(int(a.rpartition(":")[2]) for a in info.addresses if a.startswith("tcp:"))
    with Distance(port, ONE_WAY_S) as way:
        connection_file.write(path, replace(info, addresses=(f"tcp://127.0.0.1:{way.port}",)))
        engines = Process([program("ipengine"), "-n", "2"], site.environment(), "ready: engines")
        engines.wait_ready(60)
        rc = connect()
        rc.wait_for_engines(2, timeout=20)
        view = rc.load_balanced_view()
        view.map_sync(time.sleep, [RUN_S] * 20, chunksize=1)
        began = time.monotonic()
        view.map_sync(time.sleep, [RUN_S] * N, chunksize=1)
        took_s = time.monotonic() - began
        assert N * RUN_S / 2 / took_s > BUSY
        engines.stop()
    controller.stop()
