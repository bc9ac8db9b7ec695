"""Takes submissions in: keeps the functions that they bring, and waits for those they lack.

A client sends a function once. If it has been dropped here since, the submission is parked, with
everything that the client sends after it, so that order is kept; the client is asked for the
function, and what it does not have any more is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import msgspec

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.bundles import deal, ids_of
from hippodrome.protocol.frames import Buffer, BufferReader, Frames, take_all
from hippodrome.protocol.functions import FunctionCache
from hippodrome.protocol.messages import Digest, MsgId, PeerId
from hippodrome.scheduler.events import DirectSubmitted, TasksSubmitted

Submission = m.Submit | m.SubmitDirect

FIRST: Final = range(1)


@dataclass(slots=True)
class Parcel:
    """A submission as it came: the message, its encoding, functions, and all other buffers.

    ``owned`` are the latter as they belong to tasks; for a direct call, all of them to each. While
    it is parked, ``asked`` are the functions that its client was asked for on its behalf, and
    ``kept`` those that must not be dropped before it is accepted.
    """

    message: Submission
    functions: Sequence[Buffer]
    buffers: Frames
    body: Buffer
    owned: Sequence[tuple[Buffer, ...]]
    asked: set[Digest] = field(default_factory=set)
    kept: list[Digest] = field(default_factory=list)


@dataclass(slots=True)
class TakenIn:
    """The outcome that a message had.

    Attributes:
        events: for the cores, in order.
        parcels: the submissions that they came from, for the records.
        refused: tasks whose function is not to be had.
        missing: functions to ask the client for.
        names: the tasks in *events*, which the cores do not know yet.
    """

    events: list[TasksSubmitted | DirectSubmitted] = field(default_factory=list)
    parcels: list[Parcel] = field(default_factory=list)
    refused: list[MsgId] = field(default_factory=list)
    missing: list[Digest] = field(default_factory=list)
    names: set[MsgId] = field(default_factory=set)


class Intake:
    """The door for submissions.

    Args:
        functions: where the functions are kept that they bring.
        are_new: tells whether none of some ids names a task; those that do are left out.
    """

    def __init__(
        self, functions: FunctionCache, are_new: Callable[[Collection[MsgId]], bool]
    ) -> None:
        self._functions = functions
        self._are_new = are_new
        self._parked: dict[PeerId, deque[Parcel]] = {}

    def submit(self, client: PeerId, message: Submission, buffers: Frames, body: Buffer) -> TakenIn:
        """Take a submission.

        Raises:
            ProtocolError: its parts do not fit together.
        """
        n = len(message.functions)
        functions = BufferReader(buffers).take(n)
        owned = dealt(message, buffers[n:])  # now, so that what is parked can be accepted later
        parcel = Parcel(message, functions, buffers[n:], body, owned)
        taken = TakenIn()
        if not n:
            self._submit(client, parcel, taken)
            return taken
        with self._kept(message.functions, functions):
            self._submit(client, parcel, taken)
        return taken

    def _submit(self, client: PeerId, parcel: Parcel, taken: TakenIn) -> None:
        if client in self._parked:
            self._park(client, parcel)
        elif missing := self._missing(parcel.message):
            self._park(client, parcel)
            parcel.asked.update(missing)
            taken.missing = missing
        else:
            self._accept(client, parcel, taken)

    def supply(self, client: PeerId, digests: Sequence[Digest], buffers: Frames) -> TakenIn:
        """The client sent what it was asked for, or as much of it as it has.

        Raises:
            ProtocolError: there is not one buffer for each function.
        """
        functions = [data for (data,) in take_all([1] * len(digests), buffers)]
        taken = TakenIn()
        with self._kept(digests, functions):
            if client in self._parked:
                self._keep(self._parked[client][0], digests)
            self._accept_parked(client, taken)
        return taken

    def _accept_parked(self, client: PeerId, taken: TakenIn) -> None:
        parked = self._parked.get(client, deque())
        while parked:
            parcel = parked[0]
            # What was asked for and did not come is not to be had.
            missing = [d for d in self._missing(parcel.message) if d not in parcel.asked]
            if missing:
                parcel.asked.update(missing)
                taken.missing = missing
                return
            parked.popleft()
            self._accept(client, parcel, taken)
            self._unpark(parcel)
        self._parked.pop(client, None)

    @contextmanager
    def _kept(self, digests: Sequence[Digest], functions: Iterable[Buffer]) -> Iterator[None]:
        """Keep *functions* at least until the tasks that brought them count as their users."""
        for digest, data in zip(digests, functions, strict=True):
            self._functions.use(digest)
            self._functions.put(digest, data)
        try:
            yield
        finally:
            for digest in digests:
                self._functions.release(digest)

    def forget(self, client: PeerId) -> None:
        """The client is gone."""
        for parcel in self._parked.pop(client, ()):
            self._unpark(parcel)

    def _park(self, client: PeerId, parcel: Parcel) -> None:
        """Keep *parcel* for later, and the functions that came with it for as long."""
        self._parked.setdefault(client, deque()).append(parcel)
        self._keep(parcel, parcel.message.functions)

    def _keep(self, parcel: Parcel, digests: Sequence[Digest]) -> None:
        parcel.kept.extend(digests)
        for digest in digests:
            self._functions.use(digest)

    def _unpark(self, parcel: Parcel) -> None:
        for digest in parcel.kept:
            self._functions.release(digest)

    def _missing(self, message: Submission) -> list[Digest]:
        if isinstance(message, m.SubmitDirect):
            return [] if message.function in self._functions else [message.function]
        wanted = dict.fromkeys(task.function for task in message.tasks)
        return [digest for digest in wanted if digest not in self._functions]

    def _accept(self, client: PeerId, parcel: Parcel, taken: TakenIn) -> None:
        if isinstance(parcel.message, m.SubmitDirect):
            self._accept_direct(client, parcel.message, parcel.owned[0], taken)
        else:
            self._accept_tasks(client, parcel.message, parcel.owned, taken)
        taken.parcels.append(parcel)

    def _accept_direct(
        self, client: PeerId, message: m.SubmitDirect, buffers: tuple[Buffer, ...], taken: TakenIn
    ) -> None:
        places = self._new(message.msg_ids, taken)
        msg_ids = [message.msg_ids[i] for i in places]
        if message.function not in self._functions:
            taken.refused.extend(msg_ids)
            return
        if len(msg_ids) < len(message.msg_ids):
            targets = [message.targets[i] for i in places]
            message = msgspec.structs.replace(message, msg_ids=msg_ids, targets=targets)
        for _ in msg_ids:
            self._functions.use(message.function)
        taken.events.append(DirectSubmitted(client, message, buffers))

    def _accept_tasks(
        self,
        client: PeerId,
        message: m.Submit,
        owned: Sequence[tuple[Buffer, ...]],
        taken: TakenIn,
    ) -> None:
        missing = self._missing(message)
        tasks: list[m.Task | m.TaskBundle] = []
        each: list[tuple[Buffer, ...]] = []
        for task, own in zip(message.tasks, owned, strict=True):
            msg_ids = ids_of(task)
            new = self._new(msg_ids, taken)
            if not new:
                continue
            if task.function in missing:
                taken.refused.extend(msg_ids[i] for i in new)
                continue
            if len(new) < len(msg_ids):
                assert isinstance(task, m.TaskBundle)
                task = part_of(task, new)
            tasks.append(task)
            each.append(own)
            self._functions.use(task.function, len(new))
        taken.events.append(TasksSubmitted(client, tasks, each))

    def _new(self, msg_ids: list[MsgId], taken: TakenIn) -> Sequence[int]:
        """Return where those are that name no task yet, each name once."""
        if len(msg_ids) == 1:
            if msg_ids[0] in taken.names or not self._are_new(msg_ids):
                return ()
            taken.names.add(msg_ids[0])
            return FIRST
        names = set(msg_ids)
        if len(names) == len(msg_ids) and taken.names.isdisjoint(names) and self._are_new(names):
            taken.names |= names
            return range(len(msg_ids))
        places: list[int] = []
        for i, msg_id in enumerate(msg_ids):
            if msg_id not in taken.names and self._are_new([msg_id]):
                taken.names.add(msg_id)
                places.append(i)
        return places


def dealt(message: Submission, buffers: Frames) -> list[tuple[Buffer, ...]]:
    """Return *buffers* as they belong to tasks.

    Raises:
        ProtocolError: the parts of the message do not fit together, or make no sense.
    """
    if isinstance(message, m.SubmitDirect):
        if len(message.msg_ids) != len(message.targets):
            raise ProtocolError("a direct submission needs one target for each msg_id")
        return list(take_all([message.n_buffers], buffers))
    owned = list(deal(message.tasks, buffers))
    for task in message.tasks:
        check_options(task.options)
    return owned


def check_options(options: m.Options | None) -> None:
    """Raise ProtocolError if *options* ask for what nobody can do."""
    if options is None:
        return
    if options.retries < 0:
        raise ProtocolError(f"a task cannot be tried {options.retries} more times")
    if options.timeout_s is not None and not options.timeout_s >= 0:  # NaN compares as False
        raise ProtocolError(f"{options.timeout_s} is no time to wait")


def part_of(bundle: m.TaskBundle, places: Sequence[int]) -> m.TaskBundle:
    """Return a bundle of those tasks alone that are at *places*."""
    return m.TaskBundle(
        [bundle.msg_ids[i] for i in places],
        bundle.function,
        [bundle.payloads[i] for i in places],
        bundle.options,
    )


def msg_ids_of(message: Submission) -> list[MsgId]:
    """Return the ids of the tasks that a submission brings."""
    if isinstance(message, m.SubmitDirect):
        return message.msg_ids
    return list(chain.from_iterable(ids_of(task) for task in message.tasks))
