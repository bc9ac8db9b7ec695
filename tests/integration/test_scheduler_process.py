"""A scheduler as a process and as a thread; and a controller, which opens no pickle."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from hippodrome.errors import LaunchError
from hippodrome.paths import SOCKET_NAME
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import decode_hub, encode
from hippodrome.protocol.link import Link
from hippodrome.scheduler import launch_scheduler
from hippodrome.scheduler.launch import RunningScheduler, SchedulerProcess
from support import audited_controller
from support.bench import F, task
from support.processes import Process, Site

WAIT_S = 10.0
NAMES = "launch_scheduler, TaskScheduler, Job, plainrandom, lru, twobin, weighted, leastload"


class Hub:
    """The hub's end of the pair, played by the test."""

    def __init__(self, directory: Path) -> None:
        self.address = f"ipc://{directory}/hub"
        self.endpoint = f"ipc://{directory}/{SOCKET_NAME}"
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.sockets: list[zmq.Socket[bytes]] = []
        self.socket = self.open(zmq.PAIR)
        self.socket.bind(self.address)

    def open(self, kind: int) -> zmq.Socket[bytes]:
        self.sockets.append(self.context.socket(kind))
        self.sockets[-1].linger = 0
        return self.sockets[-1]

    def hear(self) -> m.HubMessage:
        """Return the next message; that the scheduler is awake is not of interest."""
        while True:
            assert self.socket.poll(int(WAIT_S * 1000)), "the scheduler says nothing"
            message = decode_hub(self.socket.recv_multipart()[0])
            if not isinstance(message, m.Awake):
                return message

    def say(self, message: m.Message) -> None:
        self.socket.send(encode(message))

    def close(self) -> None:
        for socket in self.sockets:
            socket.close()
        self.context.term()


class Peer:
    """A client's task connection."""

    def __init__(self, hub: Hub) -> None:
        self.link = Link("client", "task", m.PeerId("c" * 32))
        self.socket = hub.open(zmq.DEALER)
        self.socket.connect(hub.endpoint)
        self.put(self.link.hello())
        assert isinstance(self.hear(), m.Welcome)

    def put(self, many: list[list[Any]]) -> None:
        for frames in many:
            self.socket.send_multipart(frames)

    def hear(self) -> m.PeerMessage:
        """Return the next message; beats and bookkeeping are not of interest."""
        while self.socket.poll(int(WAIT_S * 1000)):
            received = self.link.receive(self.socket.recv_multipart())
            self.put(received.replies)
            if received.message is not None:
                return received.message
        raise AssertionError("the scheduler does not answer")


@pytest.fixture
def hub(site: Site) -> Iterator[Hub]:
    directory = site.runtime_dir / "sockets"
    directory.mkdir(mode=0o700)
    hub = Hub(directory)
    yield hub
    hub.close()
    shutil.rmtree(directory, ignore_errors=True)  # a scheduler whose parent is gone does it


@pytest.fixture(params=[False, True], ids=["process", "thread"])
def launch(request: pytest.FixtureRequest, hub: Hub) -> Iterator[Callable[..., RunningScheduler]]:
    """Launch schedulers of both kinds, by position, as users of this model do."""
    launched: list[RunningScheduler] = []

    def launch(config: Any = None) -> RunningScheduler:
        addresses = (hub.endpoint, hub.endpoint, hub.address, hub.address, hub.address)
        launched.append(launch_scheduler(*addresses, config=config, in_thread=request.param))
        return launched[-1]

    yield launch
    for scheduler in launched:
        scheduler.stop()
        assert scheduler.wait(WAIT_S) is not None
        scheduler.close()


def has_ended(scheduler: RunningScheduler) -> bool:
    poller = zmq.Poller()
    poller.register(scheduler.ended_fd, zmq.POLLIN)
    return bool(poller.poll(int(WAIT_S * 1000)))


def test_a_launched_scheduler_listens_serves_and_stops(launch: Any, hub: Hub) -> None:
    scheduler = launch({"TaskScheduler": {"scheme_name": "lru", "hwm": 1}})
    assert hub.hear() == m.Listening(0)
    client = Peer(hub)
    client.put(client.link.send(m.Submit([task("a", timeout_s=0.01)], [F]), [b"code"]))
    results = client.hear()
    assert isinstance(results, m.Results)
    assert results.results[0].status == "timeout"
    assert isinstance(hub.hear(), m.Submitted)
    assert isinstance(hub.hear(), m.Ended)
    hub.say(m.ShutDown("enough"))
    assert hub.hear() == m.ShutDownDone()
    assert client.hear() == m.Bye("enough")
    assert has_ended(scheduler)
    assert scheduler.wait(WAIT_S) == 0


def test_a_scheduler_whose_parent_is_gone_says_good_bye_cleans_up_and_ends(
    launch: Any, hub: Hub
) -> None:
    scheduler = launch()
    hub.hear()
    client = Peer(hub)
    scheduler.stop()  # closes the pipe, as the parent's death does
    bye = client.hear()
    assert isinstance(bye, m.Bye)
    assert "hub process died" in bye.reason
    assert has_ended(scheduler)
    assert scheduler.wait(WAIT_S) == 1
    assert not Path(hub.endpoint.removeprefix("ipc://")).exists()


def test_a_scheduler_process_that_is_killed_is_noticed_at_once(hub: Hub) -> None:
    addresses = (hub.endpoint, "", "", "", hub.address)
    scheduler = launch_scheduler(*addresses)
    assert isinstance(scheduler, SchedulerProcess)
    assert scheduler.pid != os.getpid()
    hub.hear()
    scheduler.kill()
    assert has_ended(scheduler)
    assert scheduler.wait(WAIT_S) == -9
    scheduler.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_addr": "ipc:///other/endpoint"}, "out_addr"),
        ({"mon_addr": "ipc:///other"}, "mon_addr"),
        ({"not_addr": "ipc:///other"}, "not_addr"),
        ({"log_url": "tcp://127.0.0.1:1"}, "log_url"),
        ({"in_addr": "tcp://127.0.0.1:1", "out_addr": ""}, "in_addr"),
        ({"in_addr": "ipc:///d/elsewhere", "out_addr": ""}, "endpoint"),
        ({"config": {"scheme_name": "best"}}, "scheme_name"),
        ({"config": {"TaskScheduler": {"hvm": 1}}}, "hwm"),
        ({"config": {"hwm": "many"}}, "'many'"),
    ],
)
def test_arguments_that_do_not_fit_are_told_before_anything_starts(
    options: dict[str, Any], message: str
) -> None:
    endpoint = f"ipc:///d/{SOCKET_NAME}"
    addresses = dict.fromkeys(["mon_addr", "not_addr", "reg_addr"], "ipc:///d/hub")
    arguments = {"in_addr": endpoint, "out_addr": endpoint, **addresses, **options}
    with pytest.raises(LaunchError, match=message):
        launch_scheduler(**arguments)


def test_the_names_of_the_model_are_there_and_cost_nothing_until_used() -> None:
    code = (
        "import sys, hippodrome.scheduler as s\n"
        "heavy = {'zmq', 'subprocess', 'hippodrome.scheduler.core'} & set(sys.modules)\n"
        f"from hippodrome.scheduler import {NAMES}\n"
        "assert set(s.__all__) <= set(dir(s))\n"
        "assert not hasattr(s, 'nothing')\n"
        "print(sorted(heavy), leastload([2, 1, 1]), TaskScheduler().scheme)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[] 1 leastload\n"


# ---------------------------------------------------------------- no pickle is opened


class AuditedController(Process):
    """A controller that tells what it unpickles."""

    def __init__(self, site: Site, *options: str) -> None:
        site.security_dir.mkdir(mode=0o700, parents=True)
        command = [sys.executable, audited_controller.__file__, str(site.security_dir), *options]
        super().__init__(command, site.environment(), "ready")
        self.wait_ready()

    def unpickled(self) -> list[str]:
        return [line for line in self.log.splitlines() if line.startswith("unpickled")]


@pytest.mark.parametrize("options", [[], [audited_controller.ON_DISK]])
def test_a_controller_opens_no_pickle(
    site: Site, connect: Callable[..., Any], options: list[str]
) -> None:
    controller = AuditedController(site, *options)
    engine = site.start("ipengine")
    rc = connect()
    rc.wait_for_engines(1, timeout=WAIT_S)
    view = rc.load_balanced_view()
    assert view.map_sync(lambda x: Path(str(x)), range(3)) == [Path(x) for x in "012"]
    rc[:].push({"big": bytes(100_000), "path": Path("p")}, block=True)
    assert rc[0].pull("path", block=True) == Path("p")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        view.apply_sync(lambda: 1 / 0)
    rc.queue_status(verbose=True)
    names = rc._io.ask("history").result()
    assert len(rc._io.ask("results", msg_ids=names).result()) == len(names)
    keys = ["buffers", "result_buffers"]
    assert len(rc._io.ask("db_query", query={}, keys=keys).result()) == len(names)
    assert rc._io.ask("purge", all=True).result() == len(names)
    rc.close()
    assert engine.stop() == 0
    assert controller.stop() == 0
    assert controller.unpickled() == []


def test_a_pickle_that_is_opened_in_the_controller_would_be_seen(site: Site) -> None:
    controller = AuditedController(site, audited_controller.PROVE_IT)
    assert controller.stop() == 0
    assert controller.unpickled() == ["unpickled threading Event"]
