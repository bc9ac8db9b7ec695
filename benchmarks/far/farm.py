"""Clusters over the hosts of a lab: one class for each kind, all with the same methods."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks import processes
from benchmarks.session import ROOT, PeerError, Session

sys.path.insert(0, str(ROOT / "tests"))  # where the lab is

from support.hosts import Hosts, wait_listening

CONTROLLER: Final = "ctl"
CLIENT: Final = "cl"
OTHER_CLIENT: Final = "cl2"
STARTS_S: Final = 90.0


class Farm:
    """A lab of hosts for engines, one for the controller, and two for clients."""

    def __init__(self, n: int) -> None:
        self.engine_hosts = [f"e{i + 1}" for i in range(n)]
        names = [CONTROLLER, CLIENT, OTHER_CLIENT, *self.engine_hosts]
        self._run = Path("/tmp") / f"hippodrome-far-{os.getpid()}"  # short: of sockets
        self._run.mkdir(mode=0o700)
        self.hosts = Hosts(names, private=True, hidden=[self._run])

    def __enter__(self) -> Farm:
        self.hosts.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.hosts.__exit__(*error)
        shutil.rmtree(self._run, ignore_errors=True)

    @contextmanager
    def slowed(self, rate: str) -> Iterator[None]:
        """Bound what every host sends and gets meanwhile."""
        for name in self.hosts.names:
            self.hosts.rate(name, rate)
        yield
        for name in self.hosts.names:
            self.hosts.rate(name, None)

    @property
    def runtime_dir(self) -> Path:
        return self._run


class Cluster:
    """One cluster over a farm; subclasses say how it is started and how clients find it.

    Attributes:
        side: its name in tables.
        adapter: the module of `benchmarks.peers` that connects to it.
        source: a directory of modules that go before those of its environment.
    """

    side: str
    adapter: str

    def __init__(self, farm: Farm, python: Path, source: Path | None = None) -> None:
        self.farm, self.hosts, self.python = farm, farm.hosts, python
        self.source = source
        self.mark = uuid.uuid4().hex
        self.home = farm.hosts.directory / self.mark
        self.home.mkdir()
        self.stack = ExitStack()
        self._logs: list[Path] = []

    def start(self, per_host: Mapping[str, int]) -> None:
        """Start it, with so many engines on each of the hosts named."""
        raise NotImplementedError

    def where(self) -> str:
        """Return what the adapter's clients need to find it."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            processes.MARK: self.mark,
            "HOME": str(self.home),
            "IPYTHONDIR": str(self.home / "ipython"),
            "XDG_RUNTIME_DIR": str(self.farm.runtime_dir),
            "PYTHONPATH": os.pathsep.join(map(str, filter(None, (self.source, ROOT)))),
        }

    def session(self, host: str, n: int) -> Session:
        """Return a client on a host, once it is connected and *n* engines have worked."""
        session = self.stack.enter_context(
            Session(
                self.adapter,
                self.python,
                wrap=lambda command: self.hosts.command(host, command),
                variables={**self.environment(), "FAR": self.where(), "FAR_HOST": host}
                | {"FAR_ADDRESS": self.hosts.address(host)},
            )
        )
        session.ask("start", n=n)
        return session

    def program(self, name: str) -> str:
        return str(self.python.parent / name)

    def launch(self, host: str, *argv: str, ready: Callable[[], bool] | None = None) -> Any:
        """Start a program on a host; wait until *ready* says so."""
        log = self.home / f"{len(self._logs)}-{Path(argv[0]).name}-{host}.log"
        self._logs.append(log)
        with log.open("wb") as output:
            process = self.hosts.popen(
                host, argv, env=self.environment(), stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + STARTS_S
        while ready is not None and not ready():
            if process.poll() or time.monotonic() > deadline:
                raise PeerError(f"{argv[0]} on {host}: {log.read_text()[-600:]}")
            time.sleep(0.02)
        return process

    def controller(self) -> list[psutil.Process]:
        """The processes of this cluster on the controller's host."""
        there = {process.pid for process in self.hosts.processes(CONTROLLER)}
        return [process for process in processes.marked(self.mark) if process.pid in there]

    def stop(self) -> None:
        self.stack.close()
        processes.end(self.mark)


class Ours(Cluster):
    side, adapter = "ours", "far_ours"
    options: Sequence[str] = ()

    def start(self, per_host: Mapping[str, int]) -> None:
        address = self.hosts.address(CONTROLLER)
        command = [self.program("ipcontroller"), f"--ip={address}", *self.options]
        self.launch(CONTROLLER, *command, ready=self.files_are_there)
        for host, n in per_host.items():
            self.launch(host, self.program("ipengine"), "-n", str(n))

    @property
    def security_dir(self) -> Path:
        return self.home / "ipython" / "profile_default" / "security"

    def files_are_there(self) -> bool:
        files = (self.security_dir / f"ipcontroller-{role}.json" for role in ("client", "engine"))
        return all(path.exists() for path in files)

    def where(self) -> str:
        return str(self.security_dir / "ipcontroller-client.json")


class Dask(Cluster):
    side, adapter = "distributed", "far_distributed"
    scheme, port = "tcp", 8786

    def start(self, per_host: Mapping[str, int]) -> None:
        scheduler = [self.program("dask"), "scheduler", "--host", self.url, "--no-dashboard"]
        self.launch(CONTROLLER, *scheduler, *self.secured())
        wait_listening(self.hosts.address(CONTROLLER), self.port, STARTS_S)
        for host, n in per_host.items():
            folder = self.home / host
            self.launch(
                host,
                *(self.program("dask"), "worker", self.url, "--nworkers", str(n)),
                *("--nthreads", "1", "--no-dashboard", "--memory-limit", "0"),
                *("--host", self.hosts.address(host), "--local-directory", str(folder)),
                *self.secured(),
            )

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.hosts.address(CONTROLLER)}:{self.port}"

    def secured(self) -> list[str]:
        return []

    def where(self) -> str:
        return self.url


class DaskTls(Dask):
    """The same, encrypted and authenticated, as ours always is."""

    side, scheme, port = "distributed, TLS", "tls", 8790

    def secured(self) -> list[str]:
        if not self._certificate.exists():
            made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
            made += ["-subj", "/CN=lab", "-keyout", str(self._key), "-out", str(self._certificate)]
            subprocess.run(made, check=True, capture_output=True)
        files = (self._certificate, self._certificate, self._key)
        names = ("--tls-ca-file", "--tls-cert", "--tls-key")
        return [word for pair in zip(names, map(str, files), strict=True) for word in pair]

    @property
    def _certificate(self) -> Path:
        return self.home / "certificate.pem"

    @property
    def _key(self) -> Path:
        return self.home / "key.pem"

    def where(self) -> str:
        return f"{self.url} {self._certificate} {self._key}"


class Ray(Cluster):
    """Each host is a node; those of clients too, without processors, as a driver needs one."""

    side, adapter = "ray", "far_ray"
    STORE_BYTES: Final = 2_500_000_000

    def start(self, per_host: Mapping[str, int]) -> None:
        head = ["--head", "--port=6379", "--include-dashboard=false", "--num-cpus=0"]
        self._node(CONTROLLER, 0, *head)
        for host, n in {CLIENT: 0, OTHER_CLIENT: 0, **per_host}.items():
            self._node(host, n, f"--address={self.where()}", f"--num-cpus={n}")

    def _node(self, host: str, n: int, *options: str) -> None:
        done = self.hosts.run(
            host,
            [
                *(self.program("ray"), "start", *options, "--disable-usage-stats"),
                f"--node-ip-address={self.hosts.address(host)}",
                f"--object-store-memory={self.STORE_BYTES}",
                f"--temp-dir={self.farm.runtime_dir}/ray",
                f"--resources={json.dumps({'engine': n} if n else {})}",
            ],
            env=self.environment(),
            timeout=STARTS_S,
        )
        if done.returncode:
            raise PeerError(f"ray on {host}: {done.stdout[-300:]}{done.stderr[-300:]}")

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DISABLE_MEMORY_MONITOR": "1",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        }

    def where(self) -> str:
        return f"{self.hosts.address(CONTROLLER)}:6379"


CLUSTERS: Final = {"distributed": (Dask, DaskTls), "ray": (Ray,)}
