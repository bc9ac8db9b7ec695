"""Engines that are forked from a template, and what happens where there is none."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hippodrome.protocol.messages import PeerId
from support import node_process
from support.fake_controller import FakeController
from support.node_process import PROGRAM, NodeProcess, is_running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="engines are forked on Linux only")

Launch = Callable[..., NodeProcess]


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[FakeController]:
    with FakeController(tmp_path) as controller:
        yield controller


@pytest.fixture
def launch(
    controller: FakeController, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Launch]:
    """Start a supervisor whose program is changed by *edit*, at most one in a test."""
    nodes: list[NodeProcess] = []

    def launch(edit: Callable[[str], str] = str, **options: Any) -> NodeProcess:
        monkeypatch.setattr(node_process, "PROGRAM", edit(PROGRAM))
        nodes.append(NodeProcess(controller, tmp_path / "node.log", **options))
        return nodes[-1]

    yield launch
    for node in nodes:
        node.__exit__(None, None, None)


def after_the_template(code: str) -> Callable[[str], str]:
    """Return an edit that lets a supervisor execute *code* once it has its template."""
    start = "template = start_template()\n"
    assert start in PROGRAM
    return lambda program: program.replace(start, f"{start}import os, signal\n{code}\n")


def without_template(program: str) -> str:
    return program.replace("start_template()", "None")


def command_of(pid: int) -> list[str]:
    return psutil.Process(pid).cmdline()


def stack_of(pid: int) -> str:
    """Return where a process's stack began: by chance, and for what is forked where it was."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[25]


def gone(pids: list[int]) -> Callable[[], bool]:
    return lambda: not any(is_running(pid) for pid in pids)


def test_forked_engines_are_children_of_the_supervisor_and_nothing_else_stays(
    controller: FakeController, launch: Launch
) -> None:
    node = launch(n=3)
    controller.wait_for_engines(3)
    children = psutil.Process(node.popen.pid).children
    assert {child.pid for child in children()} == set(node.engine_pids())
    titles = [" ".join(command_of(pid)) for pid in node.engine_pids()]
    assert all(title.startswith("ipengine: engine") for title in titles), titles
    assert [os.getsid(pid) for pid in node.engine_pids()] == node.engine_pids()


def test_a_forked_engine_is_like_a_program_that_was_just_started(
    controller: FakeController, launch: Launch
) -> None:
    def look() -> dict[str, Any]:
        import signal
        import threading

        return {
            "argv": sys.argv,
            "path": sys.path[0],
            "stdin": sys.stdin.read(),
            "same": sys.stdin is sys.__stdin__,
            "tty": os.isatty(0) or os.isatty(1) or os.isatty(2),
            "encodings": (sys.__stdout__.encoding, sys.__stderr__.errors),
            "main": sorted(vars(sys.modules["__main__"])),
            "handlers": [signal.getsignal(s) for s in (signal.SIGHUP, signal.SIGCHLD)],
            "threads": len(threading.enumerate()),
            "modules": [name for name in ("traitlets", "argparse") if name in sys.modules],
        }

    ready, ready_fd = os.pipe()
    launch(n=1, ready_fd=ready_fd)
    os.close(ready_fd)
    (forked,) = controller.wait_for_engines(1)
    seen = controller.call(forked, look)
    os.close(ready)
    assert seen["argv"] == [seen["argv"][0]]
    assert seen["argv"][0].endswith("hippodrome/engine/spawned.py")
    assert seen["path"] == os.getcwd()
    assert (seen["stdin"], seen["same"], seen["tty"]) == ("", True, False)
    assert seen["encodings"][1] == "backslashreplace"
    assert "template" not in seen["main"], "the supervisor's variables are not the user's"
    assert seen["handlers"] == [signal.getsignal(signal.SIGHUP), signal.SIG_DFL]  # as nohup says
    assert seen["threads"] == 2
    assert seen["modules"] == []


def test_a_forked_engine_has_no_descriptor_of_its_supervisor(
    controller: FakeController, launch: Launch
) -> None:
    def look() -> list[str]:
        return [os.readlink(f"/proc/self/fd/{fd}") for fd in (0, 1, 2)] + sorted(
            os.readlink(f"/proc/self/fd/{name}")
            for name in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{name}") and int(name) > 2
        )

    parent, life = os.pipe()
    foreign = os.readlink(f"/proc/self/fd/{parent}")
    launch(n=2, parent_fd=parent)
    os.close(parent)
    one, two = (set(controller.call(e, look)) for e in controller.wait_for_engines(2))
    assert foreign not in one | two
    shared = {name for name in one & two if name.startswith(("pipe:", "socket:"))}
    assert not shared, "what leads to one engine is not open in another"
    os.close(life)


def test_forked_engines_share_no_random_state(controller: FakeController, launch: Launch) -> None:
    def draw() -> tuple[float, float]:
        import random

        import numpy as np

        return random.random(), float(np.random.random())

    launch(lambda program: f"import random, numpy.random\n{program}", n=3)
    drawn = [controller.call(engine, draw) for engine in controller.wait_for_engines(3)]
    assert len({number for pair in drawn for number in pair}) == 6


def test_what_a_forked_engine_holds_back_is_written_once(
    controller: FakeController, launch: Launch
) -> None:
    node = launch(lambda program: f"import sys; sys.stdout.write('before\\n')\n{program}")
    (engine,) = controller.wait_for_engines(1)

    def hold_back() -> None:
        sys.__stdout__.write("held back\n")

    controller.call(engine, hold_back)
    node.popen.terminate()
    node.wait()
    assert node.said().count("before\n") == 1
    assert node.said().count("held back\n") == 1


@pytest.mark.parametrize("edit", [str, without_template])
@pytest.mark.parametrize(("f", "arg", "told"), [(os._exit, 3, (3, None)), (os.abort, 0, (None, 6))])
def test_a_death_is_told_at_once_with_or_without_a_template(
    controller: FakeController,
    launch: Launch,
    edit: Callable[[str], str],
    f: Callable[..., Any],
    arg: int,
    told: tuple[int | None, int | None],
) -> None:
    node = launch(edit, n=2)
    engine, other = controller.wait_for_engines(2)
    is_forked = stack_of(node.pid_of(engine)) == stack_of(node.popen.pid)
    assert is_forked == (edit is str)
    began = time.monotonic()
    controller.submit(engine, f, *[arg][: f is os._exit])
    controller.wait_until(lambda: controller.deaths)
    assert controller.death_times[0] - began < 1
    death = controller.deaths[0].death
    assert (death.uuid, death.exit_code, death.signal) == (engine, *told)
    assert controller.call(other, abs, -1) == 1


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("os.kill(template.pid, 9)", id="before the first request"),
        pytest.param(
            "collect = template.collect\n"
            "def collect_last():\n"
            "    started = collect()\n"
            "    os.kill(template.pid, 9)\n"
            "    os.waitid(os.P_PID, template.pid, os.WEXITED | os.WNOWAIT)\n"
            "    return started\n"
            "template.collect = collect_last",
            id="after the first engine",
        ),
    ],
)
def test_engines_start_by_themselves_when_the_template_is_killed(
    controller: FakeController, launch: Launch, code: str
) -> None:
    node = launch(after_the_template(code), n=3)
    engines = controller.wait_for_engines(3)
    assert [controller.call(engine, abs, -1) for engine in engines] == [1, 1, 1]
    node.popen.terminate()
    assert node.wait() == 0
    assert gone(node.engine_pids())()


def test_a_template_that_hangs_is_done_without(controller: FakeController, launch: Launch) -> None:
    hangs = "os.kill(template.pid, signal.SIGSTOP)\ntemplate._link.settimeout(0.2)"
    node = launch(after_the_template(hangs), n=1)
    (engine,) = controller.wait_for_engines(1)
    assert controller.call(engine, abs, -1) == 1
    assert len(psutil.Process(node.popen.pid).children()) == 1


def hold_everything() -> None:
    """Sleep without letting any other thread of this process run."""
    import ctypes

    ctypes.PyDLL(None).sleep(1000)


@pytest.mark.parametrize("edit", [str, without_template])
def test_a_killed_supervisor_leaves_no_engine_that_holds_the_interpreter(
    controller: FakeController, launch: Launch, edit: Callable[[str], str]
) -> None:
    node = launch(edit)
    (engine,) = controller.wait_for_engines(1)
    controller.submit(engine, hold_everything)
    controller.wait_until(lambda: busy(controller, engine))
    node.popen.kill()
    controller.wait_until(gone(node.engine_pids()), patience_s=2)


def busy(controller: FakeController, engine: PeerId) -> bool:
    pulses = controller.beats[-1].engines if controller.beats else []
    return any(pulse.uuid == engine and pulse.busy_s > 0 for pulse in pulses)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_engines_that_wait_for_a_controller_end_with_their_supervisor(
    controller: FakeController, launch: Launch, tmp_path: Path, signum: int
) -> None:
    node = launch(n=2, connection_file=str(tmp_path / "nowhere.json"), wait_for_file_s=1000.0)
    supervisor = psutil.Process(node.popen.pid)
    controller.wait_until(lambda: len([c for c in supervisor.children() if leads(c.pid)]) == 2)
    children = [child.pid for child in supervisor.children(recursive=True)]
    node.popen.send_signal(signum)
    assert node.wait() == (0 if signum == signal.SIGTERM else -9)
    controller.wait_until(gone(children), patience_s=5)


def leads(pid: int) -> bool:
    """Whether a process leads a session of its own."""
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def test_the_supervisor_does_not_adopt_what_engines_orphan(
    controller: FakeController, launch: Launch
) -> None:
    def orphan() -> int:
        import subprocess

        command = "sleep 1000 >/dev/null 2>&1 & echo $!"
        return int(subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE).stdout)

    node = launch()
    (engine,) = controller.wait_for_engines(1)
    pid = controller.call(engine, orphan)
    assert is_running(pid)
    assert psutil.Process(pid).ppid() != node.popen.pid
    node.popen.terminate()
    assert node.wait() == 0
    controller.wait_until(gone([pid]))
