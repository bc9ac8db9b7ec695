"""Large arrays between hosts, and what befalls hosts and cables meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import hippodrome as ipp
from support.hosts import Hosts
from support.memory import Watch
from support.processes import Process, Site

MB = 1_000_000
WAIT_S = 120


def an_array(mb: int) -> Any:
    return np.random.default_rng(7).integers(0, 256, mb * MB, np.uint8)


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait for something of which no event tells, on a machine that may be busy."""
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.05)


class Cluster:
    """A controller on the first host, engines on others, and a client here, on the head."""

    def __init__(self, hosts: Hosts, site: Site) -> None:
        self.hosts = hosts
        self.site = site
        self.processes: list[Process] = []
        self.controller = self.start("h1", "ipcontroller", f"--ip={hosts.address('h1')}")

    def start(self, host: str, program: str, *options: str) -> Process:
        process = self.hosts.start(host, program, *options)
        self.processes.append(process)
        return process

    def scheduler(self) -> int:
        (scheduler,) = psutil.Process(self.controller.popen.program_pid).children()  # type: ignore[attr-defined]
        return int(scheduler.pid)

    def stop(self) -> None:
        for process in reversed(self.processes):
            if process.popen.poll() is None:
                process.stop()


@pytest.fixture
def start(make_hosts: Callable[..., Hosts], site: Site) -> Iterator[Callable[..., Any]]:
    """Start a cluster, with so many engines on each host but the first; return it and a client."""
    begun: list[Any] = []

    def begin(*n_engines: int, **options: Any) -> tuple[Cluster, Any]:
        cluster = Cluster(make_hosts(1 + len(n_engines), **options), site)
        begun.append(cluster)
        for number, n in enumerate(n_engines, 2):
            cluster.start(f"h{number}", "ipengine", "-n", str(n))
        rc = ipp.Client(str(site.client_file))
        begun.append(rc)
        rc.wait_for_engines(sum(n_engines), timeout=30)
        assert rc._io.lends_in_place, "the client is on a host of its own"
        return cluster, rc

    yield begin
    for one in reversed(begun):
        one.close() if isinstance(one, ipp.Client) else one.stop()


def shm_of(rc: Any) -> list[list[str]]:
    """Return what lies about in the memory of each engine's host."""

    def names() -> list[str]:
        import os

        found = [name for _, _, files in os.walk("/dev/shm") for name in files]
        return [name for name in found if not name.startswith(".")]

    return [sorted(each) for each in rc[:].apply_sync(names)]


def test_arrays_go_to_each_host_once_and_come_back_through_little_memory(start: Any) -> None:
    cluster, rc = start(2, 2)
    a = an_array(60)
    watch = Watch([cluster.scheduler()])
    rc[:].push({"a": a}, block=True)
    assert rc[:].apply_sync(np.sum, ipp.Reference("a")) == [a.sum()] * 4
    for b in rc[:].pull("a", block=True):
        assert (a == b).all()
        b[0] += 1  # what arrives may be written to
    (peak_mb,) = watch.growth_mb().values()
    assert peak_mb < 64
    del b
    wait_for(lambda: shm_of(rc) == [[]] * 4)  # mapped, and without a name
    assert rc._io._delivery.segments._offers == {}


def test_a_link_that_is_down_for_a_while_holds_a_transfer_up_and_no_more(start: Any) -> None:
    cluster, rc = start(1)
    cluster.hosts.rate("h2", "200mbit")
    a = an_array(60)
    for call in (lambda: rc[0].push({"a": a}), lambda: rc[0].pull("a")):
        result = call()
        time.sleep(0.5)  # in the middle of it: 60 MB take 2.4 s
        assert not result.done()
        cluster.hosts.link("h2", False)
        time.sleep(3)
        cluster.hosts.link("h2", True)
        got = result.get(WAIT_S)
    assert (got == a).all()


def test_who_is_cut_off_holds_up_nobody_else(start: Any) -> None:
    cluster, rc = start(1, 1)
    cluster.hosts.rate("h2", "100mbit")
    a = an_array(40)
    results = rc[:].push({"a": a}, block=False)
    cluster.hosts.link("h2", False)
    other = rc[1].apply_async(lambda: 7)
    assert other.get(WAIT_S) == 7, "which stands behind the array for this host"
    cluster.hosts.link("h2", True)
    results.get(WAIT_S)
    assert rc[:].apply_sync(np.sum, ipp.Reference("a")) == [a.sum()] * 2


def test_a_supervisor_that_is_killed_takes_its_own_transfers_with_it(start: Any) -> None:
    cluster, rc = start(1, 1)
    cluster.hosts.rate("h2", "100mbit")
    a = an_array(40)
    results = rc[:].push({"a": a}, block=False)
    task = rc.load_balanced_view(targets=[0]).apply_async(np.sum, a)
    time.sleep(0.5)
    cluster.processes[1].is_death_wanted = True
    os.kill(cluster.processes[1].popen.program_pid, 9)  # type: ignore[attr-defined]
    with pytest.raises((ipp.EngineError, ipp.ImpossibleDependency)):  # it had not begun
        task.get(WAIT_S)
    with pytest.raises(ipp.CompositeError):
        results.get(WAIT_S)
    assert rc[1].apply_sync(np.sum, ipp.Reference("a")) == a.sum()
    rc[1].push({"b": a[: 30 * MB]}, block=True)
    cluster.processes[1].popen.wait(10)


def test_where_a_host_has_no_room_arrays_go_as_frames(start: Any) -> None:
    _, rc = start(1, shm_bytes=16 * MB)
    a = an_array(40)
    rc[0].push({"a": a}, block=True)
    assert (rc[0].pull("a", block=True) == a).all()
    assert rc[0].apply_sync(np.sum, ipp.Reference("a")) == a.sum()
    small = a[: 4 * MB]
    assert (rc[0].apply_sync(lambda x: x, small) == small).all()


def test_small_tasks_do_not_wait_behind_a_large_one(start: Any, site: Site) -> None:
    cluster, rc = start(1)
    cluster.hosts.rate("h2", "400mbit")
    with ipp.Client(str(site.client_file)) as other:
        other[0].apply_sync(abs, -1)
        pushing = rc[0].push({"a": an_array(100)}, block=False)  # 2 s
        delays = []
        while not pushing.done():
            began = time.perf_counter()
            assert other[0].apply_sync(abs, -2) == 2
            delays.append(time.perf_counter() - began)
        pushing.get(WAIT_S)
    assert len(delays) > 3
    assert max(delays) < 1.0, "not behind what takes two seconds, on a machine with others"


def test_a_client_that_ends_before_its_arrays_were_fetched_fails_its_tasks_and_nothing_else(
    start: Any, site: Site, tmp_path: Path
) -> None:
    cluster, rc = start(1)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    held = rc[0].apply_async(Path.read_text, gate)
    cluster.hosts.rate("h2", "10mbit")
    other = ipp.Client(str(site.client_file))
    lost = other[0].push({"a": an_array(20)}, block=False)
    msg_id = lost.msg_ids[0]
    threading.Timer(0.5, lambda: gate.write_text("go on")).start()
    assert held.get(WAIT_S) == "go on"
    other.close()
    cluster.hosts.rate("h2", None)
    wait_for(lambda: rc.result_status([msg_id])["pending"] == [])
    assert rc[0].apply_sync(abs, -1) == 1
    wait_for(lambda: shm_of(rc) == [[]])
