"""A network that breaks connections, stalls or takes its time: it takes longer, and that is all."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import hippodrome as ipp
from support.hosts import Hosts
from support.hostwork import Work
from support.processes import Site
from support.proxy import Proxy

GIVEN_S: Final = 60.0
CUT_S: Final = 12.0  # long enough that connections are given up


@pytest.fixture(scope="module")
def proxied(hosts: Hosts, module_site: Site) -> Iterator[tuple[Proxy, Any]]:
    """A controller, and two engines on a host that reach it by a proxy only; and a client."""
    site = module_site
    site.start("ipcontroller", f"--ip={hosts.head}")
    path = site.security_dir / "ipcontroller-engine.json"
    content = json.loads(path.read_text())
    (target,) = (a for a in content["addresses"] if a.startswith("tcp://") and hosts.head in a)
    port = int(target.rpartition(":")[2])
    with Proxy((hosts.head, port)) as proxy:
        content["addresses"] = [f"tcp://{hosts.head}:{proxy.port}"]
        beside = site.directory / "by-proxy.json"
        beside.write_text(json.dumps(content))
        beside.chmod(0o600)
        site.adopt(hosts.start("h1", "ipengine", "-n", "2", f"--file={beside}"))
        with ipp.Client(str(site.client_file)) as rc:
            rc.wait_for_engines(2, timeout=GIVEN_S)
            yield proxy, rc
        site.stop()


@pytest.mark.parametrize("seed", range(2))
def test_connections_that_are_reset_at_any_moment_cost_nothing(
    seed: int, proxied: tuple[Proxy, Any], tmp_path: Path
) -> None:
    proxy, rc = proxied
    chance = random.Random(seed)
    work = Work(rc, tmp_path)
    moment = threading.Event()
    n_broken = 0
    for _ in range(6):
        moment.wait(chance.uniform(0.05, 0.5))
        n_broken += proxy.reset()
    assert n_broken >= 4
    work.check(GIVEN_S)


def test_a_tunnel_that_is_made_anew_costs_nothing(
    proxied: tuple[Proxy, Any], tmp_path: Path
) -> None:
    proxy, rc = proxied
    work = Work(rc, tmp_path)
    proxy.refuse(True)
    assert proxy.reset() >= 2
    time.sleep(2.5)  # which a controller must not take for the end of what is behind it
    proxy.refuse(False)
    work.check(GIVEN_S)


def test_a_network_that_takes_its_time_takes_nothing_else(
    proxied: tuple[Proxy, Any], tmp_path: Path
) -> None:
    proxy, rc = proxied
    proxy.delay_s = 0.2
    work = Work(rc, tmp_path)
    work.check(GIVEN_S)
    proxy.delay_s = 0.0


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_direction_that_stalls_is_waited_out(
    direction: str, proxied: tuple[Proxy, Any], tmp_path: Path
) -> None:
    proxy, rc = proxied
    work = Work(rc, tmp_path)
    proxy.stall(direction)
    time.sleep(CUT_S)
    proxy.flow()
    work.check(GIVEN_S)
