"""The helpers of the integration tests see what they are there to see."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import leaks, processes
from support.processes import Process, Site

Start = Callable[[str], Process]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python on a piece of code; what still runs at the end is killed."""
    started: list[Process] = []

    def start(code: str) -> Process:
        started.append(Process([sys.executable, "-u", "-c", code], os.environ, "ready"))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def test_a_process_is_ready_when_it_says_so(start: Start) -> None:
    process = start("print('hello'); print('ready'); input()")
    process.wait_ready()
    assert process.log.startswith("hello\nready")


def test_a_process_that_ends_before_it_is_ready_shows_its_log(start: Start) -> None:
    process = start("print('no such option')")
    with pytest.raises(AssertionError, match="no such option"):
        process.wait_ready()


def test_a_process_that_ends_unasked_is_reported_once(start: Start) -> None:
    process = start("print('ready'); raise SystemExit(3)")
    process.popen.wait()
    (report,) = processes.dead_unasked()
    assert "code 3" in report
    assert processes.dead_unasked() == []


def test_a_process_that_was_killed_on_purpose_is_not_reported(start: Start) -> None:
    process = start("print('ready'); import signal; signal.pause()")
    process.wait_ready()
    process.kill()
    assert processes.dead_unasked() == []


def test_an_exit_code_is_returned_by_stop(start: Start) -> None:
    code = "import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(4))"
    process = start(f"{code}; print('ready'); signal.pause()")
    process.wait_ready()
    assert process.stop() == 4


def test_nothing_is_left_behind_by_nothing(tmp_path: Path) -> None:
    before = leaks.take_snapshot(tmp_path)
    assert leaks.left_behind(before, tmp_path) == []


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give what is left behind no time to go."""
    monkeypatch.setattr(leaks, "SETTLE_S", 0.0)


@pytest.mark.usefixtures("brief")
def test_an_open_descriptor_is_seen(tmp_path: Path) -> None:
    before = leaks.take_snapshot()
    with (tmp_path / "file").open("w"):
        assert leaks.left_behind(before) == [f"descriptor {tmp_path / 'file'}"]


@pytest.mark.usefixtures("brief")
def test_a_file_is_seen(tmp_path: Path) -> None:
    before = leaks.take_snapshot(tmp_path)
    (tmp_path / "socket").touch()
    assert leaks.left_behind(before, tmp_path) == [f"file {tmp_path / 'socket'}"]


@pytest.mark.usefixtures("brief")
def test_a_thread_is_seen() -> None:
    before = leaks.take_snapshot()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten")
    thread.start()
    (left,) = leaks.left_behind(before)
    end.set()
    thread.join()
    assert left.startswith("thread forgotten")


@pytest.mark.usefixtures("brief")
def test_a_child_process_is_seen() -> None:
    before = leaks.take_snapshot()
    with subprocess.Popen(["sleep", "60"]) as child:
        left = leaks.left_behind(before)
        child.kill()
    assert left == [f"process {child.pid} sleep 60"]


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("is_removed", [True, False])
def test_segments_of_killed_ones_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_removed: bool
) -> None:
    monkeypatch.setattr(leaks, "ROOT", tmp_path)
    monkeypatch.setattr(leaks, "is_abandoned", lambda path: True)
    before = leaks.take_snapshot()
    segments = tmp_path / "hippodrome-0" / "segments"
    segments.mkdir(parents=True)
    monkeypatch.setattr(leaks, "sweep", lambda: is_removed and shutil.rmtree(segments))
    assert leaks.left_behind(before) == ([] if is_removed else [f"file {segments}"])


@pytest.mark.usefixtures("brief")
def test_a_process_that_left_the_family_is_seen_and_killed() -> None:
    code = "import os, signal; os.fork() or (os.setsid(), os.closerange(0, 3), signal.pause())"
    with pytest.raises(AssertionError, match="left behind:\nprocess"), Site() as site:
        site.python("-c", code)
    assert site._survivors() == []


@pytest.mark.usefixtures("brief")
def test_a_socket_that_stays_is_seen() -> None:
    with pytest.raises(AssertionError, match="endpoint"), Site() as site:
        (site.runtime_dir / "endpoint").touch()
