"""What an engine is besides an engine: a rank of MPI, with that as the number that it asks for."""

from __future__ import annotations

import os
import signal
from importlib import import_module
from typing import Any

from hippodrome.errors import ClusterError
from hippodrome.process.engine_config import EngineConfig


class NoMPI(ClusterError):
    """This engine was to be a rank of MPI, and MPI cannot be had."""

    code = "no_mpi"


def join(config: EngineConfig) -> None:
    """Have the variables of this engine's own, and be a rank of MPI, if that is wanted.

    On the main thread, which is the one that calls MPI. It waits until all ranks have come so far.

    Raises:
        NoMPI: there is none.
    """
    os.environ.update(config.environment)
    if config.mpi:
        try:
            _mpi()
        except Exception as error:  # also what it raises where there is no MPI
            raise NoMPI(f"--mpi needs mpi4py in the engine's Python: {error}") from error


def leave(config: EngineConfig) -> None:
    """Leave MPI in order, as far as this process was a rank: all ranks do so together.

    Whoever ends without it ends them all. It is too late to be told to stop once more.
    """
    if config.mpi:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _mpi().Finalize()


def about(config: EngineConfig) -> dict[str, str | int]:
    """Return what the controller is told of this engine, besides where it runs."""
    own: dict[str, str | int] = {"node": config.node, "log": config.log, "beside": config.n_beside}
    if config.segments:
        own["home"] = 1
    wanted = config.wanted
    if config.mpi:
        world = _mpi().COMM_WORLD
        own["ranks"] = world.Get_size()
        wanted = world.Get_rank() if wanted < 0 else wanted
    if wanted >= 0:
        own["wanted"] = wanted
    return own


def _mpi() -> Any:  # Any: the module of others, which few have
    return import_module("mpi4py.MPI")
