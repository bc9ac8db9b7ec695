"""Engines that are ranks of MPI."""

from __future__ import annotations

import importlib.util
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest

import hippodrome as ipp
from hippodrome.magics.running import STUCK_S
from support.processes import Site

N = 3
ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
OVERSUBSCRIBED = {"OMPI_MCA_rmaps_base_oversubscribe": "1"}


@pytest.fixture(autouse=True)
def mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    for needed in ("mpiexec", "mpi4py"):
        is_module = needed == "mpi4py"
        found = importlib.util.find_spec(needed) if is_module else shutil.which(needed)
        if not found:
            pytest.skip(f"NOT TESTED: there is no {needed}")
    for name, value in {**ROOT, **OVERSUBSCRIBED}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def ranks(site: Site) -> Iterator[Any]:
    with ipp.Cluster(engines="mpi", n=N) as rc:
        yield rc


def world(rc: Any) -> list[list[int]]:
    """Return which rank each engine is, and of how many."""
    view = rc[:]
    view.execute("from mpi4py import MPI; w = [MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size]")
    found: list[list[int]] = view["w"]
    return found


def test_ids_are_ranks_and_the_world_is_there(ranks: Any) -> None:
    assert ranks.ids == [*range(N)]
    assert world(ranks) == [[i, N] for i in range(N)]
    view = ranks[:]
    view.execute("from mpi4py import MPI; total = MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank)")
    assert view["total"] == [3] * N


def test_ranks_are_started_again_with_their_ids(ranks: Any) -> None:
    ranks.cluster.restart_engines_sync()
    ranks.wait_for_engines(N, timeout=20)
    assert ranks.ids == [*range(N)]
    assert world(ranks) == [[i, N] for i in range(N)]


def test_a_collective_that_not_all_enter_is_said_and_can_be_ended(
    ranks: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from hippodrome.client.interruption import InterruptFlag
    from hippodrome.magics.running import CellRun, Interrupter, StillRunning, Watching

    result = ranks[:].execute(
        "from mpi4py import MPI\nif MPI.COMM_WORLD.rank: MPI.COMM_WORLD.Barrier()", block=False
    )

    class InTime(InterruptFlag):
        """Ctrl-C, once it has been said that something is stuck."""

        def take(self) -> bool:
            return f"1 of {N} ranks have finished this cell" in capsys.readouterr().err

    run = CellRun(ranks, result, Watching(progress_after_s=-1), Interrupter(), InTime())
    with pytest.raises(StillRunning, match="hears no interrupt: the third kills all ranks"):
        run.wait()
    ranks.send_signal(signal.SIGKILL, [1, 2], block=False)
    with pytest.raises(ipp.RemoteError):
        result.get(timeout=20)
    assert STUCK_S < 20


def test_what_starts_no_ranks_is_said(site: Site) -> None:
    with pytest.raises(ipp.LaunchError, match="cannot start no-such-mpiexec: No such file"):
        ipp.Cluster(engines="mpi", n=2, mpi_cmd=["no-such-mpiexec"]).start_cluster_sync()
    with pytest.raises(ipp.LaunchError, match="nonsense"):
        ipp.Cluster(engines="MPI", n=2, mpi_args=["--nonsense"]).start_cluster_sync()
