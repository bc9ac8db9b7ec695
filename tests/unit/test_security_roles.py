"""Which role a connection has: by its key, or by being on this host; without either, none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from hippodrome.security import keys
from hippodrome.security.zap import NOBODY, Authenticator
from hippodrome.transport.listen import bind_ipc, bind_tcp

WAIT_MS = 10_000


class Endpoint:
    """A controller's socket, and who answers for it."""

    def __init__(self) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.mine, self.known = keys.generate(), keys.generate()
        self.authenticator = Authenticator(self.context, {self.known.public: "engine"})
        self.sockets: list[Any] = []
        self.router = self.socket(zmq.ROUTER)

    def socket(self, kind: int) -> Any:
        made = self.context.socket(kind)
        made.linger = 0
        self.sockets.append(made)
        return made

    def role_over(self, address: str, pair: keys.KeyPair | None = None) -> str | None:
        """Connect, say something, and return the role that this has."""
        dealer = self.socket(zmq.DEALER)
        if pair is not None:
            dealer.curve_serverkey = self.mine.public.encode()
            dealer.curve_publickey = pair.public.encode()
            dealer.curve_secretkey = pair.secret.reveal().encode()
        dealer.connect(address)
        dealer.send(b"hello")
        poller = zmq.Poller()
        poller.register(self.router, zmq.POLLIN)
        poller.register(self.authenticator.socket, zmq.POLLIN)
        while ready := dict(poller.poll(WAIT_MS)):
            if self.authenticator.socket in ready:
                self.authenticator.handle()
            if self.router in ready:
                return self.authenticator.role_of(self.router.recv_multipart(copy=False)[-1])
        raise AssertionError("nothing came")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.authenticator.close()
    for socket in endpoint.sockets:
        socket.close()
    endpoint.context.term()


def test_a_socket_in_a_closed_directory_is_of_this_host(endpoint: Endpoint, tmp_path: Path) -> None:
    assert endpoint.role_over(bind_ipc(endpoint.router, tmp_path)) is None


def test_over_tcp_the_key_says_it(endpoint: Endpoint) -> None:
    port = bind_tcp(endpoint.router, ["127.0.0.1"], 0, endpoint.mine)
    assert endpoint.role_over(f"tcp://127.0.0.1:{port}", endpoint.known) == "engine"


def test_over_tcp_without_a_key_nobody_is_of_this_host(endpoint: Endpoint) -> None:
    """No endpoint of ours lets such a connection in; if one did, it would get nothing."""
    port = endpoint.router.bind_to_random_port("tcp://127.0.0.1")
    assert endpoint.role_over(f"tcp://127.0.0.1:{port}") == NOBODY


def test_what_is_not_known_of_a_connection_proves_nothing(endpoint: Endpoint) -> None:
    assert endpoint.authenticator.role_of(zmq.Frame(b"from nowhere")) == NOBODY
