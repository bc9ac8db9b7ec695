"""Takes submissions in: keeps the functions that they bring, and waits for those they lack.

A client sends a function once. If it has been dropped here since, the submission is parked, with
everything that the client sends after it, so that order is kept; the client is asked for the
function, and what it does not have any more is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from hippodrome.errors import ProtocolError
from hippodrome.protocol.frames import Buffer, BufferReader, Frames, take_all
from hippodrome.protocol.messages import Digest, MsgId, PeerId, Submit, SubmitDirect
from hippodrome.scheduler.events import DirectSubmitted, Event, TasksSubmitted
from hippodrome.scheduler.functions import FunctionCache

Submission = Submit | SubmitDirect


@dataclass(frozen=True, slots=True)
class Parcel:
    """A submission as it came: the message, its buffers without the functions, its encoding."""

    message: Submission
    buffers: Frames
    body: Buffer


@dataclass(slots=True)
class Taken:
    """What has come of a message.

    Attributes:
        events: for the cores, in order.
        bodies: the encoded submissions that they came from, for the records.
        refused: tasks whose function is not to be had.
        missing: functions to ask the client for.
    """

    events: list[Event] = field(default_factory=list)
    bodies: list[Buffer] = field(default_factory=list)
    refused: list[MsgId] = field(default_factory=list)
    missing: list[Digest] = field(default_factory=list)


class Intake:
    """The door for submissions.

    Args:
        functions: where the functions are kept that they bring.
    """

    def __init__(self, functions: FunctionCache) -> None:
        self._functions = functions
        self._parked: dict[PeerId, deque[Parcel]] = {}

    def submit(self, client: PeerId, message: Submission, buffers: Frames, body: Buffer) -> Taken:
        """Take a submission.

        Raises:
            ProtocolError: its parts do not fit together.
        """
        reader = BufferReader(buffers)
        for digest in message.functions:
            self._functions.put(digest, reader.take(1)[0])
        parcel = Parcel(message, buffers[len(message.functions) :], body)
        taken = Taken()
        if client in self._parked:
            self._parked[client].append(parcel)
        elif missing := self._missing(message):
            self._parked[client] = deque([parcel])
            taken.missing = missing
        else:
            self._accept(client, parcel, taken)
        return taken

    def supply(self, client: PeerId, digests: Sequence[Digest], buffers: Frames) -> Taken:
        """The client sent what it was asked for, or as much of it as it has.

        Raises:
            ProtocolError: there is not one buffer for each function.
        """
        for digest, data in zip(digests, take_all([1] * len(digests), buffers), strict=True):
            self._functions.put(digest, data[0])
        taken = Taken()
        parked = self._parked.get(client, deque())
        asked_for = True  # the first parcel's functions are those that were asked for
        while parked:
            missing = self._missing(parked[0].message)
            if missing and not asked_for:
                taken.missing = missing
                return taken
            asked_for = False
            self._accept(client, parked.popleft(), taken)
        self._parked.pop(client, None)
        return taken

    def forget(self, client: PeerId) -> None:
        """The client is gone."""
        self._parked.pop(client, None)

    def _missing(self, message: Submission) -> list[Digest]:
        if isinstance(message, SubmitDirect):
            return [] if message.function in self._functions else [message.function]
        wanted = dict.fromkeys(task.function for task in message.tasks)
        return [digest for digest in wanted if digest not in self._functions]

    def _accept(self, client: PeerId, parcel: Parcel, taken: Taken) -> None:
        if isinstance(parcel.message, SubmitDirect):
            self._accept_direct(client, parcel.message, tuple(parcel.buffers), taken)
        else:
            self._accept_tasks(client, parcel.message, parcel.buffers, taken)
        taken.bodies.append(parcel.body)

    def _accept_direct(
        self, client: PeerId, message: SubmitDirect, buffers: tuple[Buffer, ...], taken: Taken
    ) -> None:
        if message.n_buffers != len(buffers) or len(message.msg_ids) != len(message.targets):
            raise ProtocolError("a direct submission whose parts do not fit together")
        if message.function not in self._functions:
            taken.refused.extend(message.msg_ids)
            return
        for _ in message.msg_ids:
            self._functions.use(message.function)
        taken.events.append(DirectSubmitted(client, message, buffers))

    def _accept_tasks(self, client: PeerId, message: Submit, buffers: Frames, taken: Taken) -> None:
        tasks = message.tasks
        each = list(take_all([task.n_buffers for task in tasks], buffers))
        if self._missing(message):
            pairs = list(zip(tasks, each, strict=True))
            kept = [pair for pair in pairs if pair[0].function in self._functions]
            taken.refused.extend(t.msg_id for t in tasks if t.function not in self._functions)
            tasks, each = [task for task, _ in kept], [buffers for _, buffers in kept]
        for task in tasks:
            self._functions.use(task.function)
        taken.events.append(TasksSubmitted(client, tasks, each))


def msg_ids_of(message: Submission) -> list[MsgId]:
    """Return the ids of the tasks that a submission brings."""
    if isinstance(message, SubmitDirect):
        return message.msg_ids
    return [task.msg_id for task in message.tasks]
