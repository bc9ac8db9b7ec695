"""Silence and death, with real processes: what is only silent is waited for, what is dead is not.

Everything is done over the socket of one host and over TCP; what a cut cable does is in
`test_cut_cable.py`.
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
from support.processes import Site
from support.tasks import noting

STOPPED_S = 12.0  # longer than after what a person is told, and a TCP connection is replaced
BACK_S = 5.0
ACTED_ON_S = 2.0
ACTED_ON_ELSEWHERE_S = 7.0  # a supervisor, by ENDED_REMOTE_S of the scheduler
STOP_S = 2.0  # engines are asked to stop, then killed
PATIENCE_S = 6.0


class Cast:
    """A cluster of two engines, its processes by name, and a client in a process of its own."""

    def __init__(
        self, site: Site, is_tcp: bool, *options: str, controller: list[str] | None = None
    ) -> None:
        self.is_tcp = is_tcp
        address = ["--ip=127.0.0.1"] if is_tcp else []
        self.controller = site.start("ipcontroller", *address, *(controller or []))
        self._info = connection_file.read(site.client_file)
        if is_tcp:
            for role in (site.client_file, site.security_dir / "ipcontroller-engine.json"):
                info = connection_file.read(role)
                tcp = tuple(a for a in info.addresses if a.startswith("tcp"))
                connection_file.write(role, replace(info, addresses=tcp))
        self.engines = site.start("ipengine", "-n", "2", *options)
        hub = psutil.Process(self.controller.pid)
        (scheduler,) = hub.children(recursive=True)
        self.processes = {
            "hub": [hub],
            "scheduler": [scheduler],
            "controller": [hub, scheduler],
            "supervisor": [psutil.Process(self.engines.pid)],
        }

    def learn_engines(self, pids: list[int]) -> None:
        engines = [psutil.Process(pid) for pid in pids]
        self.processes["engine"] = engines[:1]
        self.processes["host"] = [*self.processes["supervisor"], *engines]
        self.processes["all"] = [*self.processes["controller"], *self.processes["host"]]

    def end(self) -> None:
        """Take note of who has ended, and clean up where nobody was left to do so."""
        for process in (self.engines, self.controller):
            if process.is_death_wanted:
                process.wait()
        if not psutil.pid_exists(self._info.pid):
            paths.remove_socket_dirs(self._info.addresses)
            segments.sweep()


@pytest.fixture(params=["ipc", "tcp"])
def cast(request: pytest.FixtureRequest, site: Site) -> Iterator[Cast]:
    cast = Cast(site, request.param == "tcp")
    yield cast
    cast.end()


def outcome(ar: Any) -> str:
    """Return how a task ended: the name of its error, or nothing."""
    try:
        ar.get(timeout=30)
    except (ipp.ControllerLost, ipp.EngineError) as error:
        return type(error).__name__
    return ""


@pytest.mark.parametrize(
    ("victim", "error"),
    [
        ("scheduler", "ControllerLost"),
        ("controller", "ControllerLost"),
        ("supervisor", "EngineError"),
        ("engine", "EngineError"),
    ],
)
def test_who_is_killed_is_not_waited_for(
    victim: str, error: str, cast: Cast, connect: Callable[..., Any]
) -> None:
    rc = connect()
    rc.wait_for_engines(2, timeout=10)
    cast.learn_engines(rc[:].apply_sync(os.getpid))
    ar = rc[0].apply_async(time.sleep, 60)
    cast.controller.is_death_wanted = victim in ("scheduler", "controller")
    cast.engines.is_death_wanted = victim != "engine"
    for process in cast.processes[victim]:
        process.suspend()  # so that none can say good-bye for another
    for process in cast.processes[victim]:
        process.kill()
    killed = time.monotonic()
    assert outcome(ar) == error
    is_elsewhere = cast.is_tcp and victim == "supervisor"
    assert time.monotonic() - killed < (ACTED_ON_ELSEWHERE_S if is_elsewhere else ACTED_ON_S)
    if error == "ControllerLost":
        cast.engines.wait(ACTED_ON_S + STOP_S)


@pytest.mark.parametrize("victim", ["controller", "host"])
def test_who_is_stopped_for_long_is_waited_for_and_nothing_runs_twice(
    victim: str, cast: Cast, connect: Callable[..., Any], tmp_path: Path
) -> None:
    rc = connect()
    rc.wait_for_engines(2, timeout=10)
    cast.learn_engines(rc[:].apply_sync(os.getpid))
    rc[:].push({"kept": 42}, block=True)
    view = rc.load_balanced_view()
    view.retries = 3
    runs = [tmp_path / f"{number}" for number in range(4)]
    ars = [view.apply_async(noting(), str(run), 3.0) for run in runs]
    stop_and_continue(cast.processes[victim], STOPPED_S)
    woken = time.monotonic()
    assert rc[:].apply_async(abs, -1).get(timeout=60) == [1, 1]
    assert time.monotonic() - woken < BACK_S + 3.0 * len(runs) / 2  # behind what was there before
    assert [ar.get(timeout=60) for ar in ars] == [len(str(run)) for run in runs]
    assert [run.read_text() for run in runs] == ["x"] * len(runs)
    assert (rc.ids, rc[:].pull("kept", block=True)) == ([0, 1], [42, 42])


def test_time_asleep_is_nobodys_silence(
    site: Site, connect: Callable[..., Any], tmp_path: Path
) -> None:
    options = f"--patience={PATIENCE_S}"
    cast = Cast(site, True, options, controller=[options])
    rc = connect(patience=2 * STOPPED_S)  # it stays awake
    rc.wait_for_engines(2, timeout=10)
    cast.learn_engines(rc[:].apply_sync(os.getpid))
    ars = [rc[n].apply_async(noting(), str(tmp_path / f"{n}"), 2 * PATIENCE_S) for n in (0, 1)]
    stop_and_continue(cast.processes["all"], STOPPED_S)
    assert outcome(ars[0]) == outcome(ars[1]) == ""
    assert rc.ids == [0, 1]
    assert "nothing was heard" not in cast.engines.log


def stop_and_continue(processes: list[psutil.Process], seconds: float) -> None:
    """Let *processes* not run for so long; they wake in another order than they fell asleep."""
    for process in processes:
        process.suspend()
    time.sleep(seconds)  # it is this that is tested
    for process in reversed(processes):
        process.resume()
