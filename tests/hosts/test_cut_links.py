"""Links between hosts that are cut and mended: it takes longer, and that is all."""

from __future__ import annotations

import subprocess
import sys
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


CLIENT: Final = """
import sys
import numpy as np
import hippodrome as ipp

with ipp.Client(sys.argv[1]) as rc:
    rc.wait_for_engines(2, timeout=60)
    array = np.random.default_rng(3).integers(0, 256, 60_000_000, np.uint8)
    rc[0].execute("import numpy as np; made = np.arange(5_000_000)", block=True)
    pushed, pulled = rc[0].push({"sent": array}), rc[0].pull("made")
    tasks = [rc.load_balanced_view().apply_async(pow, 2, i) for i in range(100)]
    print("begun", flush=True)
    pushed.get(timeout=90)
    assert (pulled.get(timeout=90) == np.arange(5_000_000)).all()
    assert [task.get(timeout=90) for task in tasks] == [2**i for i in range(100)]
    rc[0].execute("total = int(sent.sum())").get(timeout=90)
    assert rc[0].pull("total").get(timeout=90) == int(array.sum())
print("all came", flush=True)
"""


@pytest.mark.parametrize("down_s", [1.0, 12.0])
def test_a_client_elsewhere_that_is_cut_off_for_a_while_loses_nothing(
    down_s: float, make_hosts: Callable[..., Hosts], site: Site
) -> None:
    hosts = make_hosts(2)
    site.start("ipcontroller", f"--ip={hosts.head}")
    site.adopt(hosts.start("h1", "ipengine", "-n", "2"))
    hosts.rate("h2", "1gbit")  # so that what is sent takes some time
    command = [sys.executable, "-c", CLIENT, str(site.client_file)]
    with hosts.popen("h2", command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "begun\n"
        time.sleep(0.2)  # in the middle of all that
        hosts.link("h2", False)
        time.sleep(down_s)  # it is this that is tested
        hosts.link("h2", True)
        assert client.stdout.readline() == "all came\n"
        assert client.wait(STARTS_S) == 0
