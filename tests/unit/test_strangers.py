"""Who comes to a socket and who goes, as ZeroMQ tells it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from hippodrome.transport.strangers import Strangers

PATIENCE_S = 10.0


@pytest.fixture
def router(tmp_path: Path) -> Iterator[zmq.Socket[Any]]:
    context: zmq.Context[Any] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.linger = 0
    yield router
    context.destroy(linger=0)


def until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (what := found()):
        assert time.monotonic() < deadline
    return what


@pytest.mark.parametrize("address", ["ipc://{}/endpoint", "tcp://127.0.0.1:*"])
def test_the_routes_of_closed_connections_are_told(
    router: zmq.Socket[Any], tmp_path: Path, address: str
) -> None:
    strangers = Strangers(router)
    router.bind(address.format(tmp_path))
    endpoint = router.last_endpoint.rstrip(b"\0").decode()
    routes = []
    dealers = []
    for _ in range(3):
        dealer = router.context.socket(zmq.DEALER)
        dealer.linger = 0
        dealer.connect(endpoint)
        dealer.send(b"hello")
        frames = router.recv_multipart(copy=False)
        strangers.know(frames[-1], frames[0].bytes)
        routes.append(frames[0].bytes)
        dealers.append(dealer)
    until(lambda: strangers.look() or strangers.take_n_come() == 3)
    dealers[1].close()
    assert until(strangers.look) == [routes[1]]
    again = router.context.socket(zmq.DEALER)  # gets the same descriptor
    again.linger = 0
    again.connect(endpoint)
    again.send(b"hello")
    frames = router.recv_multipart(copy=False)
    strangers.know(frames[-1], frames[0].bytes)
    again.close()
    assert until(strangers.look) == [frames[0].bytes]
    strangers.close()
    for dealer in (dealers[0], dealers[2]):
        dealer.close()
