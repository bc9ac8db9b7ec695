"""A cable that is cut between two hosts: everything is there again soon after it is mended.

The other host is a network namespace, which only root can make; elsewhere this is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

import hippodrome as ipp
from hippodrome.security import connection_file
from support.processes import Process, Site, program
from support.tasks import noting

CUT_S = 13.0  # long enough that connections are given up and made anew
BACK_S = 5.0
ACTED_ON_S = 7.0  # later than ENDED_REMOTE_S of the scheduler


@dataclass(frozen=True)
class OtherHost:
    """A network namespace, and the address at which this host is seen from there."""

    name: str
    cable: str
    address: str

    def set_cable(self, state: str) -> None:
        ip("link", "set", self.cable, state)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def host() -> Iterator[OtherHost]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("NOT TESTED: a cut cable needs root and iproute2, for network namespaces")
    number = os.getpid() % 250
    host = OtherHost(f"hh{os.getpid()}", f"hh{os.getpid() % 10**8}", f"10.83.{number}.1")
    try:
        ip("netns", "add", host.name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"NOT TESTED: no network namespace can be made here: {error.stderr.decode()}")
    try:
        ip("link", "add", host.cable, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        ip("addr", "add", f"{host.address}/24", "dev", host.cable)
        host.set_cable("up")
        ip("-n", host.name, "addr", "add", f"10.83.{number}.2/24", "dev", "eth0")
        ip("-n", host.name, "link", "set", "lo", "up")
        ip("-n", host.name, "link", "set", "eth0", "up")
        yield host
    finally:
        ip("netns", "del", host.name)  # and with it both ends of the cable


@pytest.fixture
def engines(host: OtherHost, site: Site) -> Iterator[Process]:
    """A controller here, and two engines there that know only its address on the network."""
    controller = site.start("ipcontroller", f"--ip={host.address}")
    path = site.security_dir / "ipcontroller-engine.json"
    info = connection_file.read(path)
    tcp = tuple(address for address in info.addresses if address.startswith("tcp"))
    connection_file.write(path, replace(info, addresses=tcp))
    inside = ["ip", "netns", "exec", host.name, program("ipengine"), "-n", "2"]
    engines = Process(inside, site.environment(), "ready: engines")
    engines.wait_ready()
    yield engines
    if engines.popen.poll() is None:
        engines.stop()
    controller.stop()


def test_a_cable_that_is_cut_and_mended_costs_nothing(
    host: OtherHost, engines: Process, connect: Callable[..., Any], tmp_path: Path
) -> None:
    rc = connect()
    rc.wait_for_engines(2, timeout=10)
    rc[:].push({"kept": 42}, block=True)
    view = rc.load_balanced_view()
    view.retries = 3
    runs = [tmp_path / f"{number}" for number in range(6)]
    ars = [view.apply_async(noting(), str(run), 1.0) for run in runs]
    ars[0].get(timeout=10)
    host.set_cable("down")
    time.sleep(CUT_S)  # it is this that is tested
    host.set_cable("up")
    mended = time.monotonic()
    assert rc[:].apply_async(abs, -1).get(timeout=60) == [1, 1]
    assert time.monotonic() - mended < BACK_S + 1.0 * len(runs) / 2  # behind what waits there
    assert [ar.get(timeout=60) for ar in ars] == [len(str(run)) for run in runs]
    assert [run.read_text() for run in runs] == ["x"] * len(runs)
    assert (rc.ids, rc[:].pull("kept", block=True)) == ([0, 1], [42, 42])
    assert "the controller is back" in engines.log


def test_a_supervisor_that_is_killed_on_another_host_is_not_waited_for(
    engines: Process, connect: Callable[..., Any]
) -> None:
    rc = connect()
    rc.wait_for_engines(2, timeout=10)
    ar = rc[0].apply_async(time.sleep, 60)
    engines.is_death_wanted = True
    psutil.Process(engines.pid).kill()
    killed = time.monotonic()
    with pytest.raises(ipp.EngineError, match="gone with its supervisor"):
        ar.get(timeout=60)
    assert time.monotonic() - killed < ACTED_ON_S
    engines.wait()
