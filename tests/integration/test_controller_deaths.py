"""A controller that dies without a word, whatever everybody does at that moment: all others end.

What is stopped first cannot say good-bye, neither for itself nor for another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

import hippodrome as ipp
from hippodrome import paths
from hippodrome.security import connection_file
from hippodrome.segments import files as segments
from support.leaks import wait_until
from support.processes import Process, Site, program
from support.tasks import noting

ACTED_ON_S = 2.0
STOP_S = 2.0  # engines are asked to stop, then killed
LONG_S = 60.0


class Scene:
    """A cluster, by hand or by ``ipcluster``, of which only the addresses of one kind are known."""

    def __init__(self, site: Site, kind: str, way: str) -> None:
        self.site = site
        address = ["--ip=127.0.0.1"] if kind == "tcp" else []
        self.peers: list[Process] = []
        if way == "by hand":
            self.controller = site.start("ipcontroller", *address)
            self._keep_only(kind)
            self.peers.append(site.start("ipengine", "-n", "1"))
        else:
            self.controller = site.start("ipcluster", "start", "-n", "1", *address)
            self._keep_only(kind)
        self.hub = psutil.Process(self.info.pid)
        (self.scheduler,) = self.hub.children(recursive=True)

    def _keep_only(self, kind: str) -> None:
        self.info = connection_file.read(self.site.client_file)
        for path in self.site.security_dir.glob("ipcontroller-*.json"):
            info = connection_file.read(path)
            addresses = tuple(a for a in info.addresses if a.startswith(kind))
            connection_file.write(path, replace(info, addresses=addresses))

    def kill(self, victim: str) -> None:
        victims = {
            "hub": [self.hub],
            "scheduler": [self.scheduler],
            "controller": [self.hub, self.scheduler],
        }[victim]
        for process in (self.controller, *self.peers):
            process.is_death_wanted = True
        for process in victims:
            process.suspend()
        for process in victims:
            process.kill()

    def end(self) -> None:
        for process in (*self.peers, self.controller):
            process.kill()
        wait_until(lambda: not self.hub.is_running())
        paths.remove_socket_dirs(self.info.addresses)
        segments.sweep()


@pytest.fixture
def stage(site: Site) -> Iterator[Callable[..., Scene]]:
    scenes = []

    def stage(kind: str, way: str) -> Scene:
        scenes.append(Scene(site, kind, way))
        return scenes[-1]

    yield stage
    for scene in scenes:
        scene.end()


@pytest.mark.parametrize("victim", ["hub", "scheduler", "controller"])
@pytest.mark.parametrize("way", ["by hand", "ipcluster"])
@pytest.mark.parametrize("kind", ["ipc", "tcp"])
def test_all_others_end_while_an_engine_computes(
    kind: str,
    way: str,
    victim: str,
    stage: Callable[..., Scene],
    connect: Callable[..., Any],
    tmp_path: Path,
) -> None:
    scene = stage(kind, way)
    rc = connect()
    rc.wait_for_engines(1, timeout=10)
    engine = psutil.Process(rc[0].apply_sync(os.getpid))
    ar = rc[0].apply_async(noting(), str(tmp_path / "begun"), LONG_S)
    wait_until((tmp_path / "begun").exists)
    scene.kill(victim)
    killed = time.monotonic()
    with pytest.raises(ipp.ControllerLost):
        ar.get(timeout=30)
    assert time.monotonic() - killed < ACTED_ON_S
    for process in (*scene.peers, scene.controller):
        process.wait(2 * (ACTED_ON_S + STOP_S))
    wait_until(lambda: not engine.is_running())
    assert time.monotonic() - killed < 2 * (ACTED_ON_S + STOP_S)


@pytest.mark.parametrize("kind", ["ipc", "tcp"])
def test_engines_in_their_start_up_end_too(
    kind: str, stage: Callable[..., Scene], site: Site, tmp_path: Path
) -> None:
    scene = stage(kind, "by hand")
    begun = tmp_path / "begun"
    code = f"import os, time; open({str(begun)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    starting = Process([program("ipengine"), "-c", code], site.environment(), "never ready")
    scene.peers.append(starting)
    wait_until(lambda: begun.exists() and begun.read_text() != "")
    engine = psutil.Process(int(begun.read_text()))
    scene.kill("controller")
    killed = time.monotonic()
    assert starting.wait(2 * (ACTED_ON_S + STOP_S)) != 0
    wait_until(lambda: not engine.is_running())
    assert time.monotonic() - killed < 2 * (ACTED_ON_S + STOP_S)


@pytest.mark.parametrize("kind", ["ipc", "tcp"])
def test_commands_say_that_it_is_dead(kind: str, stage: Callable[..., Scene], site: Site) -> None:
    scene = stage(kind, "by hand")
    scene.kill("controller")
    for process in (*scene.peers, scene.controller):
        process.wait(2 * (ACTED_ON_S + STOP_S))
    said = site.run("ipcluster", "status")
    assert (said.returncode, said.stderr) == (11, "")
    assert "dead: nothing of it runs any more" in said.stdout
    assert site.run("ipcluster", "stop").returncode == 0, "what it has left is removed"
    assert not site.client_file.exists()
