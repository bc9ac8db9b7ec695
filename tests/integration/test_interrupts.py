"""Ctrl-C in calls that wait: their own tasks end, those of others go on, and it says so."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp
from hippodrome.client import interruption
from support import tasks
from support.ctrl_c import CtrlC
from support.leaks import wait_until
from support.terminal import run_in_terminal

Statement = Callable[[Any, Any, str], object]
SOON_S = 5.0  # on a machine with much to do


def notes_of(error: BaseException) -> str:
    return "\n".join(getattr(error, "__notes__", []))


def n_begun(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def bound(path: str) -> Callable[..., None]:
    """Return a task that notes that it has begun, and takes long; sent by value."""

    def long_one(_item: object = None) -> None:
        import time

        with open(path, "a") as file:
            file.write("x")
        time.sleep(1000)

    return long_one


def waiting() -> Callable[[str], str]:
    """Return a task that waits at a named pipe until `tasks.let_go`; sent by value."""

    def wait_at(path: str) -> str:
        with open(path) as file:
            return file.read()

    return wait_at


def in_executor(client: Any, f: Callable[..., None], *, asks: bool) -> None:
    with client.executor() as executor:
        futures = [executor.submit(f, i) for i in range(5)]
        if asks:
            futures[-1].result()


def in_body_of_executor(client: Any, f: Callable[..., None]) -> None:
    with client.executor() as executor:
        executor.submit(f)
        executor.submit(f)
        time.sleep(60)


def with_joblib(view: Any, f: Callable[..., None]) -> None:
    import joblib

    view.register_joblib_backend("interrupted")
    with joblib.parallel_config("interrupted"):
        joblib.Parallel()(joblib.delayed(f)(i) for i in range(5))


CODE = "from time import sleep; open({path!r}, 'a').write('x'); sleep(1000)"
FIVE = range(5)

STATEMENTS: dict[str, Callable[[Any, str], object]] = {
    "apply_sync": lambda rc, path: rc[:].apply_sync(bound(path)),
    "apply": lambda rc, path: rc.direct_view(block=True).apply(bound(path)),
    "map_sync": lambda rc, path: rc.load_balanced_view().map_sync(bound(path), FIVE),
    "chunks": lambda rc, path: rc.load_balanced_view().map_sync(bound(path), FIVE, chunksize=2),
    "map of a view": lambda rc, path: rc[:].map_sync(bound(path), FIVE),
    "map block=True": lambda rc, path: rc.load_balanced_view().map(bound(path), FIVE, block=True),
    "execute": lambda rc, path: rc[:].execute(CODE.format(path=path), block=True),
    "remote": lambda rc, path: rc[:].remote(block=True)(bound(path))(),
    "parallel": lambda rc, path: rc[:].parallel(block=True)(bound(path))(FIVE),
    "parallel map": lambda rc, path: rc[:].parallel(block=True)(bound(path)).map(FIVE),
    "parallel lbv": lambda rc, path: rc.load_balanced_view().parallel(block=True)(bound(path))(
        FIVE
    ),
    "imap": lambda rc, path: list(rc.load_balanced_view().imap(bound(path), FIVE)),
    "imap unordered": lambda rc, path: list(
        rc.load_balanced_view().imap(bound(path), FIVE, ordered=False)
    ),
    "imap of a view": lambda rc, path: list(rc[:].imap(bound(path), FIVE)),
    "executor": lambda rc, path: in_executor(rc, bound(path), asks=False),
    "executor and result": lambda rc, path: in_executor(rc, bound(path), asks=True),
    "executor's body": lambda rc, path: in_body_of_executor(rc, bound(path)),
    "executor.map": lambda rc, path: list(rc.executor().map(bound(path), FIVE)),
    "executor.map, lazily": lambda rc, path: list(
        rc.executor().map(bound(path), FIVE, buffersize=3)
    ),
    "joblib": lambda rc, path: with_joblib(rc.load_balanced_view(), bound(path)),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_calls_of_an_interrupted_statement_end(client: Any, tmp_path: Path, name: str) -> None:
    path = str(tmp_path / "begun")
    with CtrlC(lambda: n_begun(path) >= 2) as pressed, pytest.raises(KeyboardInterrupt) as caught:
        STATEMENTS[name](client, path)
    assert time.monotonic() - pressed.at < SOON_S
    assert "interrupted" in notes_of(caught.value)
    assert "go on" not in notes_of(caught.value)
    assert not client.outstanding
    assert not client.results, "what nobody can ask for is kept"
    assert client[:].apply_async(abs, -1).get(timeout=SOON_S) == [1, 1]
    assert n_begun(path) == 2, "a task has begun afterwards"


def test_what_is_in_the_way_of_a_push_stays_and_the_push_goes(client: Any, tmp_path: Path) -> None:
    """All that a blocking view does waits behind what engines do: that is of another statement."""
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    view = client[0]
    view.push({"kept": 1}, block=True)
    before = view.apply_async(waiting(), gate)
    statements: list[Callable[[], object]] = [
        lambda: view.push({"kept": 2}, block=True),
        lambda: view.pull("kept", block=True),
        lambda: view.__setitem__("kept", 3),
        lambda: view["kept"],
        lambda: view.scatter("kept", [4], targets=[0], block=True),
        lambda: view.gather("kept", targets=[0], block=True),
        lambda: view.clear(block=True),
        lambda: client.clear(0, block=True),
        lambda: view.run(__file__, block=True),
    ]
    for statement in statements:
        n = len(client.outstanding)
        with (
            CtrlC(lambda n=n: len(client.outstanding) > n),  # type: ignore[misc]
            pytest.raises(KeyboardInterrupt) as caught,
        ):
            statement()
        assert "was aborted" in notes_of(caught.value) or "1 aborted" in notes_of(caught.value)
    tasks.let_go(gate)
    assert before.get(timeout=10) == "gone on"
    assert view.pull("kept").get(timeout=10) == 1


def test_tasks_of_other_statements_and_threads_go_on(client: Any, tmp_path: Path) -> None:
    gate, path = str(tmp_path / "gate"), str(tmp_path / "begun")
    os.mkfifo(gate)
    earlier = client[0].apply_async(waiting(), gate)
    behind = client[0].apply_async(abs, -7)
    with CtrlC(lambda: n_begun(path) >= 1), pytest.raises(KeyboardInterrupt):
        client[1].apply_sync(bound(path))
    assert not earlier.done()
    tasks.let_go(gate)
    assert earlier.get(timeout=10) == "gone on"
    assert behind.get(timeout=10) == 7


def test_tasks_end_of_a_lazy_map_that_is_interrupted_while_it_begins(
    client: Any, tmp_path: Path
) -> None:
    path = str(tmp_path / "begun")

    def items() -> Any:
        yield from (1, 2)
        wait_until(lambda: n_begun(path) == 2)
        signal.raise_signal(signal.SIGINT)
        yield 3

    with pytest.raises(KeyboardInterrupt) as caught:
        client.executor().map(bound(path), items(), buffersize=3)
    assert notes_of(caught.value) == "2 tasks of long_one: 2 interrupted"
    assert not client.outstanding


def test_what_feeds_a_map_is_of_another_statement(client: Any, tmp_path: Path) -> None:
    """A generator submits tasks of its own while the map reads it."""
    path, view = str(tmp_path / "begun"), client.load_balanced_view()
    fed: list[Any] = []

    def feed() -> Any:
        fed.append(view.apply_async(abs, -3))
        yield 1
        yield 2

    with CtrlC(lambda: n_begun(path) >= 2), pytest.raises(KeyboardInterrupt):
        view.map_sync(bound(path), feed())
    assert fed[0].get(timeout=10) == 3


WAITS: dict[str, Callable[[Any, Any], object]] = {
    "get": lambda rc, ar: ar.get(),
    "result": lambda rc, ar: ar.result(),
    "wait": lambda rc, ar: ar.wait(),
    "iteration": lambda rc, ar: list(ar),
    "wait_interactive": lambda rc, ar: ar.wait_interactive(),
    "rc.wait": lambda rc, ar: rc.wait(),
    "rc.wait(ar)": lambda rc, ar: rc.wait(ar),
    "rc.wait_interactive": lambda rc, ar: rc.wait_interactive(),
    "get_result": lambda rc, ar: rc.get_result(ar, block=True),
}


@pytest.mark.parametrize("name", WAITS)
def test_who_waits_for_an_earlier_statement_only_stops_waiting(
    client: Any, tmp_path: Path, name: str
) -> None:
    gates = [str(tmp_path / f"gate{i}") for i in range(2)]
    for gate in gates:
        os.mkfifo(gate)
    ar = client[:].map_async(waiting(), gates)
    begun = time.monotonic()
    with (
        CtrlC(lambda: time.monotonic() > begun + 0.1),
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        WAITS[name](client, ar)
    n = len(client.history)
    assert notes_of(caught.value).startswith("2 tasks of wait_at go on: rc.get_result(rc.history[")
    assert f"rc.history[{n - 2}:{n}]" in notes_of(caught.value)
    for gate in gates:
        tasks.let_go(gate)
    again = client.get_result(client.history[n - 2 : n])
    assert again.get(timeout=10) == [["gone on"], ["gone on"]]
    assert ar.get(timeout=10) == ["gone on", "gone on"]


def test_detached_calls_go_on_and_can_be_had_as_the_note_says(client: Any, tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    client.on_interrupt = "detach"
    view = client.load_balanced_view()
    begun = time.monotonic()
    with CtrlC(lambda: time.monotonic() > begun + 0.1), pytest.raises(KeyboardInterrupt) as caught:
        view.apply_sync(waiting(), gate)
    note = notes_of(caught.value)
    assert note.startswith("1 task of wait_at goes on: rc.get_result('")
    assert "rc.abort()" in note
    tasks.let_go(gate)
    result = eval(note.partition(": ")[2].partition(" gets")[0], {"rc": client})
    assert result.get(timeout=10) == "gone on"


def test_a_detached_map_is_had_at_once_and_ended_at_once(client: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "begun")
    client.on_interrupt = "detach"
    with CtrlC(lambda: n_begun(path) >= 2), pytest.raises(KeyboardInterrupt) as caught:
        client.load_balanced_view().map_sync(bound(path), range(7))
    note = notes_of(caught.value)
    assert note.startswith("7 tasks of ")
    assert note.count("go on") == 1
    result = eval(note.partition(": ")[2].partition(" gets")[0], {"rc": client})
    assert len(client.outstanding) == 7
    result.interrupt()
    assert result.wait(SOON_S)


def test_on_interrupt_is_one_of_two_words(client: Any, cluster: Any) -> None:
    assert client.on_interrupt == "abort"
    for wrong in ("ignore", None, True, ["abort"]):
        with pytest.raises(ValueError, match="'abort' or 'detach'"):
            client.on_interrupt = wrong
    assert client.on_interrupt == "abort"
    with ipp.Client(on_interrupt="detach") as other:
        assert other.on_interrupt == "detach"
    with pytest.raises(ValueError, match="'abort' or 'detach'"):
        ipp.Client(on_interrupt="keep")


def test_a_second_one_gives_the_prompt_back(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interruption, "PROMPT_S", 60.0)
    path, asked = str(tmp_path / "begun"), str(tmp_path / "asked")
    os.mkfifo(gate := str(tmp_path / "gate"))

    def stubborn() -> str:
        import time

        try:
            with open(path, "a") as file:
                file.write("xx")
            time.sleep(1000)
        except KeyboardInterrupt:
            with open(asked, "a") as file:
                file.write("x")
        with open(gate) as file:
            return file.read()

    with (
        CtrlC(lambda: n_begun(path) >= 2),
        CtrlC(lambda: n_begun(asked) >= 1) as second,
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        client[0].apply_sync(stubborn)
    assert time.monotonic() - second.at < SOON_S
    assert "told to stop, but has not done so yet" in notes_of(caught.value)
    tasks.let_go(gate)
    assert client[0].apply_async(abs, -1).get(timeout=SOON_S) == 1
    assert not client.results


def test_retries_do_not_bring_back_what_was_interrupted(client: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "begun")
    view = client.load_balanced_view(retries=5)
    with CtrlC(lambda: n_begun(path) >= 1), pytest.raises(KeyboardInterrupt):
        view.apply_sync(bound(path))
    assert client[:].apply_async(abs, -1).get(timeout=SOON_S) == [1, 1]
    assert n_begun(path) == 1


def test_a_task_that_was_interrupted_by_somebody_else_is_no_ctrl_c(
    client: Any, tmp_path: Path
) -> None:
    path, view = str(tmp_path / "begun"), client[:]
    with pytest.raises(ipp.CompositeError), _Interrupter(client, path):
        view.apply_sync(bound(path))


class _Interrupter(CtrlC):
    """Interrupts all that runs for a client, through another result."""

    def __init__(self, client: Any, path: str) -> None:
        def interrupt() -> bool:
            if n_begun(path) < 2:
                return False
            client.get_result(client.history[-2:]).interrupt()
            self._is_over.set()
            return False

        super().__init__(interrupt)


SCRIPT = """
import os, threading, time
import hippodrome as ipp

def long_one(_):
    with open({path!r}, "a") as file: file.write("x")
    time.sleep(1000)

def tell():
    while not (os.path.exists({path!r}) and os.path.getsize({path!r}) == 2):
        time.sleep(0.01)
    print("begun", flush=True)

with ipp.Cluster(n=2, log_level=50) as rc:
    threading.Thread(target=tell).start()
    try:
        rc.load_balanced_view().map_sync(long_one, range(9))
    except KeyboardInterrupt as error:
        print("notes:", *error.__notes__)
    print("usable:", rc[:].apply_async(abs, -4).get(timeout=20))
"""


def test_in_a_terminal_ctrl_c_ends_the_map_and_not_the_cluster(site: Any, tmp_path: Path) -> None:
    script = SCRIPT.format(path=str(tmp_path / "begun"))
    text = run_in_terminal(script, site.environment(), typed={"begun": "\x03"})
    assert "notes: 9 tasks of long_one: 7 aborted, 2 interrupted" in text
    assert "usable: [4, 4]" in text


def test_a_script_that_is_interrupted_leaves_nothing_running(cluster: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "begun")
    script = f"""
import hippodrome as ipp, time
def long_one(_):
    with open({path!r}, "a") as file: file.write("x")
    time.sleep(1000)
ipp.Client().load_balanced_view().map_sync(long_one, range(9))
"""
    for number in range(1, 4):
        command = [sys.executable, "-c", script]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            wait_until(lambda n=2 * number: n_begun(path) >= n)  # type: ignore[misc]
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=20)[1]
        assert process.returncode == -signal.SIGINT
        assert said.endswith("KeyboardInterrupt\n9 tasks of long_one: 7 aborted, 2 interrupted\n")
    assert n_begun(path) == 6
    with ipp.Client() as client:
        assert client[:].apply_async(abs, -1).get(timeout=SOON_S) == [1, 1]


def test_at_whatever_moment_it_comes_the_cluster_is_usable_at_once(client: Any) -> None:
    chance, view = random.Random(1), client.load_balanced_view()
    notes: list[str] = []
    for number in range(100):
        due = time.monotonic() + chance.uniform(0.0, 0.012)
        try:
            with CtrlC(lambda due=due: time.monotonic() >= due):  # type: ignore[misc]
                view.map_sync(lambda ms: time.sleep(ms / 1000), range(30))
        except KeyboardInterrupt as error:
            notes.append(notes_of(error))
        assert not client.outstanding, number
        assert client[:].apply_async(abs, -number).get(timeout=SOON_S) == [number, number]
    assert len(notes) > 50
    assert "go on" not in "".join(notes)
    assert not client.results
