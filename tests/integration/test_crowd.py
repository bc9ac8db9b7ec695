"""A thousand engines, played in one process: they are known soon, cost little, and are all called.

What they cost is measured more strictly by ``python -m benchmarks``, where nothing else runs.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import hippodrome as ipp
from support.processes import Process, Site

N = 1_000
PER = 16
KNOWN_S = 40.0  # of which all but a few are the two cores' that everybody here shares
IDLE_S = 5.0
IDLE_SHARE = 0.08  # of a core
GONE_S = 10.0
HERE = Path(__file__).parents[1]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def start_crowd(site: Site, n: int, per: int, scheme: str = "tcp") -> Process:
    file = site.security_dir / "ipcontroller-engine.json"
    command = [sys.executable, "-m", "support.crowd", str(file), str(n), str(per)]
    environment = dict(site.environment()) | {"PYTHONPATH": str(HERE)}
    return Process([*command, "--scheme", scheme], environment, "joined")


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and its children."""
    parent = psutil.Process(pid)
    return sum(sum(one.cpu_times()[:2]) for one in (parent, *parent.children()))


@pytest.mark.alone
def test_a_thousand_engines(site: Site, connect: Callable[..., Any]) -> None:
    controller = site.start("ipcontroller", "--ip=127.0.0.1")
    rc = connect()
    began = time.monotonic()
    crowd = start_crowd(site, N, PER)
    rc.wait_for_engines(N, timeout=KNOWN_S)
    assert time.monotonic() - began < KNOWN_S
    assert rc.ids == list(range(N))
    crowd.wait_ready(KNOWN_S)

    assert repr(rc[:]) == "<DirectView [0-999]>"
    assert rc[:].apply_sync(os.getpid) == [crowd.pid] * N
    assert sorted(rc.load_balanced_view().map_sync(abs, range(-N, 0))) == list(range(1, N + 1))
    with pytest.raises(ipp.CompositeError, match="1000 of 1000 tasks of divmod failed"):
        rc[:].apply_sync(divmod, 1, 0)

    before, at = cpu_s(controller.pid), time.monotonic()
    time.sleep(IDLE_S)  # it is this that is measured
    assert (cpu_s(controller.pid) - before) / (time.monotonic() - at) < IDLE_SHARE

    os.kill(crowd.pid, signal.SIGUSR1)  # a host is gone, with all that is on it
    seen = set()
    gone_at = time.monotonic()
    while (n := len(rc.ids)) > N - PER:
        seen.add(n)
        assert time.monotonic() - gone_at < GONE_S
    assert seen == {N}, "one by one"
    assert rc[:].apply_sync(os.getpid) == [crowd.pid] * (N - PER)
    crowd.stop()
    controller.stop()
