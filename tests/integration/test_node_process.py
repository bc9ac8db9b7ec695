"""A supervisor and its engines as real processes: how they end, and what is told about it."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hippodrome.protocol.messages import Bye, PeerId, Signal, Stop
from hippodrome.security import connection_file as files
from support import node_process
from support.fake_controller import FakeController
from support.node_process import NodeProcess, is_running
from support.tasks import die, wait_for_ever

Launch = Callable[..., NodeProcess]


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[FakeController]:
    with FakeController(tmp_path) as controller:
        yield controller


@pytest.fixture
def launch(controller: FakeController, tmp_path: Path) -> Iterator[Launch]:
    """Start a supervisor with some options, at most one in a test."""
    nodes: list[NodeProcess] = []

    def launch(**options: Any) -> NodeProcess:
        nodes.append(NodeProcess(controller, tmp_path / "node.log", **options))
        return nodes[-1]

    yield launch
    for node in nodes:
        node.__exit__(None, None, None)


def gone(pids: list[int]) -> Callable[[], bool]:
    return lambda: not any(is_running(pid) for pid in pids)


def test_all_engines_register_and_stop_in_order(controller: FakeController, launch: Launch) -> None:
    ready, ready_fd = os.pipe()
    node = launch(n=3, ready_fd=ready_fd)
    os.close(ready_fd)
    controller.wait_for_engines(3)
    with os.fdopen(ready) as pipe:
        *told, last = pipe.read().splitlines()
    assert last == "ready 0 1 2"
    assert all(line.startswith("state ") for line in told)
    began = time.monotonic()
    controller.send(controller.nodes[0], "control", Stop(None))
    assert node.wait() == 0
    assert time.monotonic() - began < 2
    assert [exited.death.expected for exited in controller.deaths] == [True] * 3
    assert [exited.death.exit_code for exited in controller.deaths] == [0] * 3
    assert gone(node.engine_pids())()


def test_a_death_in_a_task_is_told_at_once_and_in_full(
    controller: FakeController, launch: Launch
) -> None:
    launch(n=2)
    engine, other = controller.wait_for_engines(2)
    assert controller.call(engine, abs, -1) == 1
    began = time.monotonic()
    controller.submit_all(engine, [(abs, (-2,)), (die, (9,)), (abs, (-3,))])
    controller.wait_until(lambda: controller.deaths)
    assert controller.death_times[0] - began < 1
    death = controller.deaths[0].death
    assert (death.uuid, death.signal, death.exit_code) == (engine, 9, None)
    assert death.started == 3, "the call before the batch, and two of it"
    assert death.stderr == "so long"
    assert death.reason.startswith("killed by SIGKILL")
    assert not death.expected
    assert controller.call(other, abs, -1) == 1


def test_a_death_is_told_at_once_also_where_the_system_has_no_process_descriptors(
    controller: FakeController, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    poorer = "import os\ndel os.pidfd_open, os.waitid, os.memfd_create\n"
    monkeypatch.setattr(node_process, "PROGRAM", poorer + node_process.PROGRAM)
    launch(n=2)
    engine, _ = controller.wait_for_engines(2)
    began = time.monotonic()
    controller.submit(engine, os._exit, 4)
    controller.wait_until(lambda: controller.deaths)
    assert controller.death_times[0] - began < 1
    assert controller.deaths[0].death.exit_code == 4


@pytest.mark.parametrize(
    ("f", "arg", "reason"),
    [(os._exit, 3, "exited with code 3"), (die, signal.SIGSEGV, "killed by SIGSEGV")],
)
def test_the_supervisor_says_how_its_last_engine_ended(
    controller: FakeController, launch: Launch, f: Callable[..., Any], arg: int, reason: str
) -> None:
    node = launch()
    (engine,) = controller.wait_for_engines(1)
    controller.submit(engine, f, arg)
    assert node.wait() == 1
    assert controller.deaths[0].death.reason == reason
    assert f"engine 0 {reason}" in node.said()


def test_a_killed_supervisor_leaves_no_engine(controller: FakeController, launch: Launch) -> None:
    node = launch(n=2)
    busy, _ = controller.wait_for_engines(2)
    controller.submit(busy, wait_for_ever)
    node.popen.kill()
    controller.wait_until(gone(node.engine_pids()), patience_s=2)


def test_an_engine_that_does_not_hear_the_signal_is_killed(
    controller: FakeController, launch: Launch
) -> None:
    def block_signals() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        time.sleep(1000)

    node = launch(stop_timeout_s=0.3)
    (engine,) = controller.wait_for_engines(1)
    controller.submit(engine, block_signals)
    wait_until_busy(controller)
    controller.send(controller.nodes[0], "control", Stop(None))
    assert node.wait() == 0
    death = controller.deaths[0].death
    assert (death.signal, death.expected, death.started) == (9, True, 1)


def test_stopping_runs_exit_handlers_also_while_a_task_sleeps(
    controller: FakeController, launch: Launch, tmp_path: Path
) -> None:
    def at_exit_write(path: str) -> None:
        import atexit

        atexit.register(lambda: Path(path).write_text("the end"))
        time.sleep(1000)

    node = launch(stop_timeout_s=5.0)
    (engine,) = controller.wait_for_engines(1)
    msg_id = controller.submit(engine, at_exit_write, str(tmp_path / "end"))
    wait_until_busy(controller)
    controller.send(controller.nodes[0], "control", Stop([engine]))
    assert node.wait() == 0
    assert controller.deaths[0].death.exit_code == 0
    assert (tmp_path / "end").read_text() == "the end"
    assert msg_id not in controller.outcomes, "the death tells that it was started"


def test_the_children_of_an_engine_end_with_it(controller: FakeController, launch: Launch) -> None:
    def spawn_child() -> int:
        import subprocess

        return subprocess.Popen(["sleep", "1000"]).pid

    launch(n=2)
    engine, _ = controller.wait_for_engines(2)
    child = controller.call(engine, spawn_child)
    assert is_running(child)
    controller.submit(engine, os._exit, 1)
    controller.wait_until(lambda: controller.deaths)
    controller.wait_until(gone([child]))


def test_a_signal_reaches_the_engine_that_it_is_for(
    controller: FakeController, launch: Launch
) -> None:
    launch(n=2)
    one, two = controller.wait_for_engines(2)
    first = controller.submit(one, wait_for_ever)
    second = controller.submit(two, wait_for_ever)
    wait_until_busy(controller, n=2)
    controller.send(controller.nodes[0], "control", Signal([one], signal.SIGINT))
    failure = controller.outcome(first).failure
    assert failure is not None
    assert failure.ename == "KeyboardInterrupt"
    assert second not in controller.outcomes


def test_a_pulse_tells_for_how_long_a_task_has_run(
    controller: FakeController, launch: Launch
) -> None:
    launch()
    (engine,) = controller.wait_for_engines(1)
    controller.submit(engine, wait_for_ever)
    wait_until_busy(controller)
    first = controller.beats[-1].engines[0].busy_s
    controller.wait_until(lambda: controller.beats[-1].engines[0].busy_s > first)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_ends_everything_in_order(
    controller: FakeController, launch: Launch, signum: int
) -> None:
    node = launch(n=2)
    controller.wait_for_engines(2)
    node.popen.send_signal(signum)
    assert node.wait() == 0
    assert any(isinstance(message, Bye) for _, message in controller.messages)
    assert gone(node.engine_pids())()


def test_a_signal_while_it_waits_for_a_connection_file_ends_it(
    controller: FakeController, launch: Launch, tmp_path: Path
) -> None:
    node = launch(connection_file=str(tmp_path / "nowhere.json"), wait_for_file_s=1000.0)
    controller.wait_until(lambda: handles_sigterm(node.popen.pid))
    node.popen.terminate()
    assert node.wait() == 0


def test_the_controllers_good_bye_ends_everything(
    controller: FakeController, launch: Launch
) -> None:
    node = launch(n=2)
    controller.wait_for_engines(2)
    for uuid in (*controller.nodes, *controller.engines):
        controller.send(uuid, "control", Bye("over and out"))
    assert node.wait() == 0
    assert "over and out" in node.said()
    assert gone(node.engine_pids())()


def test_a_silent_controller_ends_everything(controller: FakeController, launch: Launch) -> None:
    node = launch(patience_s=1.5)
    controller.wait_for_engines(1)
    controller.beating = False
    assert node.wait() == 1
    assert "nothing was heard from the controller for 2 s" in node.said()
    assert gone(node.engine_pids())()


def test_an_engine_that_gets_no_number_is_a_failure_to_register(
    controller: FakeController, launch: Launch
) -> None:
    controller.registers = False
    node = launch(registration_timeout_s=0.5)
    assert node.wait() == 255
    assert "did not register this engine within 0.5 s" in node.said()


def test_a_controller_that_does_not_answer_is_a_failure_to_register(
    controller: FakeController, launch: Launch
) -> None:
    controller.answers = False
    node = launch(registration_timeout_s=0.5)
    assert node.wait() == 255
    assert "did not answer within 0.5 s" in node.said()


def test_a_missing_connection_file_is_one_sentence(
    controller: FakeController, launch: Launch, tmp_path: Path
) -> None:
    node = launch(connection_file=str(tmp_path / "nowhere.json"), wait_for_file_s=0.1)
    assert node.wait() == 1
    assert "nowhere.json" in node.said()
    assert "Traceback" not in node.said()


def test_the_end_of_the_parent_ends_everything(controller: FakeController, launch: Launch) -> None:
    parent_fd, life_fd = os.pipe()
    node = launch(parent_fd=parent_fd)
    os.close(parent_fd)
    controller.wait_for_engines(1)
    os.close(life_fd)
    assert node.wait() == 0
    assert gone(node.engine_pids())()


@pytest.mark.parametrize("waits_for", ["the connection file", "an answer"])
def test_the_end_of_the_parent_ends_also_a_supervisor_that_waits(
    waits_for: str, controller: FakeController, launch: Launch, tmp_path: Path
) -> None:
    parent_fd, life_fd = os.pipe()
    path, silent = tmp_path / "later.json", socket.socket(socket.AF_UNIX)
    with silent, tempfile.TemporaryDirectory() as short:
        silent.bind(f"{short}/endpoint")
        silent.listen()
        info = replace(files.read(controller.file), addresses=(f"ipc://{short}/endpoint",))
        if waits_for == "an answer":
            files.write(path, info)
        node = launch(parent_fd=parent_fd, connection_file=str(path), wait_for_file_s=1000.0)
        os.close(parent_fd)
        controller.wait_until(lambda: handles_sigterm(node.popen.pid))
        os.close(life_fd)
        started = time.monotonic()
        assert node.wait() == 0
        assert time.monotonic() - started < 2
    assert "the end of the parent process" in node.said()


def test_engines_write_to_log_files_when_told_to(
    controller: FakeController, launch: Launch, tmp_path: Path
) -> None:
    class Logged(type(tmp_path)):  # type: ignore[misc]
        """Written as an expression, because options travel as text."""

        def __repr__(self) -> str:
            return f"Path({str(self)!r})"

    node = launch(log_dir=Logged(tmp_path))
    (engine,) = controller.wait_for_engines(1)
    controller.call(engine, os.write, 2, b"from the engine\n")
    (log,) = controller.wait_until(lambda: list(tmp_path.glob("ipengine-*.log")))
    controller.wait_until(lambda: "from the engine" in log.read_text())
    assert "from the engine" not in node.said()


def wait_until_busy(controller: FakeController, n: int = 1) -> None:
    """Wait until the supervisor says that *n* of its engines are in a task."""
    controller.wait_until(
        lambda: (
            controller.beats
            and sum(pulse.busy_s > 0 for pulse in controller.beats[-1].engines) >= n
        )
    )


def handles_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def test_the_uuid_of_a_peer_is_its_own(controller: FakeController, launch: Launch) -> None:
    launch(n=2)
    engines = controller.wait_for_engines(2)
    assert len({*engines, *controller.nodes}) == 3
    assert all(controller.infos[PeerId(e)]["node"] == controller.nodes[0] for e in engines)
