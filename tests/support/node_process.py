"""A supervisor as a process of its own, under a `FakeController`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from hippodrome.protocol.messages import PeerId
from support.fake_controller import FakeController

PROGRAM = """
from hippodrome.node.template import start_template

template = start_template()

import logging, sys
from pathlib import Path
from hippodrome.node.config import NodeConfig
from hippodrome.node.server import run_node

logging.basicConfig(level=logging.INFO, format="%(message)s")
options = eval(sys.argv[1])
options["connection_file"] = Path(options["connection_file"])
sys.exit(run_node(NodeConfig(**options), template))
"""


class NodeProcess:
    """A running supervisor. Use as a context manager; in the end nothing of it is left."""

    def __init__(self, controller: FakeController, log: Path, **options: Any) -> None:
        self.controller = controller
        self.log = log
        options.setdefault("connection_file", str(controller.file))
        fds = [options[name] for name in ("ready_fd", "parent_fd") if name in options]
        path = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]  # for our tasks
        with log.open("wb") as stderr:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, repr(options)],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                pass_fds=fds,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
            )

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.wait()
            except AssertionError:
                self.popen.kill()
                self.popen.wait()
                raise
        for pid in self.engine_pids():
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        if kind is not None:
            sys.stderr.write(self.log.read_text())

    def engine_pids(self) -> list[int]:
        """Return the process ids of the engines that have ever said hello."""
        return [info["pid"] for info in self.controller.infos.values() if "node" in info]

    def pid_of(self, engine: PeerId) -> int:
        return int(self.controller.infos[engine]["pid"])

    def wait(self) -> int:
        """Return the exit code, working for the controller meanwhile."""
        self.controller.wait_until(lambda: self.popen.poll() is not None)
        return self.popen.returncode

    def said(self) -> str:
        return self.log.read_text()


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
