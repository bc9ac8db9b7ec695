"""Large arguments and results over TCP: whole, in little memory, and in nobody's way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from subprocess import PIPE
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psutil
import pytest

import hippodrome as ipp
from support import elsewhere
from support.memory import Watch

if TYPE_CHECKING:
    from support.processes import Process, Site

N: Final = 4
SIZE_BYTES: Final = 40 << 20
MB: Final = SIZE_BYTES >> 20

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.skipif(bool(elsewhere.cannot()), reason=elsewhere.cannot() or "-"),
]


def start_over_tcp(site: Site, n: int, *options: str) -> Process:
    """Start a cluster whose peers do not use what only works on one host."""
    controller = elsewhere.start(site, "ipcontroller", "--ip=127.0.0.1", *options)
    for role in ("client", "engine"):
        path = site.security_dir / f"ipcontroller-{role}.json"
        content = json.loads(path.read_text())
        content["addresses"] = [a for a in content["addresses"] if a.startswith("tcp://")]
        path.write_text(json.dumps(content))
    engines = str(site.security_dir / "ipcontroller-engine.json")
    site.start("ipengine", "-n", str(n), f"--file={engines}")
    return controller


@pytest.fixture(scope="module")
def controller(module_site: Site) -> Process:
    return start_over_tcp(module_site, N)


@pytest.fixture
def far(controller: Process, module_site: Site) -> Iterator[Any]:
    with ipp.Client(str(module_site.client_file)) as client:
        client.wait_for_engines(N, timeout=20)
        yield client


def scheduler_of(controller: Process) -> int:
    (scheduler,) = psutil.Process(controller.pid).children()
    return scheduler.pid


def an_array() -> Any:
    return np.random.default_rng(7).integers(0, 256, SIZE_BYTES, np.uint8)


def test_an_array_goes_to_all_engines_and_is_in_the_scheduler_once(
    far: Any, controller: Process
) -> None:
    a = an_array()
    watch = Watch([scheduler_of(controller)])
    far[:].push({"a": a}, block=True)
    (peak_mb,) = watch.growth_mb().values()
    assert peak_mb < 2.5 * MB, "for each engine once, and once encrypted, is nine times"
    far[:].execute("total = int(a.sum())", block=True)
    assert far[:].pull("total", block=True) == [int(a.sum())] * N
    for back in far[:].pull("a", block=True):
        assert (back == a).all()
        back[0] += 1  # what arrives may be written to
    far[:].execute("del a", block=True)


def test_many_large_arguments_and_results_arrive_whole(far: Any) -> None:
    arrays = [np.full(3 << 20, i, np.uint8) for i in range(20)]
    for i, doubled in enumerate(far.load_balanced_view().map(lambda x: 2 * x, arrays)):
        assert doubled.nbytes == 3 << 20
        assert (doubled == 2 * i).all()


def test_a_large_result_leaves_while_the_next_task_runs(far: Any) -> None:
    """The engine's other thread looks after it."""
    first = far[0].apply_async(lambda n: b"x" * n, SIZE_BYTES)
    gate = far[0].apply_async(lambda: __import__("time").sleep(30))
    assert len(first.get(20)) == SIZE_BYTES
    assert not gate.done()
    gate.interrupt()
    with pytest.raises(ipp.RemoteError):
        gate.get(20)


def test_a_large_argument_arrives_while_a_task_runs(far: Any) -> None:
    gate = far[0].apply_async(lambda: __import__("time").sleep(30))
    second = far[0].apply_async(len, an_array())
    others = far[1:].apply_async(len, an_array())
    assert others.get(20) == [SIZE_BYTES] * (N - 1)
    gate.interrupt()
    with pytest.raises(ipp.RemoteError):
        gate.get(20)
    assert second.get(20) == SIZE_BYTES


MANY_RESULTS = """
import sys
import numpy as np
import hippodrome as ipp

def make(i):
    global n_made
    n_made += 1
    return np.full(1_000_000, i % 256, np.uint8)

with ipp.Client(sys.argv[1]) as rc:
    rc.wait_for_engines(2, timeout=20)
    rc[:].execute("import numpy as np; n_made = 0", block=True)
    ar = rc.load_balanced_view().map(make, range(600))
    ar[0]  # it has arrived; the rest is on its way
    print("begun", flush=True)
    for i, one in enumerate(ar):
        assert one.nbytes == 1_000_000 and (one == i % 256).all()
print("all came", flush=True)
"""


def test_a_client_that_does_not_read_does_not_fill_the_controller(site: Site, connect: Any) -> None:
    scheduler = scheduler_of(start_over_tcp(site, 2, "--nodb"))
    rc = connect()
    rc.wait_for_engines(2, timeout=20)
    watch = Watch([scheduler])
    command = [sys.executable, "-c", MANY_RESULTS, str(site.client_file)]
    with subprocess.Popen(command, env=site.environment(), stdout=PIPE, text=True) as reader:
        try:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "begun\n"
            reader.send_signal(signal.SIGSTOP)
            deadline = time.monotonic() + 60
            while sum(rc[:].pull("n_made", block=True)) < 600:
                assert time.monotonic() < deadline
            (peak_mb,) = watch.growth_mb().values()
            assert peak_mb < 480, "much of 600 MB is in a file"
            reader.send_signal(signal.SIGCONT)
            assert reader.stdout.readline() == "all came\n"
        finally:
            reader.kill()


def test_an_engine_that_is_killed_in_the_middle_costs_the_others_nothing(
    site: Site, connect: Any
) -> None:
    start_over_tcp(site, 3)
    rc = connect()
    rc.wait_for_engines(3, timeout=20)
    pids = rc[:].apply_sync(os.getpid)
    os.kill(pids[0], signal.SIGSTOP)  # it takes what fits into the queues and no more
    others = rc[1:]  # by their ids: the same two also when the first is gone
    ar = rc[:].push({"a": an_array()})
    others.execute("n = a.nbytes", block=True)
    assert others.pull("n", block=True) == [SIZE_BYTES] * 2
    os.kill(pids[0], signal.SIGKILL)
    with pytest.raises(ipp.CompositeError, match="1 of 3 tasks"):
        ar.get(20)
    assert others.apply_sync(len, an_array()) == [SIZE_BYTES] * 2
