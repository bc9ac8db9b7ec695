"""A launcher starts and ends one program of a cluster, and knows whether it runs.

A launcher is found by name through an entry point, so that other packages can bring their own.
Its methods may block; `hippodrome.cluster` calls them from threads where that matters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from hippodrome.launch.options import LaunchOption
from hippodrome.launch.state import LaunchPhase as LaunchPhase
from hippodrome.launch.state import LaunchState as LaunchState
from hippodrome.launch.state import describe as describe


@dataclass(frozen=True, slots=True)
class LaunchOrder:
    """The program that is to be started.

    Attributes:
        profile_dir: the profile of the cluster.
        cluster_id: tells clusters of one profile apart; empty for the default one.
        arguments: further options for the program's command line.
        follows: whether what is started must end when this process does, however that happens.
        n: how many engines, 0 for as many as *options* make; of no meaning for a controller.
        engine_set: the id of the engine set; empty for a controller.
        wait_s: how long engines may wait for their controller, in seconds.
        options: what the launcher is told besides, by the names in its `OPTIONS`, as read.
    """

    profile_dir: Path
    cluster_id: str = ""
    arguments: tuple[str, ...] = ()
    follows: bool = True
    n: int = 1
    engine_set: str = ""
    wait_s: float = 60.0
    options: Mapping[str, Any] = field(default_factory=dict)  # Any: as read by the option's kind

    def to_dict(self) -> dict[str, Any]:  # Any: whatever JSON may hold
        """Return what a launcher writes of its order into a cluster file."""
        told = {"options": dict(self.options)} if self.options else {}
        return {
            "profile_dir": str(self.profile_dir),
            "cluster_id": self.cluster_id,
            "arguments": list(self.arguments),
            "follows": self.follows,
            "n": self.n,
            "engine_set": self.engine_set,
            **told,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return the order that `to_dict` described."""
        return cls(
            Path(state["profile_dir"]),
            state["cluster_id"],
            tuple(state["arguments"]),
            state["follows"],
            state["n"],
            state["engine_set"],
            options=state.get("options", {}),
        )


class Launcher(ABC):
    """Starts one program, and ends it.

    Attributes:
        name: by which it is found again, and called in cluster files.
        OPTIONS: what it takes in `LaunchOrder.options`.
    """

    name: ClassVar[str] = ""
    OPTIONS: ClassVar[Collection[LaunchOption]] = ()

    @abstractmethod
    def start(self) -> None:
        """Start the program, and return without waiting for it.

        Raises:
            LaunchError: it cannot be started.
        """

    @abstractmethod
    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the program does what it is for.

        Raises:
            LaunchError: it ended, or took longer than *timeout_s*; the text ends with the last
                lines that it wrote.
        """

    @abstractmethod
    def poll(self) -> int | None:
        """Return None while the program runs, else its exit code; -1 if nobody knows that."""

    @property
    def may_be_left(self) -> bool:
        """Whether something of it may be there after `stop`, as whoever knows does not answer."""
        return False

    @property
    def running(self) -> bool:
        """Whether the program runs."""
        return self.poll() is None

    def state(self) -> LaunchState:
        """Return how far it is; may ask whoever knows, in a bounded time."""
        phase = LaunchPhase.RUNNING if self.running else LaunchPhase.ENDED
        return LaunchState({phase: 1})

    @abstractmethod
    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the program to end; return as `poll` does after at most *timeout_s*."""

    @abstractmethod
    def signal(self, signum: int) -> None:
        """Deliver a signal: to the controller, or to the engines themselves."""

    @abstractmethod
    def request_stop(self) -> None:
        """Ask the program to end in order; return at once."""

    @abstractmethod
    def stop(self, timeout_s: float) -> int | None:
        """End the program: ask, wait up to *timeout_s*, then kill; return as `poll` does."""

    @abstractmethod
    def output(self, lines: int = 20) -> str:
        """Return the last lines that the program wrote."""

    def get_output(self, remove: bool = False) -> str:
        """Return as `output` does, of more lines; *remove* forgets what was written."""
        text = self.output(1000)
        if remove:
            self.forget_output()
        return text

    def log_files(self) -> list[Path]:
        """Return the files that the program, or each part of it, writes into."""
        return []

    @abstractmethod
    def forget_output(self) -> None:
        """Remove what the program wrote; for one that ended in order."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:  # Any: whatever JSON may hold
        """Return what it takes to find the program again from another process."""

    @classmethod
    @abstractmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return a launcher for a program that was started elsewhere."""


class ControllerLauncher(Launcher):
    """Starts a controller."""

    @abstractmethod
    def __init__(self, order: LaunchOrder) -> None: ...


class EngineSetLauncher(Launcher):
    """Starts a set of engines together.

    Attributes:
        n: how many; 0 while nobody knows.
        knows_n: whether that has to be known before they are started.
        is_elsewhere: whether they run on other hosts, so that the controller has to listen there.
        engine_ids: their ids, as far as the launcher knows them.
        n_ready: how many of them were ready when they had been waited for; None if nobody knows.
        tell: takes a sentence now and then while they are waited for.
    """

    n: int
    knows_n: ClassVar[bool] = True
    is_elsewhere: ClassVar[bool] = False
    engine_ids: tuple[int, ...] = ()
    n_ready: int | None = None
    tell: Callable[[str], None] | None = None

    @abstractmethod
    def __init__(self, order: LaunchOrder) -> None: ...

    @classmethod
    def needs_port(cls, options: Mapping[str, Any]) -> bool:
        """Return whether the controller has to listen for other hosts.

        Args:
            options: as in `LaunchOrder`.
        """
        del options
        return cls.is_elsewhere

    def submissions(self) -> dict[str, str]:
        """Return what would be given to others to run: each command, and the text that it submits.

        Nothing is written or run. Launchers that start programs themselves submit nothing.
        """
        return {}

    @classmethod
    def count(cls, n: int | None, options: Mapping[str, Any]) -> int:
        """Return how many engines a set has; 0 if only those who run it will know.

        Args:
            n: how many are wanted; None if nobody has said.
            options: as in `LaunchOrder`.
        """
        if n is not None:
            return n
        from hippodrome.launch.cores import usable_cores  # which few need

        return usable_cores()
