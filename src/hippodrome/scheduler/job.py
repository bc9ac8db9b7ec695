"""The scheduler's record of a task: one object whose state says what is true of it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Container
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar, Final

import msgspec
from msgspec import structs

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Digest, EngineId, MsgId, PeerId
from hippodrome.protocol.moves import IllegalMove, Moves

DEFAULTS: Final = m.Options()


class JobState(enum.Enum):
    """Where a job stands."""

    WAITING = "waiting"  # a dependency is not met
    READY = "ready"  # may run; no engine that may take it has room
    ASSIGNED = "assigned"  # its current attempt is with exactly one engine
    DONE = "done"  # its one outcome has been handed to its client; terminal

    # The default hashes the name, in Python, at every move.
    __hash__: ClassVar[Callable[[Any], int]] = object.__hash__


MOVES: Final[Moves[JobState]] = {
    JobState.WAITING: frozenset({JobState.READY, JobState.DONE}),
    JobState.READY: frozenset({JobState.ASSIGNED, JobState.DONE}),
    JobState.ASSIGNED: frozenset({JobState.READY, JobState.DONE}),
    JobState.DONE: frozenset(),
}


@dataclass(slots=True)
class Wait:
    """Dependencies that are not met yet, and those of them that have not ended."""

    dependencies: m.Dependencies
    unfinished: set[MsgId]


class Job(msgspec.Struct, eq=False, gc=False):
    """Tasks between their submission and their outcomes, for as long as they fare alike.

    Most jobs are one task. Those of a bundle are one job until some of them go another way than
    the rest: to another engine, or to an end of their own. Then the job is split.

    Attributes:
        client: who gets the outcomes.
        msg_ids: the tasks, in the order of their submission.
        function, payloads, buffers: what was submitted, never looked into; a payload for each
            task, and buffers only where there is one task.
        number: counts submissions; the order of service among equals. That of the first task.
        attempt: how often it has been sent to an engine.
        engine, serial: where the current attempt is, and the first task's serial number there.
        n_before: how many calls by name the engine had been sent before, ever.
        targets: engines that it may use; None is any.
        refused: engines that said they cannot run it; never tried again.
        tried: engines that failed it; avoided while there is another.
        failed: how the last attempt failed, if it has been, or is to be, tried again.
        deadline: when it must have been assigned, on the core's clock.
        waits: what it waits for, for each of `after` and `follow` that is not met yet.
        cost_s: what an attempt of each task was expected to take, as charged to the engine.
        aborting: it must not start; its engine has been told.
    """

    client: PeerId
    msg_ids: list[MsgId]
    function: Digest
    payloads: list[bytes]
    buffers: tuple[Buffer, ...]
    number: int
    options: m.Options = DEFAULTS
    state: JobState = JobState.WAITING
    attempt: int = 0
    engine: EngineId | None = None
    serial: int = 0
    n_before: int = 0
    retries_left: int = 0
    targets: frozenset[EngineId] | None = None
    refused: frozenset[EngineId] = frozenset()
    tried: frozenset[EngineId] = frozenset()
    failed: m.Result | None = None
    deadline: float | None = None
    waits: list[Wait] = []
    cost_s: float = 0.0
    aborting: bool = False

    @classmethod
    def of(
        cls, client: PeerId, task: m.Task | m.TaskBundle, buffers: tuple[Buffer, ...], number: int
    ) -> Job:
        """Return the job of what has just come in."""
        if isinstance(task, m.TaskBundle):
            msg_ids, payloads = task.msg_ids, task.payloads
        else:
            msg_ids, payloads = [task.msg_id], [task.payload]
        options = task.options
        if options is None:
            return cls(client, msg_ids, task.function, payloads, buffers, number)
        targets = None if options.targets is None else frozenset(options.targets)
        return cls(
            client,
            msg_ids,
            task.function,
            payloads,
            buffers,
            number,
            options,
            retries_left=options.retries,
            targets=targets,
        )

    def __len__(self) -> int:
        return len(self.msg_ids)

    def __bool__(self) -> bool:
        return True

    def split(self, n: int) -> Job:
        """Return the first *n* tasks as a job of their own; this one keeps the others.

        The lists are replaced, not changed: messages that are yet to be sent may hold them.
        """
        first = structs.replace(self, msg_ids=self.msg_ids[:n], payloads=self.payloads[:n])
        self.msg_ids, self.payloads = self.msg_ids[n:], self.payloads[n:]
        self.number += n
        self.serial += n
        return first

    def take_out(self, chosen: Container[MsgId]) -> Job:
        """Return some of the tasks as a job of their own; this one keeps the others.

        For a job that is with no engine: its serial numbers mean nothing.
        """
        taken = structs.replace(self)
        places = [i for i, msg_id in enumerate(self.msg_ids) if msg_id in chosen]
        others = [i for i, msg_id in enumerate(self.msg_ids) if msg_id not in chosen]
        for job, kept in ((taken, places), (self, others)):
            job.msg_ids = [job.msg_ids[i] for i in kept]
            job.payloads = [job.payloads[i] for i in kept]
        return taken

    def move(self, state: JobState) -> None:
        """Change state.

        Raises:
            IllegalMove: the present state does not lead there.
        """
        if state not in MOVES[self.state]:  # as `checked` does, without a call for each task
            raise IllegalMove(self, state)
        self.state = state

    def __repr__(self) -> str:
        more = f" and {len(self) - 1} more" if len(self) > 1 else ""
        return f"<Job {self.msg_ids[0]}{more} {self.state.value}, attempt {self.attempt}>"


def cut(job: Job, chosen: Container[MsgId]) -> list[tuple[bool, Job]]:
    """Split *job* such that all tasks of a piece are in *chosen*, or none is.

    Returns:
        The pieces in order, each with whether its tasks are chosen; the last one is *job*.
    """
    runs = [(chose, len(list(run))) for chose, run in groupby(m in chosen for m in job.msg_ids)]
    pieces = [(chose, job.split(n)) for chose, n in runs[:-1]]
    return [*pieces, (runs[-1][0], job)]
