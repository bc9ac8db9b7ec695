"""Launchers for this host: the programs themselves, as child processes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from hippodrome import paths
from hippodrome.launch.base import ControllerLauncher, EngineSetLauncher, Launcher, LaunchOrder
from hippodrome.launch.process import ChildProcess


class LocalLauncher(Launcher):
    """The steps that launchers for this host share.

    Attributes:
        program: the command that it runs.
        section: the class of that program's options.
    """

    name = "local"
    program: ClassVar[str]
    section: ClassVar[str]

    def __init__(self, order: LaunchOrder) -> None:
        self._order = order
        parts = [self.program, order.cluster_id, order.engine_set]
        file_name = "-".join(part for part in parts if part) + ".log"
        self._process: ChildProcess = ChildProcess(
            self.program, order.profile_dir / "log" / file_name
        )

    def start(self) -> None:
        paths.log_dir(self._order.profile_dir)
        command = [
            sys.executable,
            "-P",  # a file of the user's called queue.py must not be taken for Python's own
            "-m",
            f"hippodrome.apps.{self.program}",
            f"--profile-dir={self._order.profile_dir}",
            f"--cluster-id={self._order.cluster_id}",
            *self._options(),
            *self._order.arguments,
        ]
        self._process.start(command, self.section, follows=self._order.follows)

    def _options(self) -> list[str]:
        return []

    @property
    def pid(self) -> int:
        """The program's process id; 0 before the start."""
        return self._process.pid

    @property
    def cluster_id(self) -> str:
        """The cluster's id."""
        return self._order.cluster_id

    @property
    def profile_dir(self) -> str:
        """The path of the cluster's profile."""
        return str(self._order.profile_dir)

    @property
    def output_file(self) -> str:
        """The path of the file that the program logs into."""
        return str(self._process.log_file)

    def wait_ready(self, timeout_s: float) -> None:
        self._process.wait_ready(timeout_s)

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout_s: float | None = None) -> int | None:
        return self._process.wait(timeout_s)

    def signal(self, signum: int) -> None:
        self._process.send(signum)

    def request_stop(self) -> None:
        self._process.request_stop()

    def stop(self, timeout_s: float) -> int | None:
        return self._process.stop(timeout_s)

    def output(self, lines: int = 20) -> str:
        return self._process.output(lines)

    def log_files(self) -> list[Path]:
        return [self._process.log_file]

    def forget_output(self) -> None:
        with contextlib.suppress(OSError):
            self._process.log_file.unlink()

    def to_dict(self) -> dict[str, Any]:
        return {
            "launcher": self.name,
            **self._order.to_dict(),
            **self._process.to_dict(),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        launcher = cls(LaunchOrder.from_dict(state))
        launcher._process = ChildProcess.from_dict(cls.program, state)
        return launcher


class LocalControllerLauncher(LocalLauncher, ControllerLauncher):
    """Runs a controller on this host."""

    program = "ipcontroller"
    section = "IPController"


class SetOfOneProcess(LocalLauncher, EngineSetLauncher):
    """Runs one program on this host that starts the engines, and says when they are ready."""

    n_ready: int | None = None
    tell: Callable[[str], None] | None = None

    def wait_ready(self, timeout_s: float) -> None:
        if self.tell is not None:
            self._process.tell = self.tell
        self._process.wait_ready(timeout_s)
        if self._process.ready:
            self.n_ready = len(self._process.ready)


class LocalEngineSetLauncher(SetOfOneProcess):
    """Runs engines on this host, under one supervisor."""

    program = "ipengine"
    section = "IPEngine"

    @property
    def n(self) -> int:  # type: ignore[override]  # it is never set
        return self._order.n

    def _options(self) -> list[str]:
        wait_s = self._order.wait_s  # many engines on few cores take their time
        return [
            f"-n={self._order.n}",
            f"--IPEngine.wait_for_url_file={wait_s}",
            f"--timeout={wait_s}",
        ]

    def signal(self, signum: int) -> None:
        self._process.send_to_sessions(signum)
