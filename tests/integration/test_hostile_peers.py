"""Real processes take whatever they are sent: none ends, none forgets whom it serves."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
import zmq

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import decode, read_head, unnumbered
from hippodrome.protocol.session import Session
from hippodrome.security import connection_file
from hippodrome.security.connection_file import ConnectionInfo
from hippodrome.transport.connect import open_dealers
from support.fake_controller import FakeController
from support.hostile import PEER_TYPES, multiparts
from support.node_process import NodeProcess
from support.processes import Process, Site

WAIT_S: Final = 20.0
CHANNELS: Final = [
    ("client", "task"), ("client", "control"), ("engine", "task"), ("engine", "control"),
    ("node", "control"),
]  # fmt: skip
LAST: Final = {"Stop", "Bye", "Refused"}  # what ends a peer that is in its right mind


class Stranger:
    """A connection that says what it likes."""

    def __init__(self, context: zmq.Context[Any], info: ConnectionInfo) -> None:
        (self.socket,) = open_dealers(context, info, 1, WAIT_S)

    def say(self, parts: list[bytes]) -> None:
        self.socket.send_multipart(parts)

    def greet(self, role: str, channel: str, uuid: str) -> None:
        """Introduce itself, and wait until that is answered: all before it has been read then."""
        hello = m.Hello(m.PROTOCOL, role, channel, m.PeerId(uuid), 1, info={"node": "n0"})
        self.say(unnumbered(hello))
        assert isinstance(self.hear(m.Welcome, m.Refused), m.Welcome)

    def hear(self, *kinds: type[m.Message]) -> m.PeerMessage:
        """Return the next message of one of these kinds."""
        while self.socket.poll(int(1000 * WAIT_S)):
            message = decode(read_head(self.socket.recv_multipart()[0])[2])
            if isinstance(message, kinds):
                return message
        raise AssertionError("no answer")


@pytest.fixture
def stranger(site: Site) -> Iterator[Callable[[str], Stranger]]:
    """Make strangers who have the connection file of a role."""
    context: zmq.Context[Any] = zmq.Context()
    made: list[Stranger] = []

    def make(role: str) -> Stranger:
        path = (
            site.client_file
            if role == "client"
            else connection_file.engine_file(site.security_dir, "")
        )
        made.append(Stranger(context, connection_file.read(path)))
        return made[-1]

    yield make
    for each in made:
        each.socket.close(0)
    context.term()


def pids_of(controller: Process) -> set[int]:
    process = psutil.Process(controller.pid)
    return {process.pid, *(child.pid for child in process.children(recursive=True))}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("option", ["--scheme=leastload", "--sqlitedb", "--ip=127.0.0.1"])
def test_no_message_ends_a_controller_or_keeps_it_from_serving(
    site: Site,
    connect: Callable[..., Any],
    stranger: Callable[[str], Stranger],
    option: str,
) -> None:
    controller, _ = site.start_cluster(1, option)
    before = pids_of(controller)
    assert len(before) == 2
    client = connect()
    client.wait_for_engines(1, timeout=WAIT_S)
    view = client.load_balanced_view(targets=[0])
    for seed in range(3):
        for role, channel in CHANNELS:
            rng = random.Random(f"{seed} {role} {channel}")
            bad = stranger(role)
            for parts in multiparts((m.Sync, m.Submit, m.Query), rng, 1):
                bad.say(parts)  # before anybody knows who it is
            bad.greet(role, channel, f"{role}{channel}{seed}")
            if role == "engine":  # an engine is one with both of its channels
                other = "control" if channel == "task" else "task"
                stranger(role).greet(role, other, f"{role}{channel}{seed}")
            for parts in multiparts(PEER_TYPES, rng, 1):
                bad.say(parts)
            assert view.apply_sync(lambda x: x + 1, seed) == seed + 1
            assert client.db_query({"msg_id": client.history[-1]}, keys=["msg_id"])
            assert controller.popen.poll() is None
    assert pids_of(controller) == before
    longest = max(map(len, controller.log.splitlines()))
    assert longest < 3000, "a peer decides how long a line of the log is"
    assert "ERROR forged" not in "".join(
        line for line in controller.log.splitlines() if line.startswith("hippodrome")
    )
    assert "Traceback" not in controller.log, controller.log


def test_who_knows_the_id_of_an_engine_gets_none_of_its_tasks(
    site: Site, connect: Callable[..., Any], stranger: Callable[[str], Stranger]
) -> None:
    controller, _ = site.start_cluster(1)
    client = connect()
    client.wait_for_engines(1, timeout=WAIT_S)
    uuid = client[0].apply_async(int).get(WAIT_S) or client._io.engines[0].uuid
    for number in (1, 10**9):
        for channel in ("task", "control"):
            hello = m.Hello(m.PROTOCOL, "engine", channel, uuid, number)
            thief = stranger("engine")
            thief.say(unnumbered(hello))
            refused = thief.hear(m.Welcome, m.Refused)
            assert isinstance(refused, m.Refused)
            assert refused.code == "peer_in_use"
    assert client[0].apply_sync(lambda x: x + 1, 1) == 2
    hello = m.Hello(m.PROTOCOL, "engine", "task", m.PeerId("x" * 5_000_000 + "\nforged"), 1)
    thief.say(unnumbered(hello))
    assert client[0].apply_sync(lambda x: x + 1, 2) == 3
    assert max(map(len, controller.log.splitlines())) < 3000
    assert not any(line.startswith("forged") for line in controller.log.splitlines())


IDLE: Final = """
import sys
import time
import numpy as np
import hippodrome as ipp
rc = ipp.Client(sys.argv[1])
rc.wait_for_engines(1, timeout=20)
rc[0].apply_sync(np.sum, np.zeros(24_000_000, dtype=np.uint8))
time.sleep(2.5)  # what it has got is acknowledged after a second; then it is idle
print("idle", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="segments are files in memory")
def test_a_client_that_was_killed_while_idle_is_forgotten_with_what_it_kept(
    site: Site, connect: Callable[..., Any]
) -> None:
    site.start_cluster(1)
    other = connect()
    other.wait_for_engines(1, timeout=WAIT_S)
    directory = Path(other._io._delivery.segments.directory)
    before = set(directory.iterdir())
    idle = subprocess.Popen(
        [sys.executable, "-c", IDLE, str(site.client_file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=site.environment(),
    )  # fmt: skip
    assert idle.stdout is not None
    assert idle.stdout.readline() == b"idle\n"
    kept = set(directory.iterdir()) - before
    idle.kill()
    idle.communicate()
    assert kept, "it keeps segments"
    deadline = time.monotonic() + WAIT_S
    while kept & set(directory.iterdir()):
        assert time.monotonic() < deadline, "its segments are still there"
        other[0].apply_sync(int)


@pytest.mark.parametrize("channel", ["task", "control"])
def test_no_message_ends_an_engine(tmp_path: Path, channel: str) -> None:
    rng = random.Random(channel)
    kinds = tuple(kind for kind in PEER_TYPES if kind.__name__ not in LAST)
    with (
        FakeController(tmp_path) as controller,
        NodeProcess(controller, tmp_path / "node.log", n=1) as node,
    ):
        (engine,) = controller.wait_for_engines(1)
        for _ in range(5):
            say_all(controller, (engine, channel), multiparts(kinds, rng, 1))
        be_another(controller, engine)
        assert node.popen.poll() is None
        assert not controller.deaths
        assert controller.call(engine, abs, -3) == 3
        assert "Traceback" not in (tmp_path / "node.log").read_text()


def test_no_message_ends_a_supervisor(tmp_path: Path) -> None:
    rng = random.Random(0)
    kinds = tuple(kind for kind in PEER_TYPES if kind.__name__ not in LAST)
    with (
        FakeController(tmp_path) as controller,
        NodeProcess(controller, tmp_path / "node.log", n=1) as node,
    ):
        (engine,) = controller.wait_for_engines(1)
        (uuid,) = controller.nodes
        for _ in range(5):
            say_all(controller, (uuid, "control"), multiparts(kinds, rng, 1))
        n = len(controller.beats)
        controller.wait_until(lambda: len(controller.beats) > n + 1)
        assert node.popen.poll() is None
        assert controller.call(engine, abs, -3) == 3
        assert "Traceback" not in (tmp_path / "node.log").read_text()


def be_another(controller: FakeController, engine: m.PeerId) -> None:
    """Become a controller that knows nothing of what the engine was told before."""
    for end in [(engine, "task"), (engine, "control")]:
        controller.sessions[end] = Session()
        controller.router.send_multipart([controller.routes[end], *unnumbered(m.WhoAreYou())])
    left = {"task", "control"}
    while left and controller.router.poll(int(1000 * WAIT_S)):
        route, *parts = controller.router.recv_multipart()
        message = decode(read_head(parts[0])[2])
        if isinstance(message, m.Hello) and message.uuid == engine:
            controller._greet(route, message)
            left.discard(message.channel)
    assert not left, "the engine does not answer"
    controller._serials.clear()
    controller._known.clear()


def say_all(
    controller: FakeController, end: tuple[m.PeerId, str], many: Iterator[list[bytes]]
) -> None:
    """Say things that count as the next ones in the stream, if that is possible."""
    stream = controller.sessions[end].stream
    for parts in many:
        if len(parts[0]) >= 16 and read_head(parts[0])[0] not in (0, 2**63, 2**64 - 1):
            released = stream.post(bytes(parts[0])[16:], parts[1:])
        else:
            released = [parts]
        for frames in released:
            controller.router.send_multipart([controller.routes[end], *frames])
