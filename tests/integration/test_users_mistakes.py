"""What is shown of a user's mistakes: the user's line and why, and nothing of ours."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp

OURS = os.path.dirname(ipp.__file__)


def bad_generator() -> Any:
    yield 1
    raise KeyError("mine")


def fail(x: int = 0) -> float:
    return 1 / x


MISTAKES: dict[str, Callable[[Any], Any]] = {
    "an engine that is not there": lambda rc: rc[9],
    "no id": lambda rc: rc["a"],
    "no targets": lambda rc: rc[[]].apply_sync(len, "a"),
    "targets of a balanced view": lambda rc: rc.load_balanced_view(targets=77),
    "targets of a broadcast view": lambda rc: rc.broadcast_view(targets=77),
    "targets, assigned": lambda rc: setattr(rc[:], "targets", 77),
    "targets of a call": lambda rc: rc[:].execute("1", targets=77),
    "a flag": lambda rc: rc.load_balanced_view(bogus=3),
    "a flag, set": lambda rc: rc[:].set_flags(bogus=3),
    "a flag, for a while": lambda rc: rc[:].temp_flags(bogus=3),
    "a flag, remote": lambda rc: rc[:].remote(bogus=3)(abs),
    "a flag, parallel": lambda rc: rc[:].parallel(bogus=3)(abs),
    "retries": lambda rc: setattr(rc.load_balanced_view(), "retries", -2),
    "timeout": lambda rc: setattr(rc.load_balanced_view(), "timeout", "x"),
    "no function": lambda rc: rc[:].map_sync(3, [1]),
    "no function, balanced": lambda rc: rc.load_balanced_view().apply_async(3),
    "no function, remote": lambda rc: rc[:].remote()(3),
    "no sequence": lambda rc: rc[:].map_sync(abs, 3),
    "no sequence, balanced": lambda rc: rc.load_balanced_view().map(abs, 3),
    "no sequence, imap": lambda rc: rc.load_balanced_view().imap(abs, 3),
    "no sequence, scattered": lambda rc: rc[:].scatter("a", 5),
    "nothing to map": lambda rc: rc[:].map_sync(abs),
    "an option that there is not": lambda rc: rc[:].map(abs, [1], k=2),
    "an option of another method": lambda rc: rc[:].push(x=1),
    "an option of another view": lambda rc: rc[:].imap(abs, [1], max_outstanding=1),
    "no end": lambda rc: rc[:].map_sync(abs, itertools.count()),
    "a generator that raises": lambda rc: rc[:].map_sync(abs, bad_generator()),
    "a lock": lambda rc: rc[:].apply_sync(len, threading.Lock()),
    "no dict": lambda rc: rc[:].push(3),
    "a name": lambda rc: rc[:].pull(3),
    "a variable": lambda rc: rc[:]["nonesuch"],
    "a distribution": lambda rc: rc[:].scatter("a", [1], dist="x"),
    "no code": lambda rc: rc[:].execute(3),
    "no file": lambda rc: rc[:].run("/nonesuch.py"),
    "no record": lambda rc: rc.get_result("nonesuch"),
    "no index": lambda rc: rc.get_result(10**9),
    "no signal": lambda rc: rc.send_signal("SIGNIX"),
    "too few engines": lambda rc: rc.wait_for_engines(99, timeout=0.01),
    "no time": lambda rc: rc[:].apply_async(abs, 1).get(timeout="x"),
    "a result in time": lambda rc: rc[:].apply_async(__import__("time").sleep, 0.5).get(0.01),
    "an index of results": lambda rc: rc[:].apply_async(abs, 1)[99],
    "metadata": lambda rc: rc[:].apply_async(abs, 1)["nonesuch"],
    "an attribute": lambda rc: rc[:].apply_async(abs, 1).nonesuch,
    "a buffer": lambda rc: list(rc[:].executor.map(abs, [1], buffersize="1")),
    "no connection file": lambda rc: ipp.Client("/nonesuch.json", timeout=0.01),
    "a file of another kind": lambda rc: ipp.Client(__file__, timeout=0.01),
    "too many arguments": lambda rc: ipp.Cluster(4),
    "no cluster file": lambda rc: ipp.Cluster.from_file(cluster_id="nix"),
    "no cluster": lambda rc: ipp.ClusterManager()["nix"],
    "a launcher": lambda rc: ipp.Cluster(engines="bogus"),
    "user code": lambda rc: rc[0].apply_sync(fail),
    "user code everywhere": lambda rc: rc[:].apply_sync(fail),
    "user code, iterated over": lambda rc: list(rc[:].apply_async(fail)),
    "user code of a map": lambda rc: rc.load_balanced_view().map_sync(fail, range(3)),
    "user code of an imap": lambda rc: list(rc.load_balanced_view().imap(fail, range(3))),
    "user code of an executor": lambda rc: list(rc[:].executor.map(fail, range(3))),
    "user code of a future": lambda rc: rc[:].executor.submit(fail).result(),
    "user code, again": lambda rc: [again(rc), again(rc)],
}


def again(rc: Any) -> Any:
    result = rc[0].apply_async(fail)
    with pytest.raises(ZeroDivisionError):
        result.get()
    return result.get()


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_nothing_of_ours_is_shown(client: Any, mistake: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as caught:
        mistake(client)
    error: BaseException | None = caught.value
    while error is not None:
        shown = traceback.extract_tb(error.__traceback__)
        assert [frame for frame in shown if frame.filename.startswith(OURS)] == []
        assert [frame for frame in shown if "cloudpickle" in frame.filename] == []
        error = error.__cause__ or error.__context__
    assert traceback.extract_tb(caught.value.__traceback__)[-1].filename == __file__


def test_an_error_that_is_raised_twice_shows_the_second_place_only(client: Any) -> None:
    result = client[0].apply_async(fail)
    with pytest.raises(ZeroDivisionError):
        result.get()
    with pytest.raises(ZeroDivisionError) as caught:
        result.get()
    assert len(traceback.extract_tb(caught.value.__traceback__)) == 1


SCRIPT = """
import os, signal, sys, threading
import hippodrome as ipp

def frames():
    frame = sys._current_frames()[threading.main_thread().ident]
    while frame is not None:
        yield frame.f_code.co_filename
        frame = frame.f_back

def strike_when_it_waits():
    while True:
        found = list(frames())
        if found[0] == threading.__file__ and found[-2].startswith(os.path.dirname(ipp.__file__)):
            return os.kill(os.getpid(), signal.SIGINT)

rc = ipp.Client(sys.argv[1])
result = rc.load_balanced_view().apply_async(__import__("time").sleep, 3)
threading.Thread(target=strike_when_it_waits, daemon=True).start()
{wait}
"""


@pytest.mark.parametrize("wait", ["result.get()", "result.wait()", "rc.wait([result])"])
def test_an_interrupt_while_waiting_shows_the_line_that_waits(
    cluster: Any, client: Any, tmp_path: Path, wait: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(wait=wait))
    command = [sys.executable, str(script), str(cluster.client_file)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr
    assert wait in shown
    assert "KeyboardInterrupt" in shown
    assert OURS not in shown
    assert "threading.py" not in shown


FAILING = """
import sys
import hippodrome as ipp
rc = ipp.Client({file!r})

def fail(x):
    return 1 / x  # here

rc[0].apply_sync(fail, 0)
"""


@pytest.mark.parametrize("way", ["-c", "stdin"])
def test_lines_of_code_that_is_in_no_file_are_shown(
    cluster: Any, client: Any, tmp_path: Path, way: str
) -> None:
    code = FAILING.format(file=str(cluster.client_file))
    script = tmp_path / "script.py"
    script.write_text(code)
    os.utime(script, (1, 1))
    command = [sys.executable, "-c", code] if way == "-c" else [sys.executable]
    with script.open() as stdin:
        ran = subprocess.run(
            command, stdin=stdin, capture_output=True, text=True, timeout=60, check=False
        )
    assert ", in fail\n    return 1 / x  # here\n" in ran.stderr


def test_code_of_a_script_has_no_number_of_a_cell(client: Any) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        client[0].execute("x = 0\n1 / x", block=True)
    assert isinstance(caught.value, ipp.RemoteError)
    shown = "\n".join(caught.value.render_traceback())
    assert "Code of execute, line 2" in shown
    assert "In[" not in shown
