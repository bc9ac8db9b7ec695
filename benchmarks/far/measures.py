"""What is done for each workload over hosts, and with which clusters."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks import processes
from benchmarks.far import floor
from benchmarks.far.farm import CLIENT, CONTROLLER, OTHER_CLIENT, Cluster, Farm, Ours
from benchmarks.session import Session

MB: Final = 1e6
DISTANCE_S: Final = 0.025  # in each direction
WARM_UP: Final = 200
PATIENCE_S: Final = 300.0

Figures = dict[str, float]


class SameHost(Ours):
    """Everything on the controller's host, which listens for others all the same."""

    side = "same host"
    client_host = CONTROLLER

    def start(self, per_host: Mapping[str, int]) -> None:
        super().start({CONTROLLER: sum(per_host.values())})


class WithoutIp(SameHost):
    side = "without --ip"

    def start(self, per_host: Mapping[str, int]) -> None:
        self.launch(CONTROLLER, self.program("ipcontroller"), ready=self.files_are_there)
        n = sum(per_host.values())
        self.launch(CONTROLLER, self.program("ipengine"), "-n", str(n))


class Distant(Ours):
    """Engines behind a proxy that takes its time; `proxy` listens on their own host."""

    side = "far"

    def start(self, per_host: Mapping[str, int]) -> None:
        super().start({})
        path = self.security_dir / "ipcontroller-engine.json"
        content = json.loads(path.read_text())
        tcp = next(address for address in content["addresses"] if address.startswith("tcp://"))
        target = tcp.removeprefix("tcp://")
        port = int(target.rpartition(":")[2])
        content["addresses"] = [f"tcp://127.0.0.1:{port}"]
        content["location"] = "127.0.0.1"
        path.write_text(json.dumps(content))
        proxy = Path(__file__).resolve().parents[2] / "tests" / "support" / "proxy.py"
        for host, n in per_host.items():
            command = [sys.executable, str(proxy), str(port), target, str(DISTANCE_S)]
            self.launch(host, *command)
            self.launch(host, self.program("ipengine"), "-n", str(n))


OURS: Final[Mapping[str, type[Ours]]] = {"ours": Ours, "same host": SameHost, "far": Distant}


class Side:
    """A cluster that runs, with a client, and what is measured with it."""

    def __init__(self, cluster: Cluster, n: int) -> None:
        self.cluster, self.n = cluster, n
        host = getattr(cluster, "client_host", CLIENT)
        self.session = cluster.session(host, n)
        self.session.ask("run", procedure="warm_up", arguments={"n": WARM_UP})

    def run(self, procedure: str, arguments: Mapping[str, Any]) -> Figures:
        return run(self.session, procedure, arguments)

    def push_pull(self, n_bytes: int) -> Figures:
        before_s = processes.cpu_s(self.cluster.mark)
        figures = self.run("push_pull", {"n_bytes": n_bytes})
        took_s = processes.cpu_s(self.cluster.mark) - before_s
        both = {f"{way}_mb_per_s": 1e3 * figures[f"{way}_gb_per_s"] for way in ("push", "pull")}
        n_sent = 4  # there and back, and the same before to be warm
        return both | {"cpu_ms": 1e3 * took_s / n_sent / (n_bytes / 100e6)}

    def broadcast(self, n_bytes: int) -> Figures:
        return self.run("broadcast", {"n_bytes": n_bytes})

    def arguments(self, n: int) -> Figures:
        return {"mb_per_s": self.run("arguments", {"n": n})["tasks_per_s"]}

    def results(self, n: int) -> Figures:
        return {"mb_per_s": self.run("results", {"n": n})["tasks_per_s"]}

    def round_trips(self, n: int) -> Figures:
        return self.run("round_trips", {"n": n})

    def map_items(self, n: int) -> Figures:
        return self.run("map_items", {"n": n})

    def napping(self, n: int, nap_ms: int) -> Figures:
        return self.run("napping", {"n": n, "nap_ms": nap_ms})

    def controllers_peak(self, n_bytes: int) -> Figures:
        """What the controller's processes grow by, at most, all together."""
        there = self.cluster.controller()
        before = sum(process.memory_info().rss for process in there)
        for process in there:
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # forget the peak so far
        self.run("broadcast", {"n_bytes": n_bytes})
        return {"peak_mb": (sum(map(peak_bytes, there)) - before) / MB}

    def bystander(self, n_bytes: int) -> Figures:
        """Another client, on another host, calls while this one sends."""
        other = self.cluster.session(OTHER_CLIENT, self.n)
        other.ask("run", procedure="warm_up", arguments={"n": WARM_UP})
        stop = self.cluster.home / "stop"
        stop.unlink(missing_ok=True)
        found: list[Figures] = []
        thread = threading.Thread(
            target=lambda: found.append(run(other, "bystand", {"stop": str(stop)}))
        )
        thread.start()
        try:
            self.run("push_pull", {"n_bytes": n_bytes})
        finally:
            stop.touch()
            thread.join()
        return found[0]


def run(session: Session, procedure: str, arguments: Mapping[str, Any]) -> Figures:
    figures: Figures = session.ask(
        "run", timeout_s=PATIENCE_S, procedure=procedure, arguments=dict(arguments)
    )
    return figures


def peak_bytes(process: psutil.Process) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def joining(farm: Farm, per_host: Mapping[str, int]) -> Figures:
    """From nothing to the first result of each engine, in a cluster of its own."""
    cluster = Ours(farm, Path(sys.executable))
    try:
        start = time.monotonic()
        cluster.start(per_host)
        session = cluster.session(CLIENT, sum(per_host.values()))
        run(session, "everyone", {})
        return {"seconds": time.monotonic() - start}
    finally:
        cluster.stop()


def floor_measure(farm: Farm, name: str) -> Callable[..., Figures] | None:
    """Return what measures the floor of a workload, if it has one."""
    function = getattr(floor, name, None)
    return None if function is None else lambda **arguments: function(farm, **arguments)


def shares(hosts: Iterable[str], per_host: Iterable[int]) -> dict[str, int]:
    return dict(zip(hosts, per_host, strict=False))
