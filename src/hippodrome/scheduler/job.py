"""The scheduler's record of one task: one object whose state says what is true of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from hippodrome.errors import ClusterError
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import (
    Dependencies,
    EngineId,
    MsgId,
    Options,
    PeerId,
    Task,
)

DEFAULTS: Final = Options()


class JobState(enum.Enum):
    """Where a job stands."""

    WAITING = "waiting"  # a dependency is not met
    READY = "ready"  # may run; no engine that may take it has room
    ASSIGNED = "assigned"  # its current attempt is with exactly one engine
    DONE = "done"  # its one outcome has been handed to its client; terminal

    __hash__ = object.__hash__  # the default hashes the name, in Python, at every move


LEGAL_MOVES: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.WAITING: frozenset({JobState.READY, JobState.DONE}),
    JobState.READY: frozenset({JobState.ASSIGNED, JobState.DONE}),
    JobState.ASSIGNED: frozenset({JobState.READY, JobState.DONE}),
    JobState.DONE: frozenset(),
}


@dataclass(slots=True)
class Wait:
    """Dependencies that are not met yet, and those of them that have not ended."""

    dependencies: Dependencies
    unfinished: set[MsgId]


class IllegalMove(ClusterError):
    """A job was told to do what its state does not allow; always a bug of the scheduler."""


class Job(msgspec.Struct, eq=False, gc=False):
    """One task between its submission and its outcome.

    Attributes:
        client: who gets the outcome.
        task, buffers: what was submitted; never looked into.
        number: counts submissions; the order of service among equals.
        attempt: how often it has been sent to an engine.
        engine, serial: where the current attempt is, and its serial number there.
        targets: engines that it may use; None is any.
        refused: engines that said they cannot run it; never tried again.
        tried: engines that failed it; avoided while there is another.
        deadline: when it must have been assigned, on the core's clock.
        waits: what it waits for, for each of `after` and `follow` that is not met yet.
        cost_s: what its attempt was expected to take, as charged to the engine.
        aborting: it must not start; its engine has been told.
    """

    client: PeerId
    task: Task
    buffers: tuple[Buffer, ...]
    number: int
    options: Options = DEFAULTS
    state: JobState = JobState.WAITING
    attempt: int = 0
    engine: EngineId | None = None
    serial: int = 0
    retries_left: int = 0
    targets: frozenset[EngineId] | None = None
    refused: frozenset[EngineId] = frozenset()
    tried: frozenset[EngineId] = frozenset()
    deadline: float | None = None
    waits: list[Wait] = []
    cost_s: float = 0.0
    aborting: bool = False

    @classmethod
    def of(cls, client: PeerId, task: Task, buffers: tuple[Buffer, ...], number: int) -> Job:
        """Return the job of a task that has just come in."""
        options = task.options
        if options is None:
            return cls(client, task, buffers, number)
        targets = None if options.targets is None else frozenset(options.targets)
        retries = options.retries
        return cls(client, task, buffers, number, options, retries_left=retries, targets=targets)

    @property
    def msg_id(self) -> MsgId:
        return self.task.msg_id

    def move(self, state: JobState) -> None:
        """Change state.

        Raises:
            IllegalMove: the present state does not lead there.
        """
        if state not in LEGAL_MOVES[self.state]:
            raise IllegalMove(f"{self!r} cannot become {state.value}")
        self.state = state

    def __repr__(self) -> str:
        return f"<Job {self.msg_id} {self.state.value}, attempt {self.attempt}>"
