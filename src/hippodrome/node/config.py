"""The settings that a supervisor starts with; read once, frozen, passed down."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hippodrome.process.descriptors import file_behind
from hippodrome.protocol.silence import PATIENCE_S, REGISTRATION_S
from hippodrome.security.connection_file import ConnectionInfo


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """A host's supervisor and its engines.

    Attributes:
        connection_file: the controller's connection file for engines.
        connection: what such a file says; None reads the file.
        tunnel: a socket here that somebody's ssh leads to the controller; empty for none.
        address: where to connect, in place of the addresses in the file.
        ssh_server: the host to tunnel through; empty goes as the file says.
        ssh_key: a file with the private key for that.
        n: how many engines to spawn.
        wait_for_file_s: how long to wait for the connection file to appear.
        registration_timeout_s: how long an engine may take to be registered.
        patience_s: silence of the controller after which everything here ends.
        stop_timeout_s: how long an engine that was told to stop may take before it is killed.
        startup: source text that each engine executes before its first task.
        ignores_startup_errors: whether engines serve even if that raises something.
        any_python: whether engines try functions of another minor version of Python.
        log_dir: where the engines' own output goes; None passes it on to this process's.
        ready_fd: file descriptor to write one line to when all engines are registered.
        parent_fd: file descriptor at whose end of file everything here ends in order.
        ends_at: when this host's time is up, in seconds since the epoch.
        idle_s: after how long without work everything here ends.
        environment: variables that engines have besides.
        first_id: the engine id that the first engine asks for, the others those after it; -1: none.
        mpi: whether the one engine is a rank of MPI.
    """

    connection_file: Path
    connection: ConnectionInfo | None = None
    tunnel: str = ""
    address: str = ""
    ssh_server: str = ""
    ssh_key: str = ""
    n: int = 1
    wait_for_file_s: float = 10.0
    registration_timeout_s: float = REGISTRATION_S
    patience_s: float = PATIENCE_S
    stop_timeout_s: float = 1.0
    startup: str = ""
    ignores_startup_errors: bool = False
    any_python: bool = False
    log_dir: Path | None = None
    ready_fd: int | None = None
    parent_fd: int | None = None
    ends_at: float = math.inf
    idle_s: float = math.inf
    environment: Mapping[str, str] = field(default_factory=dict)
    first_id: int = -1
    mpi: bool = False

    def of_engine(self, index: int) -> dict[str, Any]:  # Any: as in `EngineConfig`
        """Return what one engine is told of the others, and of what it is besides."""
        return {
            "n_beside": self.n,
            "environment": dict(self.environment),
            "wanted": -1 if self.first_id < 0 else self.first_id + index,
            "mpi": self.mpi,
        }

    def engine_log(self, index: int) -> str:
        """Return the path of the file that an engine's own output goes into, as far as known."""
        if self.log_dir is None:
            return file_behind(2)
        return str(self.log_dir / f"ipengine-{os.getpid()}-{index}.log")
