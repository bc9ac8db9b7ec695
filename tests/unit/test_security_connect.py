"""Who gets in, over real sockets on this host; and what those who do not are told."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zmq
from tests.support.endpoint import Endpoint, roles
from tests.support.leaks import wait_until

from hippodrome.errors import AuthenticationError, ConnectionFileError, LaunchError
from hippodrome.security import zap
from hippodrome.security.connection_file import ConnectionInfo, write
from hippodrome.security.keys import generate
from hippodrome.transport import connect, listen

Context = zmq.Context[zmq.Socket[bytes]]


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hp-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def endpoint(directory: Path) -> Iterator[Endpoint]:
    endpoint = Endpoint(directory)
    yield endpoint
    endpoint.close()


@pytest.fixture
def context() -> Iterator[Context]:
    context: Context = zmq.Context()
    yield context
    context.destroy(linger=0)


def test_peers_on_this_host_need_no_keys(endpoint: Endpoint, context: Context) -> None:
    info = replace(endpoint.info(endpoint.ipc), server_key="", public_key="")
    assert roles(connect.open_dealers(context, info, 2, 5)) == ["local", "local"]


@pytest.mark.parametrize("role", ["client", "engine"])
def test_a_key_tells_the_role(endpoint: Endpoint, context: Context, role: str) -> None:
    info = endpoint.info(endpoint.tcp, keys=getattr(endpoint, role))
    assert roles(connect.open_dealers(context, info, 2, 5)) == [role, role]
    assert endpoint.authenticator.accepted == 2
    assert endpoint.authenticator.rejected == 0


def test_an_unknown_key_is_told_at_once(endpoint: Endpoint, context: Context) -> None:
    started = time.monotonic()
    with pytest.raises(AuthenticationError, match="does not accept the key"):
        connect.open_dealers(context, endpoint.info(endpoint.tcp, keys=generate()), 2, 10)
    assert time.monotonic() - started < 5
    assert endpoint.authenticator.rejected == 1


def test_another_controllers_key_is_told_at_once(endpoint: Endpoint, context: Context) -> None:
    info = replace(endpoint.info(endpoint.tcp), server_key=generate().public)
    with pytest.raises(AuthenticationError):
        connect.open_dealers(context, info, 1, 10)


@pytest.mark.parametrize("password", [None, b"admin"])
def test_a_peer_without_keys_never_gets_through(
    endpoint: Endpoint, context: Context, password: bytes | None
) -> None:
    failed = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    with context.socket(zmq.DEALER) as stranger:
        if password:
            stranger.plain_username = stranger.plain_password = password
        with stranger.get_monitor_socket(failed | zmq.EVENT_HANDSHAKE_SUCCEEDED) as monitor:
            stranger.connect(endpoint.tcp)
            stranger.send(b"let me in")
            assert monitor.poll(20_000)
            event = int.from_bytes(monitor.recv_multipart()[0][:2], "little")
            stranger.disable_monitor()
        assert event & failed
        assert not stranger.poll(50)
    assert endpoint.authenticator.accepted == 0
    assert roles(connect.open_dealers(context, endpoint.info(endpoint.tcp), 1, 20)) == ["client"]


def test_the_first_address_that_works_is_used(endpoint: Endpoint, context: Context) -> None:
    info = endpoint.info("ipc:///nowhere/endpoint", endpoint.tcp, endpoint.ipc)
    assert roles(connect.open_dealers(context, info, 1, 5)) == ["client"]


def test_the_error_says_how_each_address_failed(context: Context, directory: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        tcp = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        info = ConnectionInfo(
            "client",
            (f"ipc://{directory}/gone", tcp),
            host=socket.gethostname(),
            path=directory / "x.json",
        )
        with pytest.raises(ConnectionFileError) as caught:
            connect.open_dealers(context, info, 1, 5)
    text = str(caught.value)
    assert f"{directory}/gone: No such file" in text
    assert f"{tcp}: Connection refused" in text
    assert f"{directory}/x.json is stale" in text
    assert "start ipcontroller" in text


def test_a_dead_socket_is_stale(context: Context, directory: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "dead"))
    listener.close()
    info = ConnectionInfo("client", (f"ipc://{directory}/dead",), host=socket.gethostname())
    with pytest.raises(ConnectionFileError, match="Connection refused"):
        connect.open_dealers(context, info, 1, 5)
    assert not connect.is_alive(info)


def test_a_socket_of_another_host_is_not_tried(endpoint: Endpoint, context: Context) -> None:
    info = replace(endpoint.info(endpoint.ipc), host="elsewhere")
    with pytest.raises(ConnectionFileError, match="only on the host elsewhere"):
        connect.open_dealers(context, info, 1, 5)


def test_something_that_listens_and_says_nothing_is_given_up(context: Context) -> None:
    endpoint_keys = generate()
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        info = ConnectionInfo(
            "client",
            (f"tcp://127.0.0.1:{mute.getsockname()[1]}",),
            generate().public,
            endpoint_keys.public,
            endpoint_keys.secret,
        )
        with pytest.raises(ConnectionFileError, match="does not answer"):
            connect.open_dealers(context, info, 1, 0.2)


@pytest.mark.parametrize("at", ["get_monitor_socket", "connect", "the second connect"])
def test_who_is_interrupted_while_connecting_leaves_no_socket_open(
    endpoint: Endpoint, context: Context, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the context would wait for it when it ends, for ever."""
    name = at.split()[-1]
    real, calls = getattr(zmq.Socket, name), []

    def interrupted(self: zmq.Socket[bytes], *args: object) -> object:
        if self.type == zmq.DEALER:
            calls.append(self)
            if len(calls) == 1 + ("second" in at):
                raise KeyboardInterrupt
        return real(self, *args)

    monkeypatch.setattr(zmq.Socket, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        connect.open_dealers(context, endpoint.info(endpoint.tcp), 2, 5.0)
    monkeypatch.undo()
    assert all(dealer.closed for dealer in calls)
    ended = threading.Thread(target=context.term, daemon=True)
    ended.start()
    ended.join(10)
    assert not ended.is_alive()


def test_a_stale_file_is_waited_out(endpoint: Endpoint, context: Context, directory: Path) -> None:
    path = directory / "connection.json"
    write(path, endpoint.info(f"ipc://{directory}/gone"))
    writer = threading.Timer(0.05, write, (path, endpoint.info(endpoint.ipc)))
    writer.start()
    info, dealers = connect.wait_and_open(context, path, 1, 10)
    writer.join()
    assert info.addresses == (endpoint.ipc,)
    assert roles(dealers) == ["local"]


def test_a_port_in_use_is_a_clear_error(context: Context) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            context.socket(zmq.ROUTER) as router,
            pytest.raises(LaunchError, match=rf"port {port} is in use .*--port"),
        ):
            listen.bind_tcp(router, ["127.0.0.1"], port, generate())


def test_an_address_of_another_host_is_a_clear_error(context: Context) -> None:
    with context.socket(zmq.ROUTER) as router, pytest.raises(LaunchError, match="--ip"):
        listen.bind_tcp(router, ["127.0.0.1", "192.0.2.1"], 0, generate())


def test_several_addresses_have_one_port(context: Context) -> None:
    """Also where the one that the system chose for the first is taken at the second."""
    ips = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    taken = []
    try:
        with context.socket(zmq.ROUTER) as router:
            port = listen.bind_tcp(router, ips, 0, generate())
            for ip in ips:
                socket.create_connection((ip, port), 5).close()
            taken.append(socket.create_server(("127.0.0.4", port)))
            with (
                context.socket(zmq.ROUTER) as other,
                pytest.raises(LaunchError, match=rf"port {port} is in use on 127.0.0.5, 127.0.0.4"),
            ):
                listen.bind_tcp(other, ["127.0.0.5", "127.0.0.4"], port, generate())
            wait_until(lambda: is_free("127.0.0.5", port))  # which nobody keeps
    finally:
        for one in taken:
            one.close()


@pytest.mark.parametrize(
    "request_frames",
    [
        [],
        [b"1.0"],
        [b"1.0", b"1", b"other", b"127.0.0.1", b"", b"CURVE", b"k" * 32],
        [b"2.0", b"1", b"hippodrome", b"127.0.0.1", b"", b"CURVE", b"k" * 32],
        [b"1.0", b"1", b"hippodrome", b"127.0.0.1", b"", b"NULL"],
        [b"1.0", b"1", b"hippodrome", b"127.0.0.1", b"", b"PLAIN", b"a", b"b"],
        [b"1.0", b"1", b"hippodrome", b"\xff", b"", b"CURVE", b"short"],
    ],
)
def test_any_other_question_gets_a_no(context: Context, request_frames: list[bytes]) -> None:
    key = generate()
    authenticator = zap.Authenticator(context, {key.public: "client"})
    with context.socket(zmq.DEALER) as asker:
        asker.connect("inproc://zeromq.zap.01")
        asker.send_multipart([b"", *request_frames])
        assert authenticator.socket.poll(5000)
        authenticator.handle()
        _, version, _, status, *_ = asker.recv_multipart()
    assert (version, status) == (b"1.0", b"400")
    assert authenticator.rejected == 1
    authenticator.close()


def test_strangers_do_not_fill_the_log(
    endpoint: Endpoint, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            connect.open_dealers(context, endpoint.info(endpoint.tcp, keys=generate()), 1, 5)
    assert endpoint.authenticator.rejected == 5
    assert 1 <= caplog.text.count("unknown key") < 5


def test_a_process_can_be_let_open_as_much_as_it_may() -> None:
    code = (
        "import resource as r;"
        "from hippodrome.transport.sockets import raise_descriptor_limit as f;"
        "hard = r.getrlimit(r.RLIMIT_NOFILE)[1]; r.setrlimit(r.RLIMIT_NOFILE, (100, hard)); f();"
        "assert r.getrlimit(r.RLIMIT_NOFILE) == (hard, hard); f()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("reached", ["127.0.0.1", "::1"])
def test_who_listens_everywhere_is_reached_in_either_way(
    directory: Path, context: Context, reached: str
) -> None:
    """Under a name that has addresses of both kinds, of which a plain socket tries each."""
    endpoint = Endpoint(directory, "*")
    try:
        host = f"[{reached}]" if ":" in reached else reached
        info = endpoint.info(f"tcp://{host}:{endpoint.port}")
        if not has_address(reached):
            pytest.skip(f"this host has no {reached}")
        assert roles(connect.open_dealers(context, info, 2, 5)) == ["client", "client"]
    finally:
        endpoint.close()


def test_the_address_that_answered_is_the_one_that_is_connected_to(
    endpoint: Endpoint, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a name with several, ZeroMQ would take one, whether anybody listens there or not."""
    real = socket.getaddrinfo

    def resolve(host: str, port: int, **how: int) -> list[object]:
        if host != "both.invalid":
            return list(real(host, port, **how))
        if how["flags"]:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        return [*real("127.0.0.2", port, **how), *real("127.0.0.1", port, **how)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    info = endpoint.info(f"tcp://both.invalid:{endpoint.port}")
    assert roles(connect.open_dealers(context, info, 2, 5)) == ["client", "client"]


def test_a_handshake_that_is_cut_is_not_said_to_be_the_keys_alone(context: Context) -> None:
    keys = generate()
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        stopped = threading.Event()

        def cut() -> None:
            while not stopped.is_set():
                busy.accept()[0].close()

        cutter = threading.Thread(target=cut)
        cutter.start()
        address = f"tcp://127.0.0.1:{busy.getsockname()[1]}"
        info = ConnectionInfo("client", (address,), keys.public, keys.public, keys.secret)
        with pytest.raises((AuthenticationError, ConnectionFileError)) as caught:
            connect.open_dealers(context, info, 1, 5)
        stopped.set()
        socket.create_connection(busy.getsockname()).close()
        cutter.join()
    assert "cannot take more connections" in str(caught.value)


def is_free(host: str, port: int) -> bool:
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True


def has_address(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True
