"""Workloads for which each repetition is a life of its own: start a client, measure, end it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from benchmarks import peers, processes
from benchmarks.processes import MB, Weight
from benchmarks.session import ROOT, PeerError, Session

SETTLE_S: Final = 0.5
SETTLE_STEPS: Final = 20
SETTLED_BYTES: Final = 500_000
WARM_UP_PART: Final = 25
PER_ENGINE: Final = 10  # tasks to warm up with
IMPORT: Final = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"

Figures = dict[str, float]


def start(peer: str, python: Path, engines: int) -> Figures:
    """From the start of the process to its first result."""
    with Session(peer, python) as session:
        return {"first_result_s": session.ask("start", n=engines) - session.spawned_at}


def import_(peer: str, python: Path, engines: int) -> Figures:
    """What the first statement of a user takes, in a new interpreter each time.

    A package may load next to nothing before its names are asked for, so these are measured, too.
    """
    statement = peers.adapter(peer).imports
    package = statement.split()[1]
    return {
        "import_ms": _took_ms(python, f"import {package}"),
        "names_ms": _took_ms(python, statement),
    }


def _took_ms(python: Path, statement: str) -> float:
    code = IMPORT.format(statement)
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PeerError(done.stderr.strip().splitlines()[-1])
    return float(done.stdout) * 1e3


def scaling(peer: str, python: Path, engines: int, n: int, calls: int) -> Figures:
    """How long many engines take to start, what they weigh, and how fast they are."""
    with Session(peer, python) as session:
        session.ask("start", n=engines)
        ready = session.ask("ready")
        pss = sum(weight.pss for weight in processes.weigh(session.mark).values())
        session.ask("run", procedure="warm_up", arguments={"n": PER_ENGINE * engines})
        trips = session.ask("run", procedure="round_trips", arguments={"n": calls})
        tasks = session.ask("run", procedure="tasks", arguments={"n": n})
    figures = {"start_s": ready["at"] - session.spawned_at, "pss_mb": pss / MB}
    return figures | {"median_us": trips["median_us"], "tasks_per_s": tasks["tasks_per_s"]}


def memory(peer: str, python: Path, engines: int, n: int) -> Figures:
    """Memory of every part when idle, with *n* tasks waiting, and after their results are taken.

    Growth is counted in memory that no other process shares, from the state after a few tasks, so
    that what is loaded or made once does not count. The tasks wait because their engines do.
    """
    with Session(peer, python) as session:
        session.ask("start", n=engines)
        roles = Roles(session, session.ask("ready"))
        idle = roles.weigh()
        session.ask("run", procedure="tasks", arguments={"n": n // WARM_UP_PART})
        warm = roles.weigh()
        session.ask("pile", n=n)
        piled = roles.weigh()
        session.ask("take")
        after = roles.weigh()
    figures = {
        "engine_rss_mb": idle["engine"].rss / engines / MB,
        "engine_pss_mb": idle["engine"].pss / engines / MB,
        "service_rss_mb": idle["service"].rss / MB,
        "service_pss_mb": idle["service"].pss / MB,
        "client_rss_mb": idle["client"].rss / MB,
        "n": float(n),
    }
    for role in ("service", "client"):
        figures[f"{role}_after_mb"] = after[role].rss / MB
        figures[f"{role}_waiting_kb"] = (piled[role].uss - warm[role].uss) / n / 1e3
        figures[f"{role}_kept_kb"] = (after[role].uss - warm[role].uss) / n / 1e3
    return figures


class Roles:
    """Weighs a session by role: the client, the engines, and everything else, the service."""

    def __init__(self, session: Session, ready: dict[str, Any]) -> None:
        self._mark = session.mark
        self._client = ready["client"]
        self._engines = frozenset(ready["workers"])

    def weigh(self) -> dict[str, Weight]:
        """Return the weight of each role, once it does not change any more."""
        last = self._weigh_now()
        for _ in range(SETTLE_STEPS):
            time.sleep(SETTLE_S)
            now = self._weigh_now()
            if abs(_sum(now.values()).uss - _sum(last.values()).uss) < SETTLED_BYTES:
                return now
            last = now
        return last

    def _weigh_now(self) -> dict[str, Weight]:
        weights = {"client": Weight(), "engine": Weight(), "service": Weight()}
        for pid, weight in processes.weigh(self._mark).items():
            weights[self._role_of(pid)] += weight
        return weights

    def _role_of(self, pid: int) -> str:
        if pid == self._client:
            return "client"
        return "engine" if pid in self._engines else "service"


def _sum(weights: Iterable[Weight]) -> Weight:
    return sum(weights, Weight())


def queue_length(peer: str, python: Path, engines: int, most: int, n: int) -> Figures:
    return _scheduler(python, "queue", most, n)


def engine_count(peer: str, python: Path, engines: int, most: int, n: int) -> Figures:
    return _scheduler(python, "engines", most, n)


def _scheduler(python: Path, axis: str, most: int, n: int) -> Figures:
    """Measure the scheduler in a process of its own, which holds nothing else."""
    command = [python, "-m", "benchmarks.scheduler_cost", axis, str(most), str(n)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PeerError(done.stderr.strip().splitlines()[-1])
    figures: Figures = json.loads(done.stdout)
    return figures
