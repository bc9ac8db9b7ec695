"""Output without end: nobody waits for it, nothing fills up with it, and its two ends are kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import hippodrome as ipp

if TYPE_CHECKING:
    from support.memory import Watch
    from support.processes import Site

N: Final = 8
LINE: Final = 4096

pytestmark = [
    pytest.mark.alone,  # measures memory that all processes share
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture(scope="module")
def wide(module_site: Site) -> Iterator[Any]:
    """A client of nine engines: eight that flood, and one for what goes on meanwhile."""
    module_site.start_cluster(N + 1)
    with ipp.Client(str(module_site.client_file)) as client:
        client.wait_for_engines(N + 1, timeout=20)
        client[:].execute("from IPython import display", block=True)
        yield client


@pytest.fixture
def other(wide: Any, module_site: Site) -> Iterator[Any]:
    """Somebody else, who uses the ninth engine."""
    with ipp.Client(str(module_site.client_file)) as client:
        client.wait_for_engines(N + 1, timeout=20)
        yield client[N]


def print_much(n_mb: int) -> None:
    line = "x" * (LINE - 9)
    for i in range(n_mb * 256):
        print(f"{i:07d} {line}")


def print_errors(n_mb: int) -> None:
    line = "x" * (LINE - 9)
    for i in range(n_mb * 256):
        print(f"{i:07d} {line}", file=sys.stderr)


def write_much(n_mb: int) -> None:
    line = b"x" * (LINE - 9)
    for i in range(n_mb * 256):
        os.write(1, b"%07d %s\n" % (i, line))


def let_children_write(n_mb: int) -> None:
    code = f"for i in range({n_mb * 256}): print(f'{{i:07d}} ' + 'x' * {LINE - 9})"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("task", "stream", "n_mb"),
    [
        (print_much, "stdout", 128),
        (print_errors, "stderr", 32),
        (write_much, "stdout", 64),
        (let_children_write, "stdout", 64),
    ],
)
def test_a_flood_of_text_stalls_nobody_and_fills_nothing(
    wide: Any, other: Any, task: Callable[[int], None], stream: str, n_mb: int
) -> None:
    from support.memory import shared_mb  # here, as engines import this module

    memory, shared_before = watch(os.getpid()), shared_mb()
    result = wide[:N].apply_async(task, n_mb)
    waits = wait_and_work(result, other)
    assert result.get(timeout=1) == [None] * N
    for text in result[stream]:
        assert len(text) < 1.1e6
        assert text.startswith("0000000 x")
        assert f"\n{n_mb * 256 - 1:07d} x" in text
        assert "characters were dropped]" in text
    assert max(waits) < 2.0, "another engine's task waited"
    assert max(memory.growth_mb().values()) < 48, memory.growth_mb()
    assert shared_mb() - shared_before < 256


def display_much(n_mb: int) -> None:
    from IPython.display import display

    handle = display({"text/plain": "first"}, raw=True, display_id=True)
    for _ in range(n_mb * 4):
        handle.update({"text/plain": "x" * (1 << 18)}, raw=True)
    handle.update({"text/plain": "last"}, raw=True)


def display_many(n: int) -> None:
    from IPython.display import display

    for i in range(n):
        display({"text/plain": f"number {i}"}, raw=True)


@pytest.mark.parametrize(("task", "n"), [(display_much, 64), (display_many, 3000)])
def test_a_flood_of_displays_stalls_nobody_and_fills_nothing(
    wide: Any, other: Any, task: Callable[[int], None], n: int, tmp_path: Path
) -> None:
    path = tmp_path / "shown"
    memory = watch(os.getpid())
    result = wide[:N].apply_async(task, n)
    with path.open("w") as shown, redirect_stdout(shown), result.stream_output():
        waits = wait_and_work(result, other)
    growth = memory.growth_mb()
    outputs = [one.outputs for one in result.metadata]
    if task is display_much:
        assert [len(one) for one in outputs] == [1] * N
        assert {one[0]["data"]["text/plain"] for one in outputs} == {"last"}
    else:
        assert [len(one) for one in outputs] == [n] * N
    assert "displays are not shown)" in path.read_text()
    assert max(waits) < 2.0, "another engine's task waited"
    assert max(growth.values()) < 48, growth


def wait_and_work(result: Any, other: Any) -> list[float]:
    """Give another engine tasks until *result* is there; return how long each took."""
    waits = []
    deadline = time.monotonic() + 50
    while not result.done():
        began = time.monotonic()
        assert other.apply_async(len, "abc").get(timeout=20) == 3
        waits.append(time.monotonic() - began)
        assert began < deadline, "the flood does not end"
        result.wait(0.02)
    return waits


WATCH_AND_STOP: Final = """
import os, signal, sys
import hippodrome as ipp

def show_without_end(path):
    from IPython.display import clear_output, display
    while not os.path.exists(path):
        print("x" * 1023)
        display({"text/plain": "x" * (1 << 16)}, raw=True)
        clear_output()
    return "ended"

with ipp.Client(sys.argv[1]) as client:
    result = client[:8].apply_async(show_without_end, sys.argv[2])
    while not all(result.stdout):
        result.wait(0.01)
    os.kill(os.getpid(), signal.SIGSTOP)
    assert result.get(timeout=20) == ["ended"] * 8
    assert all(text.endswith("x\\n") for text in result.stdout)
"""


def test_a_client_that_is_stopped_is_spared_and_gets_the_rest_later(
    wide: Any, other: Any, module_site: Site, tmp_path: Path
) -> None:
    end = str(tmp_path / "end")
    command = [sys.executable, "-c", WATCH_AND_STOP, str(module_site.client_file), end]
    with subprocess.Popen(command) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        memory = watch()
        waits = []
        began = time.monotonic()
        while time.monotonic() < began + 3:
            at = time.monotonic()
            assert other.apply_async(len, "abc").get(timeout=20) == 3
            waits.append(time.monotonic() - at)
        open(end, "w").close()
        growth = memory.growth_mb()
        process.send_signal(signal.SIGCONT)
        assert process.wait(20) == 0
    assert max(waits) < 2.0, "another client waited"
    assert max(growth.values()) < 48, growth


def watch(*others: int) -> Watch:
    """Watch the processes of the cluster, and *others*."""
    from support.memory import Watch, tree
    from support.processes import running

    return Watch([*others, *(pid for process in running for pid in tree(process.pid))])
