"""Hosts that die and come back, have no room or another time; a controller at wrong addresses."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

import hippodrome as ipp
from support.hosts import Hosts
from support.hostwork import some_bytes
from support.processes import Site
from support.tasks import noting

PATIENCE_S: Final = 6.0
GIVEN_S: Final = 30.0
FAKETIME: Final = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


def names_of(rc: Any) -> dict[int, str]:
    """Where each engine is."""
    names = rc[:].apply_async(lambda: __import__("socket").gethostname()).get(timeout=GIVEN_S)
    return dict(zip(rc.ids, names, strict=True))


def compute() -> Callable[[float], None]:
    """Return a task, sent by value, that takes some time; sleep knows no other clocks."""

    def compute(seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    return compute


def on(rc: Any, name: str) -> list[int]:
    return [number for number, host in names_of(rc).items() if host == name]


def test_a_host_that_dies_costs_what_ran_there_and_comes_back(
    make_hosts: Callable[..., Hosts], site: Site, connect: Callable[..., Any], tmp_path: Path
) -> None:
    hosts = make_hosts(2)
    site.start("ipcontroller", f"--ip={hosts.head}", f"--patience={PATIENCE_S}")
    site.adopt(hosts.start("h1", "ipengine", "-n", "2"))
    supervisor = hosts.start("h2", "ipengine", "-n", "2")
    rc = connect()
    rc.wait_for_engines(4, timeout=GIVEN_S)
    dead, alive = on(rc, "h2"), on(rc, "h1")
    lost = rc[dead].apply_async(time.sleep, 60)
    view = rc.load_balanced_view()
    view.retries = 1
    notes = [tmp_path / f"{number}" for number in range(12)]
    again = [view.apply_async(noting(), str(note), 0.3) for note in notes]
    again[0].get(timeout=GIVEN_S)
    supervisor.is_death_wanted = True
    hosts.remove("h2")
    removed = time.monotonic()
    supervisor.wait()
    with pytest.raises(ipp.CompositeError) as caught:
        lost.get(timeout=GIVEN_S)
    assert all(isinstance(error, ipp.EngineError) for error in caught.value.exceptions)
    assert time.monotonic() - removed < 3 * PATIENCE_S
    assert [task.get(timeout=GIVEN_S) for task in again] == [len(str(note)) for note in notes]
    assert rc.ids == alive
    hosts.add("h2")
    site.adopt(hosts.start("h2", "ipengine", "-n", "2"))
    rc.wait_for_engines(4, timeout=GIVEN_S)
    assert sorted(names_of(rc).values()) == ["h1", "h1", "h2", "h2"]
    assert rc[:].apply_sync(abs, -1) == [1] * 4


def test_a_supervisor_that_is_killed_in_a_transfer_costs_its_engines_and_nobody_else(
    make_hosts: Callable[..., Hosts], site: Site, connect: Callable[..., Any]
) -> None:
    hosts = make_hosts(2)
    site.start("ipcontroller", f"--ip={hosts.head}")
    supervisors = {name: hosts.start(name, "ipengine", "-n", "2") for name in hosts.names}
    site.adopt(supervisors["h1"])
    rc = connect()
    rc.wait_for_engines(4, timeout=GIVEN_S)
    kept, lost = rc[on(rc, "h1")], on(rc, "h2")
    hosts.rate("h2", "300mbit")  # so that it is in the middle
    array = some_bytes(60_000_000)
    pushed = rc[:].push({"a": array})
    time.sleep(0.4)
    supervisors["h2"].kill()
    with pytest.raises(ipp.CompositeError) as caught:
        pushed.get(timeout=GIVEN_S)
    assert {error.engine_info["engine_id"] for error in caught.value.exceptions} == {*lost}
    kept.execute("total = int(a.sum())").get(timeout=GIVEN_S)
    assert kept.pull("total", block=True) == [int(array.sum())] * 2
    assert rc.ids == kept.targets


def test_a_host_without_room_in_shared_memory_gets_everything(
    make_hosts: Callable[..., Hosts], site: Site, connect: Callable[..., Any]
) -> None:
    hosts = make_hosts(2, shm_bytes=8_000_000)
    site.start("ipcontroller", f"--ip={hosts.head}")
    for name in hosts.names:
        site.adopt(hosts.start(name, "ipengine", "-n", "2"))
    hosts.run("h1", ["sh", "-c", "head -c 100M /dev/zero > /dev/shm/full"])
    rc = connect()
    rc.wait_for_engines(4, timeout=GIVEN_S)
    array = some_bytes(30_000_000)
    rc[:].push({"a": array}).get(timeout=GIVEN_S)
    for back in rc[:].pull("a").get(timeout=GIVEN_S):
        assert (back == array).all()
    doubled = rc.load_balanced_view().map(lambda x: 2 * x, [array[:3_000_000]] * 12)
    assert all((one == 2 * array[:3_000_000]).all() for one in doubled.get(timeout=GIVEN_S))
    hosts.run("h1", ["rm", "/dev/shm/full"])


@pytest.mark.skipif(not FAKETIME, reason="NOT TESTED: there is no libfaketime, for other clocks")
@pytest.mark.parametrize("offset", ["+1h", "-1h"])
def test_clocks_that_are_an_hour_apart_change_no_duration(
    offset: str,
    make_hosts: Callable[..., Hosts],
    site: Site,
    connect: Callable[..., Any],
) -> None:
    hosts = make_hosts(1)
    site.start("ipcontroller", f"--ip={hosts.head}")
    there = {
        "LD_PRELOAD": str(FAKETIME[0]),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DISABLE_SHM": "1",  # it would leave files in /dev/shm
    }
    hosts.variables |= there
    site.adopt(hosts.start("h1", "ipengine", "-n", "2"))
    rc = connect()
    rc.wait_for_engines(2, timeout=GIVEN_S)
    now = rc[0].apply_sync(time.time)
    assert abs(abs(now - time.time()) - 3600) < 60, "the clock there is not another"
    ar = rc.load_balanced_view().map_async(compute(), [0.1] * 10, chunksize=1)
    ar.get(timeout=GIVEN_S)
    assert 0.4 < ar.wall_time < 20
    assert 0.9 < ar.serial_time < 20
    assert 0 <= ar.elapsed < 20
    for one in ar.metadata:
        assert one["submitted"] <= one["received"]  # by the clock here
        assert one["started"] <= one["completed"]  # by the clock there
    time.sleep(0.1)
    assert rc[:].apply_async(os.getpid).get(timeout=GIVEN_S)
    assert len(rc.ids) == 2


def test_engines_find_a_controller_that_has_wrong_addresses_too(
    make_hosts: Callable[..., Hosts], site: Site, connect: Callable[..., Any]
) -> None:
    hosts = make_hosts(2)
    site.start("ipcontroller", "--ip=*", f"--location={hosts.head}")
    path = site.security_dir / "ipcontroller-engine.json"
    content = json.loads(path.read_text())
    (port,) = {int(a.rpartition(":")[2]) for a in content["addresses"] if a.startswith("tcp")}
    nobody = hosts.head.replace(".254", ".99")
    content["addresses"] = [f"tcp://{nobody}:{port}", f"tcp://h2:{port}", f"tcp://head:{port}"]
    hosts.drop("h2", port)
    beside = site.directory / "wrong.json"
    beside.write_text(json.dumps(content))
    beside.chmod(0o600)
    began = time.monotonic()
    site.adopt(hosts.start("h1", "ipengine", "-n", "1", f"--file={beside}"))
    assert time.monotonic() - began < 10
    rc = connect()
    rc.wait_for_engines(1, timeout=GIVEN_S)
    assert rc[:].apply_sync(abs, -1) == [1]
