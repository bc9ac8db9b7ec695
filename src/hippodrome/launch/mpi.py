"""Engines as ranks of MPI: ``mpiexec`` runs one ``ipengine --mpi`` for each.

They say over their standard output, which ``mpiexec`` gathers, that they are ready. The standard
input of ``mpiexec`` leads to the first rank, which ends at its end; and where one rank ends, MPI
ends them all. None of them outlives the controller either.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import ClassVar, Final

from hippodrome import paths
from hippodrome.launch.base import LaunchOrder
from hippodrome.launch.local import LocalControllerLauncher, LocalEngineSetLauncher
from hippodrome.launch.options import MPI, LaunchOption
from hippodrome.launch.process import ChildProcess
from hippodrome.launch.waiting import StartOutcome, Waiting

MPIEXEC: Final = "mpiexec"
_PATIENCE_S: Final = 2.0


class RanksWaiting(Waiting):
    """A wait for several programs that write into one pipe, until each of them is ready.

    Args:
        descriptor, timeout_s, tell: as of `Waiting`.
        n: how many there are.
    """

    def __init__(
        self, descriptor: int, timeout_s: float, tell: Callable[[str], None], n: int
    ) -> None:
        super().__init__(descriptor, timeout_s, tell)
        self._n = n
        self._all: tuple[int, ...] = ()

    def take(self, word: str, more: str) -> tuple[StartOutcome, str] | None:
        if word == "state":
            return None  # of one of them
        outcome = super().take(word, more)
        if word != "ready" or self.ready is None:
            return outcome
        self._all += self.ready
        self.ready: tuple[int, ...] | None = tuple(sorted(self._all))
        self._state = f"{len(self._all)} of {self._n} ranks are ready"
        return outcome if len(self._all) >= self._n else None


class MPIProcess(ChildProcess):
    """``mpiexec``, which stands for all ranks."""

    n: int = 1

    def _waiting(self, timeout_s: float) -> Waiting:
        return RanksWaiting(self._ready_fd, timeout_s, self.tell, self.n)

    def request_stop(self) -> None:
        """Let go of the first rank; a signal would end the others before they have left MPI."""
        self._let_go()

    def stop(self, timeout_s: float) -> int | None:
        self.request_stop()
        if self.wait(min(timeout_s, _PATIENCE_S)) is None:
            super().request_stop()
            if self.wait(timeout_s) is None:
                self._kill_all()
        self._close()
        return self.poll()


class MPIEngineSetLauncher(LocalEngineSetLauncher):
    """Runs engines as ranks of MPI, each with its rank as engine id."""

    name = "mpi"
    OPTIONS: ClassVar[Collection[LaunchOption]] = MPI

    def __init__(self, order: LaunchOrder) -> None:
        super().__init__(order)
        self._process: ChildProcess = MPIProcess("mpiexec", Path(self.output_file))

    def start(self) -> None:
        assert isinstance(self._process, MPIProcess)
        paths.log_dir(self._order.profile_dir)
        self._process.n = self._order.n
        self._process.start_fed(self.command(), says_ready=True)

    def command(self) -> list[str]:
        """Return the command line that starts all ranks."""
        order = self._order
        wait_s = f"{order.wait_s:g}"
        program = order.options.get("mpi_cmd") or [MPIEXEC]
        return [
            *program,
            "-n",
            str(order.n),
            *(order.options.get("mpi_args") or []),
            sys.executable,
            "-P",
            "-m",
            "hippodrome.apps.ipengine",
            "--mpi",
            f"--profile-dir={order.profile_dir}",
            f"--cluster-id={order.cluster_id}",
            f"--IPEngine.wait_for_url_file={wait_s}",
            f"--timeout={wait_s}",
            "--IPEngine.ready_fd=1",
            "--IPEngine.parent_fd=0",
            *order.arguments,
        ]


class MPIControllerLauncher(LocalControllerLauncher):
    """Runs a controller on this host: it is no rank, and needs no MPI."""

    name = "mpi"
    OPTIONS: ClassVar[Collection[LaunchOption]] = MPI
