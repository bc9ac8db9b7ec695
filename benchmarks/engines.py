"""``python -m benchmarks --workloads engines``: what a thousand engines cost the controller.

The engines are played, in one process that speaks for all of them (`tests/support/crowd.py`), as
the real ones of a thousand would be what is measured. All is over TCP with CURVE. CPU time is that
of the controller's two processes, and of the client; wall time includes what the played engines
take, which have a core to themselves at best.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.session import ROOT

PER_SUPERVISOR: Final = 16
PATIENCE_S: Final = 120.0
IDLE_S: Final = 15.0
CALLS: Final = 5
CALM_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Cost:
    """The figures of so many engines. Times are in seconds."""

    engines: int
    known_s: float
    joining_cpu_s: float
    descriptors: int
    idle_cpu_share: float
    call_s: float
    call_cpu_s: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def measure(n: int) -> Cost:
    """Start a controller, a client and *n* played engines; return what they cost."""
    with tempfile.TemporaryDirectory(prefix="hh-", dir="/tmp") as home:
        os.environ["IPYTHONDIR"] = home
        with _running(
            [sys.executable, "-m", "hippodrome.apps.ipcontroller", "--ip=127.0.0.1"]
        ) as it:
            return _measure(n, Path(home), it)


def _measure(n: int, home: Path, controller: subprocess.Popen[bytes]) -> Cost:
    import hippodrome as ipp

    file = _wait_for(home, controller)
    rc = ipp.Client(str(file).replace("engine.json", "client.json"))
    processes = psutil.Process(controller.pid)
    both = [processes, *processes.children()]
    before, began = _cpu_s(both), time.monotonic()
    crowd = [sys.executable, "-m", "support.crowd", str(file), str(n), str(PER_SUPERVISOR)]
    with _running(crowd):
        rc.wait_for_engines(n, timeout=PATIENCE_S)
        known_s, joining_cpu_s = time.monotonic() - began, _cpu_s(both) - before
        time.sleep(CALM_S)
        before, began = _cpu_s(both), time.monotonic()
        time.sleep(IDLE_S)
        idle = (_cpu_s(both) - before) / (time.monotonic() - began)
        view, own = rc[:], [*both, psutil.Process()]
        view.apply_sync(os.getpid)
        before, began = _cpu_s(own), time.monotonic()
        for _ in range(CALLS):
            view.apply_sync(os.getpid)
        call_s, call_cpu_s = time.monotonic() - began, _cpu_s(own) - before
        descriptors = max(process.num_fds() for process in both)
        rc.close()
        return Cost(
            n, known_s, joining_cpu_s, descriptors, idle, call_s / CALLS, call_cpu_s / CALLS
        )


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    source = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": source}, **quiet)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _wait_for(home: Path, controller: subprocess.Popen[bytes]) -> Path:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := list(home.glob("**/ipcontroller-engine.json"))):
        assert controller.poll() is None, "the controller has ended"
        assert time.monotonic() < deadline, "the controller does not come up"
        time.sleep(0.05)
    return found[0]


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def table(costs: list[Cost]) -> str:
    """Return the figures as a table."""
    rows = {
        "known to a client after": [f"{cost.known_s:.1f} s" for cost in costs],
        "CPU time of the controller until then": [f"{cost.joining_cpu_s:.2f} s" for cost in costs],
        "descriptors of the scheduler": [f"{cost.descriptors:,}" for cost in costs],
        "idle: CPU of the controller": [f"{100 * cost.idle_cpu_share:.1f} %" for cost in costs],
        "`rc[:].apply_sync(os.getpid)`": [f"{1e3 * cost.call_s:.0f} ms" for cost in costs],
        "CPU time of it, controller and client": [
            f"{1e3 * cost.call_cpu_s:.0f} ms" for cost in costs
        ],
    }
    head = ["| |", *(f" {cost.engines:,} engines |" for cost in costs)]
    lines = ["".join(head), "| --- |" + " ---: |" * len(costs)]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(row)} |" for name, row in rows.items())])
