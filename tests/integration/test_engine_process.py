"""Engines as real processes under a real supervisor; the controller is a fake one."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hippodrome.protocol.messages import EngineId, PeerId, Registered
from support.fake_controller import FakeController
from support.node_process import NodeProcess
from support.tasks import let_go, wait_at


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[FakeController]:
    with FakeController(tmp_path) as controller:
        yield controller


@pytest.fixture
def node(controller: FakeController, tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(controller, tmp_path / "node.log") as node:
        yield node


@pytest.fixture
def engine(controller: FakeController, node: NodeProcess) -> PeerId:
    return controller.wait_for_engines(1)[0]


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    """A path that a task can wait at: opening it to read blocks until somebody writes."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return str(path)


def is_running(controller: FakeController, engine: PeerId) -> bool:
    """Whether a task runs, by what the supervisor says of its engines."""
    controller.beats.clear()
    controller.wait_until(lambda: controller.beats)
    return any(pulse.busy_s > 0 for pulse in controller.beats[-1].engines)


def test_an_engine_is_light(controller: FakeController, engine: PeerId) -> None:
    def loaded() -> list[str]:
        heavy = ["IPython", "numpy", "asyncio", "traitlets", "jupyter_client", "tornado"]
        return [name for name in heavy if name in sys.modules]

    assert controller.call(engine, loaded) == []
    pid = controller.infos[engine]["pid"]
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmRSS"))
    assert int(line.split()[1]) < 45 * 1024


def test_what_a_task_prints_comes_with_its_outcome(
    controller: FakeController, engine: PeerId
) -> None:
    def speak() -> None:
        print("out")
        print("err", file=sys.stderr)

    outcome = controller.outcome(controller.submit(engine, speak))
    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")


def test_user_code_lives_in_main(controller: FakeController, engine: PeerId) -> None:
    def define() -> str:
        import __main__

        __main__.answer = 42  # type: ignore[attr-defined]
        return str(__main__.__name__)

    assert controller.call(engine, define) == "__main__"
    assert controller.call(engine, eval, "answer") == 42


def test_no_task_starts_in_an_engine_that_has_no_number(
    controller: FakeController, tmp_path: Path
) -> None:
    controller.registers = False
    with NodeProcess(controller, tmp_path / "node.log"):
        channels = controller.routes
        controller.wait_until(lambda: len(channels) == 3)
        (engine,) = {uuid for uuid, channel in channels if channel == "task"}
        msg_id = controller.submit(engine, abs, -1)
        controller.work(0.2)
        assert msg_id not in controller.outcomes
        controller.send(engine, "control", Registered(EngineId(0)))
        assert controller.outcome(msg_id).status == "ok"


def test_sys_exit_does_not_end_an_engine(controller: FakeController, engine: PeerId) -> None:
    outcome = controller.outcome(controller.submit(engine, sys.exit, 3))
    assert outcome.failure is not None
    assert outcome.failure.ename == "SystemExit"
    assert controller.call(engine, abs, -1) == 1


def test_quick_results_do_not_wait_for_a_slow_task_behind_them(
    controller: FakeController, engine: PeerId, fifo: str
) -> None:
    calls: list[Any] = [(abs, (-i,)) for i in range(5)]
    *quick, slow = controller.submit_all(engine, [*calls, (wait_at, (fifo,))])
    for msg_id in quick:
        assert controller.outcome(msg_id).status == "ok"
    assert slow not in controller.outcomes
    let_go(fifo)
    controller.outcome(slow)


def test_a_drop_is_answered_while_a_task_runs(
    controller: FakeController, engine: PeerId, fifo: str
) -> None:
    first, second, third = controller.submit_all(
        engine, [(wait_at, (fifo,)), (abs, (-1,)), (abs, (-2,))]
    )
    controller.wait_until(lambda: is_running(controller, engine))
    controller.drop(engine, (first, 1), (second, 1), ("never sent", 1))
    controller.wait_until(lambda: controller.dropped)
    assert controller.dropped == [(second, 1), ("never sent", 1)]
    let_go(fifo)
    controller.outcome(first)
    controller.outcome(third)
    assert second not in controller.outcomes


def test_a_forgotten_function_is_asked_for(controller: FakeController, engine: PeerId) -> None:
    def f() -> int:
        return 7

    controller._known.add((engine, controller.digest_of(f)))  # it claims that this was sent
    assert controller.call(engine, f) == 7


def test_an_interrupt_ends_the_task_and_not_the_engine(
    controller: FakeController, node: NodeProcess, engine: PeerId, fifo: str
) -> None:
    os.kill(node.pid_of(engine), signal.SIGINT)  # idle: ignored
    assert controller.call(engine, abs, -1) == 1
    msg_id = controller.submit(engine, wait_at, fifo)
    controller.wait_until(lambda: is_running(controller, engine))
    os.kill(node.pid_of(engine), signal.SIGINT)
    outcome = controller.outcome(msg_id)
    assert outcome.failure is not None
    assert outcome.failure.ename == "KeyboardInterrupt"
    assert controller.call(engine, abs, -1) == 1


def test_a_storm_of_interrupts_loses_no_outcome(
    controller: FakeController, node: NodeProcess, engine: PeerId
) -> None:
    def spin() -> None:
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass

    chance = random.Random(7)
    pid = node.pid_of(engine)
    msg_ids = []
    for _ in range(100):
        msg_ids += controller.submit_all(engine, [(spin, ())] * 4)
        controller.work(chance.random() * 0.003)
        os.kill(pid, signal.SIGINT)
    outcomes = [controller.outcome(msg_id) for msg_id in msg_ids]
    names = {outcome.failure.ename for outcome in outcomes if outcome.failure is not None}
    assert names <= {"KeyboardInterrupt"}
    assert any(outcome.status == "ok" for outcome in outcomes)
    assert controller.call(engine, os.getpid) == pid


def test_a_child_that_a_task_forks_cannot_speak_for_the_engine(
    controller: FakeController, engine: PeerId
) -> None:
    def fork() -> int:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        print("both")
        return child

    outcome = controller.outcome(controller.submit(engine, fork))
    assert outcome.stdout == "both\nboth\n"  # as that of any child of a task
    assert controller.call(engine, abs, -1) == 1
    assert len(controller.outcomes) == 2


def test_process_pools_work_inside_a_task(controller: FakeController, engine: PeerId) -> None:
    def use_pool(method: str) -> list[int]:
        import multiprocessing

        with multiprocessing.get_context(method).Pool(2) as pool:
            return pool.map(abs, range(-3, 0))

    for method in ("fork", "spawn"):
        assert controller.call(engine, use_pool, method) == [3, 2, 1]


def test_a_large_array_comes_back_whole(controller: FakeController, engine: PeerId) -> None:
    data = bytearray(os.urandom(1 << 20)) * 8
    assert controller.call(engine, bytearray, data) == data


def test_startup_code_runs_before_the_first_task(
    controller: FakeController, tmp_path: Path
) -> None:
    code = "import math\nanswer = int(math.sqrt(1764))\n1 / 0"
    options = {"startup": code, "ignores_startup_errors": True}
    with NodeProcess(controller, tmp_path / "node.log", **options) as node:
        engine = controller.wait_for_engines(1)[0]
        assert controller.call(engine, eval, "answer") == 42
        controller.wait_until(lambda: "ZeroDivisionError" in node.said())
