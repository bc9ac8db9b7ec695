"""The lifeline of a peer: what it finds when a connection is cut, renewed, or leads to nobody."""

from __future__ import annotations

import errno
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from hippodrome.transport import lifeline as module
from hippodrome.transport.lifeline import (
    ASK_AFTER_S,
    LOOKS_BETWEEN,
    REFUSALS,
    Finding,
    Lifeline,
    Probe,
)
from support.leaks import wait_until

LONG_S = 2 * ASK_AFTER_S


class Endpoint:
    """A controller's endpoint, which can close and open again, and a peer's connection to it."""

    def __init__(self, context: zmq.Context[Any], address: str) -> None:
        self.context = context
        self.router = context.socket(zmq.ROUTER)
        self.router.bind(address)
        self.address = self.router.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
        self.dealer = context.socket(zmq.DEALER)
        self.dealer.setsockopt(zmq.RECONNECT_IVL, 20)
        self.dealer.connect(self.address)
        self.dealer.send(b"here")
        assert self.router.recv_multipart()[1] == b"here"
        self.lifeline = Lifeline(self.dealer)

    def close(self) -> None:
        self.router.close(0)

    def open(self) -> None:
        self.router = self.context.socket(zmq.ROUTER)
        self.router.bind(self.address)

    def look(self, silent_s: float = 0.0) -> Finding:
        return self.lifeline.look(silent_s)


@pytest.fixture(params=["ipc", "tcp"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    with tempfile.TemporaryDirectory() as directory, zmq.Context() as context:
        address = f"ipc://{directory}/e" if request.param == "ipc" else "tcp://127.0.0.1:*"
        endpoint = Endpoint(context, address)
        yield endpoint
        endpoint.lifeline.close()
        context.destroy(0)


def test_a_connection_that_is_there_gives_no_reason_to_ask(endpoint: Endpoint) -> None:
    assert [endpoint.look() for _ in range(5)] == [Finding.NOTHING] * 5


def test_an_endpoint_that_is_gone_is_found_soon_after_the_connection_was_cut(
    endpoint: Endpoint,
) -> None:
    endpoint.close()
    wait_until(lambda: endpoint.look() is Finding.ENDED)


def test_a_silent_endpoint_that_still_listens_has_not_ended(endpoint: Endpoint) -> None:
    looks = [endpoint.look(LONG_S + n / 2) for n in range(4 * LOOKS_BETWEEN)]
    assert set(looks) == {Finding.NOTHING}


def test_a_connection_that_was_renewed_is_told_once(endpoint: Endpoint) -> None:
    endpoint.close()
    wait_until(lambda: endpoint.lifeline._renewals.look() or endpoint.lifeline._renewals.is_cut)
    endpoint.open()
    wait_until(lambda: endpoint.look() is Finding.RENEWED)
    assert endpoint.look() is Finding.NOTHING


def test_an_endpoint_that_was_gone_before_anybody_watched_is_found(endpoint: Endpoint) -> None:
    """Also where it took its address along, as a controller does that ends in order."""
    endpoint.close()
    renewals = endpoint.lifeline._renewals
    wait_until(lambda: renewals.look() or renewals.is_cut)
    endpoint.lifeline.close()
    if endpoint.address.startswith("ipc://"):
        Path(endpoint.address.removeprefix("ipc://")).unlink(missing_ok=True)
    endpoint.lifeline = Lifeline(endpoint.dealer)
    wait_until(lambda: endpoint.look() is Finding.ENDED)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:7", "tcp://[::1]:7", "tcp://[fe80::1%lo]:7"])
def test_an_address_is_known_without_asking_there(address: str) -> None:
    found = module._resolve(address)
    assert found is not None
    assert found[1][1] == 7


class Answers(Probe):
    """A probe that is answered as the test says."""

    def __init__(self, family: int, codes: list[int]) -> None:
        super().__init__((family, ""))
        self._codes = codes

    def _connect(self, family: int, address: Any) -> int:
        return self._codes.pop(0)

    def ask(self, *, is_cut: bool) -> list[bool]:
        return [self.is_refused(is_cut) for _ in range(len(self._codes))]


REFUSED, MISSING = errno.ECONNREFUSED, errno.ENOENT


@pytest.mark.parametrize(
    ("family", "codes", "found"),
    [
        (socket.AF_UNIX, [REFUSED], [True]),
        (socket.AF_UNIX, [errno.EAGAIN, 0], [False, False]),
        (socket.AF_INET, [REFUSED] * REFUSALS, [False] * (REFUSALS - 1) + [True]),
        (socket.AF_INET, [REFUSED, 0, REFUSED], [False, False, False]),
        (socket.AF_INET, [REFUSED, errno.EHOSTUNREACH, REFUSED], [False, False, False]),
        (socket.AF_INET, [errno.EINPROGRESS, REFUSED, REFUSED], [False, False, True]),
        (socket.AF_INET, [errno.ETIMEDOUT, errno.ENETUNREACH, 0], [False, False, False]),
    ],
)
def test_only_a_refusal_is_proof(family: int, codes: list[int], found: list[bool]) -> None:
    assert Answers(family, codes).ask(is_cut=True) == found


def test_a_socket_that_somebody_has_tidied_away_proves_nothing_while_connected() -> None:
    assert Answers(socket.AF_UNIX, [MISSING]).ask(is_cut=False) == [False]
    assert Answers(socket.AF_UNIX, [MISSING]).ask(is_cut=True) == [True]


def test_an_endpoint_that_cannot_be_resolved_is_never_declared_dead() -> None:
    probe = Probe(module._resolve("tcp://nowhere.invalid:1"))
    assert [probe.is_refused(True) for _ in range(3)] == [False] * 3


def test_an_answer_that_takes_long_is_waited_for_without_blocking() -> None:
    """A listener that accepts nothing more: connecting to it goes on for ever."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        others = []
        for _ in range(4):
            other = socket.socket()
            other.setblocking(False)
            other.connect_ex(full.getsockname())
            others.append(other)
        probe = Probe((socket.AF_INET, full.getsockname()))
        assert [probe.is_refused(True) for _ in range(4)] == [False] * 4
        probe.forget()
        assert not probe.is_under_way
        for other in others:
            other.close()
