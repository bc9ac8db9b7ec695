"""Links between hosts that are cut and mended: it takes longer, and that is all."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from support.hosts import Hosts
from support.hostwork import Work
from support.processes import Site

STARTS_S: Final = 30.0
SOON_S: Final = 30.0  # after a link is there again: connections are given up, and made anew


@pytest.mark.parametrize(
    "down_s",
    [
        1.0,
        5.0,
        pytest.param(30.0, marks=pytest.mark.slow),
        pytest.param(60.0, marks=[pytest.mark.slow, pytest.mark.timeout(150)]),
    ],
)
def test_a_link_that_is_down_for_a_while_costs_that_while(
    down_s: float,
    make_hosts: Callable[..., Hosts],
    site: Site,
    connect: Callable[..., Any],
    tmp_path: Path,
) -> None:
    hosts = make_hosts(2)
    site.start("ipcontroller", f"--ip={hosts.head}")
    for name in hosts.names:
        site.adopt(hosts.start(name, "ipengine", "-n", "2"))
    rc = connect()
    rc.wait_for_engines(4, timeout=STARTS_S)
    hosts.rate("h1", "1gbit")  # so that what is sent takes some time
    work = Work(rc, tmp_path)
    time.sleep(0.3)  # in the middle of all that
    hosts.link("h1", False)
    time.sleep(down_s)  # it is this that is tested
    hosts.link("h1", True)
    work.check(SOON_S)
    assert rc.ids == [0, 1, 2, 3]
