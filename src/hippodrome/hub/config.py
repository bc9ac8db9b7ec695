"""The settings that a controller starts with; read once, frozen, passed down."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hippodrome.protocol.silence import PATIENCE_S

AUTO_HWM: Final = -1


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """Options of the task scheduler.

    Attributes:
        scheme: one of `hippodrome.scheduler.schemes.SCHEME_NAMES`.
        hwm: high-water mark, unfinished tasks per engine: 0 is no limit, `AUTO_HWM` holds time.
    """

    scheme: str = "leastload"
    hwm: int = AUTO_HWM


@dataclass(frozen=True, slots=True)
class HubConfig:
    """Options of the hub.

    Attributes:
        suspect_after_s: silence of a supervisor after which its engines get no new work.
        lost_after_s: silence after which its engines are given up.
        store: where task records are kept: ``"memory"``, ``"sqlite"`` or ``"none"``.
        database: the file of a store that has one.
        record_limit: how many task records are kept, by the store in memory.
        size_limit: how many bytes of payload they may hold together.
        large_limit: how many bytes of large arguments and results are kept, by any store.
    """

    suspect_after_s: float = 5.0
    lost_after_s: float = PATIENCE_S
    store: str = "memory"
    database: Path | None = None
    record_limit: int = 20_000
    size_limit: int = 1 << 30
    large_limit: int = 1 << 30


@dataclass(frozen=True, slots=True)
class ControllerConfig:
    """A whole controller.

    Attributes:
        security_dir: where the connection files go.
        cluster_id: infix of their names; empty for the default cluster.
        ip: addresses to listen on for TCP, with commas, names of interfaces too; empty for ipc
            only; ``"*"`` for all; ``"auto"`` for those by which *towards* are reached.
        port: TCP port; 0 lets the system choose.
        location: host names or addresses, with commas, that peers elsewhere should try before all
            others.
        towards: hosts that have to reach this one.
        reuse: keep port and keys for the next controller, and take those of the one before.
        ssh: the host that clients tunnel through; empty for none.
        engine_ssh: the host that engines' supervisors tunnel through; empty for none.
        use_threads: run the scheduler as a thread of the hub's process.
        ready_fd: file descriptor to write one line to when engines and clients may connect.
        parent_fd: file descriptor that becomes readable when the program that started this
            controller, and wants it to end with it, has ended.
        log_file: what its processes log into; None is the error output.
    """

    security_dir: Path
    cluster_id: str = ""
    ip: str = ""
    port: int = 0
    location: str = ""
    towards: tuple[str, ...] = ()
    reuse: bool = False
    ssh: str = ""
    engine_ssh: str = ""
    use_threads: bool = False
    ready_fd: int | None = None
    parent_fd: int | None = None
    log_file: Path | None = None
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    hub: HubConfig = field(default_factory=HubConfig)
