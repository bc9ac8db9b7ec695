"""Records side by side: what tasks have in common is kept once, the rest in columns.

A task that has ended costs some fifty bytes here, and its payloads; a `TaskRecord` is made when
somebody asks.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

import msgspec

from hippodrome.protocol.ids import msg_id_of
from hippodrome.protocol.messages import Digest, EngineId, Failure, MsgId, Options, PeerId, Shown
from hippodrome.store import times
from hippodrome.store.large import Kept, inline_bytes
from hippodrome.store.record import TaskRecord

MOST_TASKS = 256


class Begin(msgspec.Struct, frozen=True, gc=False):
    """How tasks came; one for all that differ in their ids and arguments only."""

    client: PeerId
    queue: str
    submitted: float
    function: Digest = Digest(b"")
    options: Options | None = None


class End(msgspec.Struct, frozen=True, gc=False):
    """How tasks ended; one for all that differ in their times and values only."""

    status: str
    engine: EngineId | None
    engine_uuid: PeerId
    attempt: int
    received: float
    failure: Failure | None = None
    stdout: str = ""
    stderr: str = ""
    shown: Shown | None = None
    has_run_s: bool = False  # `Group.until` holds seconds since the start

    @property
    def size_bytes(self) -> int:
        """How many bytes the user's code has made of it."""
        failure = self.failure
        told = len(failure.traceback) + len(failure.exception) if failure else 0
        if self.shown is not None:
            told += sum(len(display.content) for display in self.shown.displays)
            for message in self.shown.comms:
                told += len(message.content) + sum(map(len, message.buffers))
        return len(self.stdout) + len(self.stderr) + told


@dataclass(slots=True)
class Extra:
    """The parts that few tasks have: buffers of call and result, texts and displays.

    Attributes:
        n_call: how many buffers came with the call; ``call`` is what is known of them.
        n_result: how many came with the result; ``result`` is what is known of them.
        n_text: how many bytes of output, displays and traceback there are.
    """

    n_call: int = 0
    call: Kept = None
    n_result: int = 0
    result: Kept = None
    n_text: int = 0

    @property
    def size_bytes(self) -> int:
        return self.n_text + inline_bytes(self.call) + inline_bytes(self.result)


@dataclass(slots=True, eq=False)
class Group:
    """Tasks that were submitted one after the other and whose numbers follow each other.

    Attributes:
        prefix: what their ids begin with; `NO_NUMBER` for an id that has none.
        first: the number of the first.
        order: its place among all tasks in the order of submission; the others follow.
        begins: how each came; None where there is no record any more.
        payloads: their arguments.
        ends: how each ended; None before that.
        results: what they returned.
        started: when, in seconds since the epoch; 0.0 if never.
        until: when it was completed, in seconds since the epoch, or since it started (`End`).
        extras: of those tasks that have any.
        name: the id of the only task, if it has no number.
        n_kept: how many records there are.
        has_holes: some were removed on purpose, not in the order in which they ended.
    """

    prefix: str
    first: int
    order: int
    begins: list[Begin | None]
    payloads: list[bytes]
    ends: list[End | None]
    results: list[bytes]
    started: array[float]
    until: array[float]
    extras: dict[int, Extra]
    name: MsgId | None = None
    n_kept: int = 0
    has_holes: bool = False

    @property
    def end(self) -> int:
        """The number after the last."""
        return self.first + len(self.begins)

    def extend(self, begins: list[Begin], payloads: list[bytes]) -> None:
        """Add tasks that have just begun."""
        n = len(begins)
        self.begins += begins
        self.payloads += payloads
        self.ends += [None] * n
        self.results += [b""] * n
        self.started.frombytes(bytes(8 * n))
        self.until.frombytes(bytes(8 * n))
        self.n_kept += n

    def is_running(self, start: int, stop: int) -> bool:
        """Tell whether of the tasks from place *start* up to *stop* none has ended, or is gone."""
        return (
            self.ends[start:stop].count(None) == stop - start
            and None not in self.begins[start:stop]
        )

    def has_ended(self, start: int, stop: int) -> bool:
        """Tell whether all from *start* up to *stop* have ended, and none is gone."""
        return None not in self.ends[start:stop]

    def size_bytes(self, start: int, stop: int) -> int:
        """Return how many bytes the payloads of these records hold."""
        size = sum(map(len, self.payloads[start:stop])) + sum(map(len, self.results[start:stop]))
        for i in range(start, stop) if self.extras else ():
            size += self.extras[i].size_bytes if i in self.extras else 0
        return size

    def drop(self, start: int, stop: int) -> None:
        """Forget the records from *start* up to *stop*, all of which there are."""
        n = stop - start
        self.begins[start:stop] = [None] * n
        self.ends[start:stop] = [None] * n
        self.payloads[start:stop] = self.results[start:stop] = [b""] * n
        for i in range(start, stop) if self.extras else ():
            self.extras.pop(i, None)
        self.n_kept -= n

    def places(self) -> Iterator[int]:
        """Yield where there are records."""
        return (i for i, begin in enumerate(self.begins) if begin is not None)

    def msg_id(self, i: int) -> MsgId:
        return msg_id_of(self.prefix, self.first + i) if self.name is None else self.name

    def record(self, i: int, resubmitted: MsgId | None) -> TaskRecord:
        """Return the record at *i*, which there is."""
        begin, end = self.begins[i], self.ends[i]
        assert begin is not None
        record = TaskRecord(
            self.msg_id(i), begin.client, begin.queue, begin.submitted, self.order + i,
            begin.function, begin.options, self.payloads[i], resubmitted=resubmitted,
        )  # fmt: skip
        extra = self.extras.get(i)
        if extra is not None:
            record.n_buffers, record.buffers = extra.n_call, extra.call or ()
            record.n_result_buffers, record.result_buffers = extra.n_result, extra.result or ()
        if end is not None:
            record.status, record.received, record.attempt = end.status, end.received, end.attempt
            record.engine, record.engine_uuid = end.engine, end.engine_uuid
            started, until = self.started[i], self.until[i]
            record.started = times.known(started or None)
            record.completed = times.known((started + until if end.has_run_s else until) or None)
            record.result, record.failure = self.results[i], end.failure
            record.stdout, record.stderr, record.shown = end.stdout, end.stderr, end.shown
        return record


def new_group(prefix: str, first: int, order: int, name: MsgId | None = None) -> Group:
    """Return a group of no tasks."""
    return Group(prefix, first, order, [], [], [], [], array("d"), array("d"), {}, name)


Bucket = tuple[str, int]


class Groups:
    """Groups by the ids of their tasks, which never overlap.

    A bucket holds the groups that have a number in a range of `MOST_TASKS`, in ascending order.
    """

    def __init__(self) -> None:
        self._buckets: dict[Bucket, list[Group]] = {}

    def __iter__(self) -> Iterator[Group]:
        for (_, number), bucket in self._buckets.items():
            yield from (g for g in bucket if g.first // MOST_TASKS == number)

    def find(self, prefix: str, number: int) -> Group | None:
        """Return the group that has this number, be there a record or not."""
        bucket = self._buckets.get((prefix, number // MOST_TASKS))
        if not bucket:
            return None
        place = bisect_right(bucket, number, key=_first) - 1
        return bucket[place] if place >= 0 and number < bucket[place].end else None

    def is_free(self, prefix: str, first: int, end: int) -> bool:
        """Tell whether no group has a number from *first* up to *end*."""
        for n in range(first // MOST_TASKS, (end - 1) // MOST_TASKS + 1):
            for group in self._buckets.get((prefix, n), ()):
                if group.first < end and first < group.end:
                    return False
        return True

    def add(self, group: Group, since: int | None = None) -> None:
        """Find *group* by its numbers from now on; those before *since* are known already."""
        first = group.first // MOST_TASKS if since is None else (since - 1) // MOST_TASKS + 1
        for n in range(first, (group.end - 1) // MOST_TASKS + 1):
            bucket = self._buckets.setdefault((group.prefix, n), [])
            if bucket and bucket[-1].first > group.first:
                insort(bucket, group, key=_first)
            else:
                bucket.append(group)

    def remove(self, group: Group) -> None:
        for n in range(group.first // MOST_TASKS, (group.end - 1) // MOST_TASKS + 1):
            bucket = self._buckets[group.prefix, n]
            bucket.remove(group)
            if not bucket:
                del self._buckets[group.prefix, n]


_first = attrgetter("first")
