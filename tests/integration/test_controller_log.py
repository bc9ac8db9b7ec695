"""What the controller's log says of who comes, who goes, and who is refused."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest

import hippodrome
from hippodrome.errors import AuthenticationError
from hippodrome.security import keys
from support.processes import Process, Site, program

PATIENCE_S = 20.0


def wait_for(read: Callable[[], str], *words: str) -> str:
    """Return the line of a log that has all of *words*, once it is there."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        log = read()
        for line in log.splitlines():
            if all(word in line for word in words):
                return line
        assert time.monotonic() < deadline, f"no line with {words} in:\n{log}"


def test_engines_and_clients_that_come_and_go_are_told_of(site: Site) -> None:
    controller, supervisor = site.start_cluster(2)
    read = lambda: controller.log  # noqa: E731
    wait_for(read, "engine 1 joined: process", f"Python {os.sys.version.split()[0]}")  # type: ignore[attr-defined]
    with hippodrome.Client() as rc:
        came = wait_for(read, f"client {rc.session[:8]}", f"process {os.getpid()} on", "came")
        assert " INFO " in came
        pid = rc[0].apply_sync(os.getpid)
        os.kill(pid, signal.SIGKILL)
        wait_for(read, "engine 0 left: ", "killed by SIGKILL")
        rc.shutdown(targets=1, block=True)
        wait_for(read, "engine 1 left: ", "was stopped")
    wait_for(read, f"client {rc.session[:8]}", "left: the client was closed")
    assert rc.session not in controller.log
    assert supervisor.wait() == 0  # it has no engine any more, and is not to be stopped as well


def test_one_that_was_killed_is_told_of_too(site: Site) -> None:
    controller = site.start("ipcontroller")
    code = "import hippodrome, os; rc = hippodrome.Client(); os.kill(os.getpid(), 9)"
    site.python("-c", code)
    wait_for(lambda: controller.log, "client ", "left: its connection closed")


def test_a_wrong_key_is_refused_in_the_log(site: Site) -> None:
    controller = site.start("ipcontroller", "--ip=127.0.0.1")
    told = json.loads(site.client_file.read_text())
    pair = keys.generate()
    told["addresses"] = [a for a in told["addresses"] if a.startswith("tcp")]
    told["public_key"], told["secret_key"] = pair.public, pair.secret.reveal()
    with pytest.raises(AuthenticationError):
        hippodrome.Client(told, timeout=5)
    wait_for(lambda: controller.log, "rejected 127.0.0.1: unknown key")
    assert pair.secret.reveal() not in controller.log


def test_both_processes_log_into_the_file(site: Site) -> None:
    command = [program("ipcontroller"), "--log-to-file"]
    controller = Process(command, site.environment(), "\0never")
    path = site.ipython_dir / "profile_default" / "log" / f"ipcontroller-{controller.pid}.log"
    read = lambda: path.read_text() if path.exists() else ""  # noqa: E731
    try:
        wait_for(read, "listening on", f"[{controller.pid}]")
        [scheduler] = psutil.Process(controller.pid).children()
        with hippodrome.Client():
            wait_for(read, "client ", "came", f"[{scheduler.pid}]")
    finally:
        assert controller.stop() == 0
    assert controller.log == ""
    assert path.stat().st_mode & 0o077 == 0


def test_who_only_asks_or_stops_is_no_client_that_comes_and_goes(site: Site) -> None:
    controller, supervisor = site.start_cluster(1)
    for command in ("list", "status", "logs", "status"):
        site.run("ipcluster", command)
    hippodrome.ClusterManager().load_clusters()
    with hippodrome.Client() as rc:
        wait_for(lambda: controller.log, f"client {rc.session[:8]}", "came")
        told = json.loads(site.run("ipcluster", "status", "--json").stdout)
        assert told["clients"] == 1
    wait_for(lambda: controller.log, f"client {rc.session[:8]}", "left")
    controller.is_death_wanted = supervisor.is_death_wanted = True
    assert site.run("ipcluster", "stop").returncode == 0
    assert (controller.wait(), supervisor.wait()) == (0, 0)
    lines = [line for line in controller.log.splitlines() if "INFO client " in line]
    assert len(lines) == 2
    assert all(rc.session[:8] in line for line in lines)


def test_who_only_asks_is_told_of_where_everything_is(site: Site) -> None:
    controller = site.start("ipcontroller", "--debug")
    site.run("ipcluster", "status")
    came = wait_for(lambda: controller.log, "client ", "came")
    left = wait_for(lambda: controller.log, "client ", "left: ")
    assert " DEBUG " in came
    assert " DEBUG " in left
