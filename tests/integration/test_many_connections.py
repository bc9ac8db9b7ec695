"""A controller that may open few descriptors, and many who want one of them."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
from typing import Any

import psutil
import pytest

import hippodrome as ipp
from support.processes import Site

LIMIT = 200
MANY = 2 * LIMIT


@pytest.fixture
def small(site: Site) -> Site:
    """A site whose scheduler may open no more than `LIMIT` descriptors."""
    controller, _ = site.start_cluster(1, "--ip=127.0.0.1")
    (scheduler,) = psutil.Process(controller.pid).children()
    resource.prlimit(scheduler.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    return site


def test_who_comes_when_it_is_full_is_told_and_nobody_else_notices(
    small: Site, connect: Any
) -> None:
    first = connect()
    first.wait_for_engines(1, timeout=20)
    with contextlib.ExitStack() as stack:

        def fill() -> None:
            for _ in range(LIMIT):
                stack.enter_context(ipp.Client(str(small.client_file), timeout=20))

        with pytest.raises(ipp.ClusterError, match=r"no room for more connections.*ulimit -n"):
            fill()
        assert first[0].apply_async(abs, -3).get(20) == 3
    assert connect()[0].apply_async(abs, -4).get(20) == 4


def test_strangers_who_say_nothing_take_the_room_of_nobody(small: Site, connect: Any) -> None:
    first = connect()
    first.wait_for_engines(1, timeout=20)
    addresses = json.loads(small.client_file.read_text())["addresses"]
    port = next(int(a.rpartition(":")[2]) for a in addresses if a.startswith("tcp://"))
    with contextlib.ExitStack() as stack:
        for _ in range(MANY):
            stranger = stack.enter_context(socket.socket())
            stranger.settimeout(0.2)
            with contextlib.suppress(OSError):  # it is full, as it should be
                stranger.connect(("127.0.0.1", port))
        others = [stack.enter_context(ipp.Client(str(small.client_file))) for _ in range(10)]
        assert [rc[0].apply_async(abs, -n).get(20) for n, rc in enumerate(others)] == list(
            range(10)
        )
        assert first[0].apply_async(abs, -3).get(20) == 3


def test_engines_for_which_there_is_no_room_are_told_so_and_the_others_go_on(
    small: Site, connect: Any
) -> None:
    first = connect()
    first.wait_for_engines(1, timeout=20)
    more = small.start("ipengine", "-n", "80")
    assert "has no room for more connections" in more.log
    assert "key" not in more.log
    ids = first.ids
    assert LIMIT // 4 < len(ids) - 1 < 80
    assert first[ids].apply_async(abs, -3).get(20) == [3] * len(ids)
    more.stop()
