"""Engines on all hosts of an allocation: a supervisor on each, started by a step of the job.

The one of this host is a child process, as without a batch system. A step is the process here of
``srun``, ``blaunch``, ``ssh`` and so on. Its standard input, as far as it leads to the supervisor
there, is what that must not outlive; besides, a supervisor ends with its controller.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from hippodrome import paths
from hippodrome.errors import LaunchError
from hippodrome.launch.allocation import Allocation, Host, Rank
from hippodrome.launch.base import EngineSetLauncher, LaunchOrder, LaunchPhase, LaunchState
from hippodrome.launch.cores import share
from hippodrome.launch.process import ChildProcess
from hippodrome.launch.steps import named, step_command, step_environment, step_launcher

_KILL_WAIT_S: Final = 5.0


class StepProcess(ChildProcess):
    """The process here that stands for a supervisor elsewhere."""

    def request_stop(self) -> None:
        """Let go of the supervisor; a signal would end the step before it has ended in order."""
        self._close()

    def stop(self, timeout_s: float) -> int | None:
        self.request_stop()
        if self.wait(timeout_s) is None:
            super().request_stop()
            if self.wait(timeout_s) is None:
                self._kill_all()
        return self.poll()


@dataclass(frozen=True, slots=True)
class HostPart:
    """The supervisor of one host.

    Attributes:
        host: the host.
        process: its process here.
    """

    host: str
    process: ChildProcess


class InsideEngineSetLauncher(EngineSetLauncher):
    """Runs engines on all hosts that this process was given.

    Attributes:
        parts: what runs where, once it has been started.
    """

    name = "inside"
    n_ready: int | None = None
    tell: Callable[[str], None] | None = None

    def __init__(self, order: LaunchOrder, allocation: Allocation | None = None) -> None:
        self._order = order
        self._allocation = allocation or Allocation()
        self.parts: list[HostPart] = []

    @property
    def n(self) -> int:  # type: ignore[override]  # it is never set
        return self.n_ready or max(1, self._order.n) * len(self._indexes())

    def commands(self) -> dict[str, list[str]]:
        """Return the command for each host, by its name.

        Raises:
            LaunchError: there is no way to reach other hosts.
        """
        return {host: command for host, command, _ in self._commands()}

    def start(self) -> None:
        paths.log_dir(self._order.profile_dir)
        environ = step_environment(self._allocation.system, os.environ)
        for host, command, is_here in self._commands():
            if is_here:
                process = ChildProcess("ipengine", self._log_file(host))
                self.parts.append(HostPart(host, process))
                process.start(command, "IPEngine", follows=self._order.follows)
            else:
                step = StepProcess(f"the step on {host}", self._log_file(host))
                self.parts.append(HostPart(host, step))
                step.start_fed(command, environ)

    def _indexes(self) -> list[int | None]:
        """Return which hosts get a supervisor from here; None is this one, of whatever name."""
        allocation = self._allocation
        if allocation.rank is not None or not allocation.hosts:
            return [None]  # the others speak for themselves
        return [None if i == allocation.here else i for i in range(len(allocation.hosts))]

    def _commands(self) -> Iterator[tuple[str, list[str], bool]]:
        allocation = self._allocation
        for index in self._indexes():
            if index is None:
                slots, name = allocation.slots_here, os.uname().nodename
                if allocation.here is not None:
                    name = allocation.hosts[allocation.here].name
                yield name, self._command(slots, allocation.rank), True
                continue
            host = allocation.hosts[index]
            launcher = step_launcher(allocation.system, lambda name: bool(shutil.which(name)))
            if launcher is None:
                raise LaunchError(
                    f"there is no way to start anything on {host.name}: no launcher of "
                    f"{allocation.system or 'a batch system'} is on the PATH, and no ssh"
                )
            command = [*self._command(host.slots, None), "--IPEngine.parent_fd=0"]
            environ, folder = os.environ, os.getcwd()
            words = step_command(launcher, allocation, index, command, environ, folder)
            yield host.name, words, False

    def _command(self, slots: int, rank: Rank | None) -> list[str]:
        order = self._order
        n = share(order.n, rank) if rank is not None and order.n else order.n
        return [
            sys.executable,
            "-P",  # a file of the user's called queue.py must not be taken for Python's own
            "-m",
            "hippodrome.apps.ipengine",
            f"--profile-dir={order.profile_dir}",
            f"--cluster-id={order.cluster_id}",
            f"-n={n or 'auto'}",
            *([f"--IPEngine.most_cores={slots}"] if slots else []),
            "--cap-threads",
            f"--IPEngine.wait_for_url_file={order.wait_s:g}",
            f"--timeout={order.wait_s:g}",
            *order.arguments,
        ]

    def _log_file(self, host: str) -> Path:
        rank = self._allocation.rank
        words = ["ipengine", self._order.cluster_id, self._order.engine_set, named(Host(host))]
        words += [] if rank is None else [str(rank.rank)]
        return self._order.profile_dir / "log" / f"{'-'.join(filter(None, words))}.log"

    def wait_ready(self, timeout_s: float) -> None:
        """Wait for the supervisor here alone; the others are known to the controller."""
        for part in self.parts:
            if not isinstance(part.process, StepProcess):
                part.process.wait_ready(timeout_s)

    def poll(self) -> int | None:
        codes = [part.process.poll() for part in self.parts]
        if None in codes or not codes:
            return None if codes else 0
        return max(codes, key=lambda code: abs(code or 0))

    def state(self) -> LaunchState:
        ended = sum(part.process.poll() is not None for part in self.parts)
        phases = {LaunchPhase.RUNNING: len(self.parts) - ended, LaunchPhase.ENDED: ended}
        return LaunchState({phase: n for phase, n in phases.items() if n}, "host")

    def wait(self, timeout_s: float | None = None) -> int | None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for part in self.parts:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            part.process.wait(left_s)
        return self.poll()

    def signal(self, signum: int) -> None:
        """Deliver a signal to the engines of this host; those elsewhere get it by a client."""
        for part in self.parts:
            if not isinstance(part.process, StepProcess):
                part.process.send_to_sessions(signum)

    def request_stop(self) -> None:
        for part in self.parts:
            part.process.request_stop()

    def stop(self, timeout_s: float) -> int | None:
        self.request_stop()
        self.wait(timeout_s)
        for part in self.parts:
            part.process.stop(_KILL_WAIT_S)
        return self.poll()

    def output(self, lines: int = 20) -> str:
        """Return the last lines of each supervisor, with the names of their hosts if several."""
        texts = [(part.host, part.process.output(lines)) for part in self.parts]
        if len(texts) == 1:
            return texts[0][1]
        return "\n".join(f"{host}:\n{text}" for host, text in texts if text)

    def forget_output(self) -> None:
        for part in self.parts:
            with suppress(OSError):
                part.process.log_file.unlink()

    def to_dict(self) -> dict[str, Any]:
        return {
            "launcher": f"{type(self).__module__}.{type(self).__name__}",
            **self._order.to_dict(),
            "parts": [
                {"host": p.host, "is_step": isinstance(p.process, StepProcess)}
                | p.process.to_dict()
                for p in self.parts
            ],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        launcher = cls(LaunchOrder.from_dict(state))
        for part in state["parts"]:
            kind = StepProcess if part["is_step"] else ChildProcess
            process = kind.from_dict("ipengine", part)
            launcher.parts.append(HostPart(part["host"], process))
        return launcher
