"""Large arrays where some processes share the controller's memory, and others do not."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hippodrome.segments import files
from support import elsewhere
from support.leaks import wait_until

N = files.LEAST_BYTES  # elements of eight bytes

pytestmark = [
    pytest.mark.skipif(not files.ROOT.is_dir(), reason="no file system in memory here"),
    pytest.mark.skipif(bool(elsewhere.cannot()), reason=elsewhere.cannot() or "-"),
]


def asks_where() -> Callable[[Any], tuple[str, bool]]:
    """Return a function that travels by value, as engines do not find this module."""

    def where(x: Any) -> tuple[str, bool]:
        """Return the host that this runs on, and whether *x* lies in memory that is shared."""
        import socket

        address = x.__array_interface__["data"][0]
        with open("/proc/self/maps") as lines:
            for line in lines:
                first, _, rest = line.partition("-")
                if int(first, 16) <= address < int(rest.split()[0], 16):
                    return socket.gethostname(), "/dev/shm/" in line
        return socket.gethostname(), False

    return where


def directory_of(rc: Any) -> Path:
    segments = rc._io._delivery.segments
    assert segments is not None, "this client found no segments"
    return Path(segments.directory)


def lying_about(rc: Any) -> list[str]:
    return sorted(name for name in os.listdir(directory_of(rc)) if not name.startswith("."))


@pytest.fixture
def hosts(site: Any, connect: Any) -> Any:
    """A client and an engine on the controller's host, and engine 1 on another, over TCP."""
    site.start("ipcontroller", "--ip=127.0.0.1")
    site.start("ipengine", "-n", "1")
    rc = connect()
    rc.wait_for_engines(1, timeout=10)
    elsewhere.start(site, "ipengine", "-n", "1")
    rc.wait_for_engines(2, timeout=10)
    return rc


def test_on_the_controllers_host_memory_is_shared_though_it_listens_for_others(hosts: Any) -> None:
    a = np.arange(N, dtype=float)
    (here, is_shared), (there, is_shared_there) = hosts[:].apply_sync(asks_where(), a)
    assert (is_shared, is_shared_there) == (True, True), "each in the memory of its host"
    assert (here != there, there) == (True, "elsewhere")
    wait_until(lambda: lying_about(hosts) == [])


def test_arrays_go_to_both_hosts_and_come_back(hosts: Any) -> None:
    a = np.arange(N, dtype=float)
    hosts[:].push({"a": a}, block=True)
    for b in hosts[:].pull("a", block=True):
        assert (a == b).all()
        b[0] = 7.0
    view = hosts.load_balanced_view()
    doubled = view.map_sync(lambda x: 2 * x, [np.full(N, float(i)) for i in range(8)])
    assert [float(x[-1]) for x in doubled] == [2.0 * i for i in range(8)]
    wait_until(lambda: lying_about(hosts) == [])


def test_results_of_both_hosts_can_be_had_again_from_the_records(hosts: Any) -> None:
    calls = hosts[:].apply_async(lambda: np.arange(40_000.0))
    assert [x.sum() for x in calls.get(10)] == [40_000 * 39_999 / 2] * 2
    again = hosts.get_result(calls.msg_ids, owner=False).get(10)
    assert [x.sum() for x in again] == [40_000 * 39_999 / 2] * 2


def test_a_client_elsewhere_gets_and_sends_arrays(hosts: Any, site: Any) -> None:
    code = textwrap.dedent(
        f"""
        import numpy as np
        import hippodrome as ipp
        rc = ipp.Client({str(site.client_file)!r})
        rc.wait_for_engines(2)
        assert rc._io.lends_in_place
        a = np.arange(3.0 * {N})
        assert [(a == b).all() for b in rc[:].apply_sync(lambda x: x, a)] == [True, True]
        a = a[:40_000]
        ar = rc[:].apply_async(np.negative, a)
        ar.get()
        assert [(a == -b).all() for b in rc.get_result(ar.msg_ids, owner=False).get()] == [True] * 2
        rc.close()
        """
    )
    done = elsewhere.python(site, "-c", code)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: [n for n in lying_about(hosts) if not n.startswith("kept")] == [])
