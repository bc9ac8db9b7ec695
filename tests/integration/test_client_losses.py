"""Who is told that an engine was lost does not find it among those that are there."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp
from support.leaks import wait_until
from support.processes import Process, Site
from support.tasks import noting


def kill(rc: Any, pid: int, supervisor: Process) -> None:
    os.kill(pid, signal.SIGKILL)


def stop(rc: Any, pid: int, supervisor: Process) -> None:
    rc.shutdown(targets=[1])


def kill_host(rc: Any, pid: int, supervisor: Process) -> None:
    supervisor.is_death_wanted = True
    supervisor.popen.send_signal(signal.SIGSTOP)  # so that it cannot say good-bye for its engines
    supervisor.popen.kill()


def ask_host_to_leave(rc: Any, pid: int, supervisor: Process) -> None:
    supervisor.is_death_wanted = True
    supervisor.popen.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("lose", [kill, stop, kill_host, ask_host_to_leave])
@pytest.mark.parametrize("is_balanced", [False, True], ids=["direct", "balanced"])
def test_ids_lack_an_engine_once_its_error_was_raised(
    lose: Callable[..., None],
    is_balanced: bool,
    site: Site,
    connect: Callable[..., Any],
    tmp_path: Path,
) -> None:
    site.start("ipcontroller")
    site.start("ipengine", "-n", "1")
    supervisor = site.start("ipengine", "-n", "2")
    rc = connect()
    rc.wait_for_engines(3, timeout=10)
    everywhere = rc.direct_view("all")
    pid = rc[1].apply_sync(os.getpid)
    view = rc.load_balanced_view(targets=[1]) if is_balanced else rc[1]
    started = tmp_path / "started"
    ar = view.apply_async(noting(), str(started), 60.0)
    wait_until(started.exists)
    lose(rc, pid, supervisor)
    with pytest.raises(ipp.EngineError):
        ar.get(timeout=30)
    ids, n, targets = rc.ids, len(rc), rc[:].targets
    assert 1 not in ids
    assert 1 not in targets
    assert n <= 2
    if supervisor.is_death_wanted:  # its other engine is there until it, too, has ended
        supervisor.wait()
    else:
        assert ids == targets == [0, 2]
        assert everywhere.apply_sync(abs, -1) == [1, 1]
