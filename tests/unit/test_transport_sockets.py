"""Sending and receiving with as few calls as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from hippodrome.transport.sockets import has_message, receive, send, send_to

PATIENCE_MS = 10_000
LARGE = bytes(200_000)


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[zmq.Socket[Any], zmq.Socket[Any]]]:
    context: zmq.Context[Any] = zmq.Context()
    router, dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)
    router.bind(f"ipc://{tmp_path}/endpoint")
    dealer.connect(f"ipc://{tmp_path}/endpoint")
    yield router, dealer
    context.destroy(linger=0)


@pytest.mark.parametrize("frames", [[b"one"], [b"", b"two"], [LARGE], [b"head", LARGE, b"tail"]])
def test_messages_arrive_whole_in_both_directions(ends: Any, frames: list[bytes]) -> None:
    router, dealer = ends
    for _ in range(3):
        send(dealer, [*frames])
    for _ in range(3):
        assert router.poll(PATIENCE_MS)
        route, *came = receive(router)
        assert [frame.bytes for frame in came] == frames
        send_to(router, route.bytes, [*frames])
    for _ in range(3):
        assert dealer.poll(PATIENCE_MS)
        assert [frame.bytes for frame in receive(dealer)] == frames


def test_nothing_is_waited_for(ends: Any) -> None:
    router, _ = ends
    assert not has_message(router)
    with pytest.raises(zmq.Again):
        receive(router)


def test_a_route_that_leads_nowhere_is_an_error(ends: Any) -> None:
    router, dealer = ends
    with pytest.raises(zmq.ZMQError) as caught:
        send_to(router, b"nobody", [b"text"])
    assert caught.value.errno == zmq.EHOSTUNREACH
    send(dealer, [b"hello"])  # the failed one leaves nothing behind
    assert router.poll(PATIENCE_MS)
    route, _ = receive(router)
    send_to(router, route.bytes, [b"answer"])
    assert dealer.poll(PATIENCE_MS)
    assert [frame.bytes for frame in receive(dealer)] == [b"answer"]


def test_where_a_message_came_from_can_be_asked(ends: Any) -> None:
    router, dealer = ends
    send(dealer, [b"hello"])
    assert router.poll(PATIENCE_MS)
    assert int(receive(router)[-1].get(zmq.SRCFD)) > 2
