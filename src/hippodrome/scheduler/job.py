"""The scheduler's record of a task: one object whose state says what is true of it."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import structs

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Digest, EngineId, MsgId, PeerId
from hippodrome.protocol.moves import IllegalMove, Moves, name_of

DEFAULTS: Final = m.Options()


@dataclass(slots=True)
class Wait:
    """Dependencies that are not met yet, and those of them that have not ended."""

    dependencies: m.Dependencies
    unfinished: set[MsgId]


class Blocked(msgspec.Struct, frozen=True):
    """A dependency is not met: `waits` has one for each of `after` and `follow` that is not."""

    waits: Sequence[Wait] = ()


class Ready(msgspec.Struct, frozen=True):
    """It may run; no engine that may take it has room."""


class Assigned(msgspec.Struct, gc=False):
    """Its current attempt is with exactly one engine.

    Attributes:
        engine: which.
        serial: the first task's serial number there.
        cost_s: what an attempt of each task was expected to take, as charged to the engine.
        n_before: how many calls by name the engine had been sent before, ever.
        aborting: it must not start; its engine has been told.
    """

    engine: EngineId
    serial: int
    cost_s: float
    n_before: int
    aborting: bool = False


class Done(msgspec.Struct, frozen=True):
    """Its one outcome has been handed to its client; terminal."""


JobState = Blocked | Ready | Assigned | Done
NEW: Final = Blocked()
READY: Final = Ready()
DONE: Final = Done()
MOVES: Final[Moves[type[JobState]]] = {
    Blocked: frozenset({Ready, Done}),
    Ready: frozenset({Assigned, Done}),
    Assigned: frozenset({Ready, Done}),
    Done: frozenset(),
}


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
        targets: engines that it may use; None is any.
        refused: engines that said they cannot run it; never tried again.
        refusal: why the last of those does, if it says so.
        tried: engines that failed it; avoided while there is another.
        failed: how the last attempt failed, if it has been, or is to be, tried again.
        deadline: when it must have been assigned, on the core's clock.
    """

    client: PeerId
    msg_ids: list[MsgId]
    function: Digest
    payloads: list[bytes]
    buffers: tuple[Buffer, ...]
    number: int
    options: m.Options = DEFAULTS
    state: JobState = NEW
    attempt: int = 0
    retries_left: int = 0
    targets: frozenset[EngineId] | None = None
    refused: frozenset[EngineId] = frozenset()
    refusal: str = ""
    tried: frozenset[EngineId] = frozenset()
    failed: m.Result | None = None
    deadline: float | None = None

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

    @property
    def engine(self) -> EngineId | None:
        """The engine that its current attempt is with, if it is with one."""
        return self.state.engine if isinstance(self.state, Assigned) else None

    def split(self, n: int) -> Job:
        """Return the first *n* tasks as a job of their own; this one keeps the others.

        The lists are replaced, not changed: messages that are yet to be sent may hold them.
        """
        first = structs.replace(self, msg_ids=self.msg_ids[:n], payloads=self.payloads[:n])
        self.msg_ids, self.payloads = self.msg_ids[n:], self.payloads[n:]
        self.number += n
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
        if type(state) not in MOVES[type(self.state)]:  # as `checked`, without a call for each task
            raise IllegalMove(self, type(state))
        self.state = state

    def __repr__(self) -> str:
        more = f" and {len(self) - 1} more" if len(self) > 1 else ""
        return f"<Job {self.msg_ids[0]}{more} {name_of(type(self.state))}, attempt {self.attempt}>"
