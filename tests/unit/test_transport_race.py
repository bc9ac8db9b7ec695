"""All addresses of a controller at once: one that works is found, each other one explained."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zmq
from tests.support.endpoint import Endpoint, roles

from hippodrome.errors import AuthenticationError, ClusterError, ConnectionFileError
from hippodrome.security.connection_file import ConnectionInfo, write
from hippodrome.security.keys import generate
from hippodrome.transport import connect, race
from hippodrome.transport.place import what_speaks

Context = zmq.Context[zmq.Socket[bytes]]


@pytest.fixture
def endpoint(directory: Path) -> Iterator[Endpoint]:
    with contextlib.closing(Endpoint(directory)) as endpoint:
        yield endpoint


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hp-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def context() -> Iterator[Context]:
    context: Context = zmq.Context()
    yield context
    context.destroy(linger=0)


def info_of(*addresses: str) -> ConnectionInfo:
    keys = generate()
    return ConnectionInfo(
        "client", addresses, generate().public, keys.public, keys.secret, socket.gethostname()
    )


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Listen at an address, and yield it; each connection goes to *answer* on a thread."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted, _ = server.accept()
                    threading.Thread(target=run, args=(accepted,), daemon=True).start()

        def run(accepted: socket.socket) -> None:
            with contextlib.suppress(OSError), accepted:
                answer(accepted)

        threading.Thread(target=serve, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def say_ssh(peer: socket.socket) -> None:
    peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    peer.recv(1000)


def say_http(peer: socket.socket) -> None:
    peer.recv(1000)
    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def say_nothing(peer: socket.socket) -> None:
    while peer.recv(1000):
        pass


def refusing() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "says"), [(say_ssh, "SSH-2.0-OpenSSH_9.2"), (say_http, "HTTP/1.1 400 Bad Request")]
)
def test_another_program_on_the_port_is_named(
    context: Context, answer: Callable[[socket.socket], None], says: str
) -> None:
    with serving(answer) as address, pytest.raises(ClusterError) as caught:
        connect.open_dealers(context, info_of(address), 1, 10)
    assert f"{address}: another program listens there, which says '{says}'" in str(caught.value)


def test_another_program_of_zeromq_is_named(context: Context) -> None:
    with context.socket(zmq.ROUTER) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        began = time.monotonic()
        with pytest.raises(ClusterError, match="another program of ZeroMQ listens there"):
            connect.open_dealers(context, info_of(f"tcp://127.0.0.1:{port}"), 1, 10)
        assert time.monotonic() - began < 5


def test_what_cannot_be_known_is_not_said() -> None:
    assert what_speaks(b"") == ""
    curve = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32)
    assert what_speaks(curve) == ""
    assert what_speaks(b"\x1b[2Jevil\n").isprintable()
    assert len(what_speaks(b"x" * 10_000)) < 200


@pytest.mark.parametrize("answer", [say_ssh, say_http, say_nothing, None])
def test_an_address_that_is_somebody_elses_does_not_keep_from_the_next(
    endpoint: Endpoint, context: Context, answer: Callable[[socket.socket], None] | None
) -> None:
    with serving(answer) if answer else contextlib.nullcontext(refusing()) as wrong:
        began = time.monotonic()
        dealers = connect.open_dealers(context, endpoint.info(wrong, endpoint.tcp), 2, 10)
        assert time.monotonic() - began < 3
    assert roles(dealers) == ["client", "client"]


def test_a_name_that_is_looked_up_for_ever_does_not_keep_from_the_next(
    endpoint: Endpoint, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, over = socket.getaddrinfo, threading.Event()

    def resolve(host: str, port: int, **how: int) -> list[object]:
        if host == "slow.invalid" and not how["flags"]:
            over.wait(60)
        return list(real(host, port, **how))

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    info = endpoint.info("tcp://slow.invalid:7", endpoint.tcp)
    began = time.monotonic()
    assert roles(connect.open_dealers(context, info, 1, 10)) == ["client"]
    assert time.monotonic() - began < 5
    alone = replace(info, addresses=info.addresses[:1])
    with pytest.raises(ConnectionFileError, match=r"slow\.invalid:7: name unknown here: nobody"):
        connect.open_dealers(context, alone, 1, 0.3)
    over.set()


def test_a_name_nobody_knows_and_what_is_no_address_are_said(context: Context) -> None:
    info = info_of("tcp://nobody.invalid:7", "tcp://127.0.0.1:port", "tcp://127.0.0.1:99999999")
    with pytest.raises(ConnectionFileError) as caught:
        connect.open_dealers(context, info, 1, 10)
    text = str(caught.value)
    assert "tcp://nobody.invalid:7: name unknown here (" in text
    assert "tcp://127.0.0.1:port: it is no address" in text


def test_each_place_of_a_name_is_explained(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    with serving(say_ssh) as address:
        port = int(address.rpartition(":")[2])

        def resolve(host: str, port: int, **how: int) -> list[object]:
            if host != "both.invalid":
                return list(real(host, port, **how))
            if how["flags"]:
                raise socket.gaierror(socket.EAI_NONAME, "no number")
            return [*real("127.0.0.2", port, **how), *real("127.0.0.1", port, **how)]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with pytest.raises(ConnectionFileError) as caught:
            connect.open_dealers(context, info_of(f"tcp://both.invalid:{port}"), 1, 10)
    text = str(caught.value)
    assert f"127.0.0.2:{port} Connection refused and 127.0.0.1:{port} another program" in text


def test_one_good_address_bothers_nobody_else(endpoint: Endpoint, context: Context) -> None:
    knocks: list[socket.socket] = []

    def note(peer: socket.socket) -> None:
        knocks.append(peer)

    with serving(note) as other:
        info = endpoint.info(endpoint.ipc, endpoint.tcp, other)
        assert roles(connect.open_dealers(context, info, 2, 10)) == ["local", "local"]
    assert not knocks
    assert endpoint.authenticator.accepted == 0


def test_a_file_of_no_use_is_given_up_before_one_that_is_missing(
    context: Context, directory: Path
) -> None:
    path = directory / "connection.json"
    write(path, info_of(refusing()))
    began = time.monotonic()
    with pytest.raises(ConnectionFileError, match="Connection refused"):
        connect.wait_and_open(context, path, 1, 30, stale_s=0.2)
    assert time.monotonic() - began < 10


def test_a_file_that_is_replaced_is_not_stale_yet(
    endpoint: Endpoint, context: Context, directory: Path
) -> None:
    path = directory / "connection.json"
    write(path, info_of(refusing()))
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks % 2 and looks < 60:
            write(path, info_of(refusing()))  # as by a controller that starts again and again
        elif looks == 60:
            write(path, endpoint.info(endpoint.ipc))

    info, dealers = connect.wait_and_open(context, path, 1, 30, stale_s=0.5, look=look)
    assert info.addresses == (endpoint.ipc,)
    assert roles(dealers) == ["local"]


def test_the_address_that_works_comes_first_for_others(
    endpoint: Endpoint, context: Context, directory: Path
) -> None:
    """Engines are told it by their supervisor, and need not find it out once more."""
    path = directory / "connection.json"
    wrong = refusing()
    write(path, endpoint.info(wrong, endpoint.tcp))
    info, dealers = connect.wait_and_open(context, path, 1, 30)
    assert info.addresses == (endpoint.tcp, wrong)
    assert roles(dealers) == ["client"]


@pytest.mark.parametrize(("role", "fitting"), [("client", "clients"), ("node", "engines")])
def test_a_file_of_another_role_is_the_same_error_over_any_way(
    endpoint: Endpoint, context: Context, directory: Path, role: str, fitting: str
) -> None:
    path = directory / "connection.json"
    given = "engine" if role == "client" else "client"
    for address in (endpoint.ipc, endpoint.tcp):
        write(path, replace(endpoint.info(address), role=given))
        text = f"the key of role '{given}' does not make a {role}: use .* for {fitting}"
        with pytest.raises(AuthenticationError, match=text):
            connect.wait_and_open(context, path, 1, 10, role=role)


def test_whether_anybody_is_there_is_known_in_time(endpoint: Endpoint) -> None:
    with serving(say_nothing) as other:
        assert connect.is_alive(endpoint.info(refusing(), other))
    assert connect.is_alive(endpoint.info(refusing(), endpoint.ipc))
    assert not connect.is_alive(endpoint.info(refusing(), "tcp://nobody.invalid:1"))


def test_steps_between_addresses_are_short() -> None:
    """So that sixteen of them, of which the last works, are tried in time."""
    assert race.STEP_S * 16 < 1.0
