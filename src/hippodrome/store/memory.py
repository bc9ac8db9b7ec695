"""The store that keeps its records in memory, within two bounds."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from hippodrome.protocol.messages import Digest, MsgId
from hippodrome.store.base import Absent, Found, StoreCondition, Then
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.columns import Calls, Ends, calls_of, ends_of
from hippodrome.store.filters import Filter
from hippodrome.store.groups import MOST_TASKS, Begin, Extra, Group, Groups, new_group
from hippodrome.store.msg_ids import NO_NUMBER, Ranges, Run, runs_of, split
from hippodrome.store.record import TaskRecord
from hippodrome.store.times import known_or_zero

FUNCTIONS_BYTES = 64 << 20
MOST_DEAD = 1_000


@dataclass(slots=True)
class Span:
    """Tasks of one group that ended one after the other.

    ``last`` counts all that have ended, up to the last of these; ``size_bytes`` is what they hold.
    """

    group: Group
    start: int
    stop: int
    last: int
    size_bytes: int


class MemoryStore:
    """Records in groups.

    Unfinished records are always kept: they are as many as the scheduler holds tasks.

    Args:
        record_limit: how many finished records are kept.
        size_limit: how many bytes of payload finished records may hold together.
        first_number: the place of the first task in the order of submission.
        forgotten: told of each task with buffers that was forgotten to stay within the bounds.

    Attributes:
        next_number: the place of the next task in the order of submission.
        n_ended: how many tasks have ended so far.
        may_cull: if set, only the first so many tasks that ended may be forgotten by now.
    """

    wake_fd: int | None = None

    def __init__(
        self,
        record_limit: int = 20_000,
        size_limit: int = 1 << 30,
        first_number: int = 0,
        forgotten: Callable[[MsgId], None] | None = None,
    ) -> None:
        self._record_limit = record_limit
        self._size_limit = size_limit
        self._forgotten = forgotten
        self._groups = Groups()
        self._latest: Group | None = None
        self._others: dict[MsgId, int] = {}  # ids that have no number, and the one they are given
        self._n_others = 0
        self.next_number: int = first_number
        self.n_ended: int = 0
        self._n_records = 0
        self._n_finished = 0
        self._n_dead = 0
        self._size_bytes = 0
        self._ended: deque[Span] = deque()
        self._culled = Ranges()
        self._n_culled = 0
        self._resubmitted: dict[MsgId, MsgId] = {}
        self._functions: OrderedDict[Digest, bytes] = OrderedDict()
        self._functions_bytes = 0
        self.may_cull: int | None = None

    def __len__(self) -> int:
        return self._n_records

    # ------------------------------------------------------------ what happens to tasks

    def put_submitted(self, batch: Submission) -> None:
        calls = calls_of(batch)
        for prefix, first, start, stop in self._runs_of(calls.msg_ids):
            if self._groups.is_free(prefix, first, first + stop - start):
                self._begin(prefix, first, calls, start, stop)
                continue
            for i in range(start, stop):
                number = first + i - start
                if self._groups.is_free(prefix, number, number + 1):
                    self._begin(prefix, number, calls, i, i + 1)

    def _begin(self, prefix: str, first: int, calls: Calls, start: int, stop: int) -> None:
        """Begin the records from *start* up to *stop* in *calls*."""
        n = stop - start
        group = self._latest
        if (
            group is None
            or prefix == NO_NUMBER
            or (group.prefix, group.end) != (prefix, first)
            or group.order + len(group.begins) != self.next_number
            or len(group.begins) + n > MOST_TASKS
        ):
            name = calls.msg_ids[start] if prefix == NO_NUMBER else None
            group = self._latest = new_group(prefix, first, self.next_number, name)
        place = len(group.begins)
        group.extend(calls.begins[start:stop], calls.payloads[start:stop])
        self._groups.add(group, first if place else None)
        for i in range(start, stop) if calls.buffers else ():
            if i in calls.buffers:
                group.extras[place + i - start] = Extra(*calls.buffers[i])
        self.next_number += n
        self._n_records += n

    def put_ended(self, batch: Ending) -> None:
        for ends in ends_of(batch):
            for prefix, number, start, stop in self._runs_of(ends.msg_ids):
                while start < stop:
                    group = self._groups.find(prefix, number)
                    if group is None:  # it ended before it was accepted
                        begin = Begin(batch.client, "task", known_or_zero(batch.wall))
                        calls = Calls([ends.msg_ids[start]], [begin], [b""])
                        self._begin(prefix, number, calls, 0, 1)
                        continue
                    n = min(stop - start, group.end - number)
                    self._end_some(group, number - group.first, ends, start, n)
                    start, number = start + n, number + n
        self.cull()

    def _end_some(self, group: Group, place: int, ends: Ends, start: int, n: int) -> None:
        """Finish those of *n* records that have not ended before."""
        if n == 1:
            if group.ends[place] is None and group.begins[place] is not None:
                self._end_one(group, place, ends, start)
            return
        if group.is_running(place, place + n):
            self._end(group, place, ends, start, n)
            return
        for i in range(n):
            self._end_some(group, place + i, ends, start + i, 1)

    def _end_one(self, group: Group, place: int, ends: Ends, i: int) -> None:
        """Finish one record, which is at *i* in *ends*; as `_end`, but three times as fast."""
        group.ends[place] = ends.ends[i]
        group.results[place] = ends.payloads[i]
        group.started[place], group.until[place] = ends.started[i], ends.until[i]
        size_bytes = len(group.payloads[place]) + len(ends.payloads[i])
        if ends.buffers or ends.texts or group.extras:
            self._note_extras(group, place, ends, i, i + 1)
            size_bytes = group.size_bytes(place, place + 1)
        self._note_ended(group, place, place + 1, size_bytes)

    def _end(self, group: Group, place: int, ends: Ends, start: int, n: int) -> None:
        """Finish *n* records in a row; *start* is where they are in *ends*."""
        stop, after = start + n, place + n
        group.ends[place:after] = ends.ends[start:stop]
        group.results[place:after] = ends.payloads[start:stop]
        group.started[place:after] = ends.started[start:stop]
        group.until[place:after] = ends.until[start:stop]
        if ends.buffers or ends.texts:
            self._note_extras(group, place, ends, start, stop)
        self._note_ended(group, place, after, group.size_bytes(place, after))

    def _note_extras(self, group: Group, place: int, ends: Ends, start: int, stop: int) -> None:
        """Note what only few results have."""
        for i in range(start, stop):
            if i in ends.texts or i in ends.buffers:
                extra = group.extras.setdefault(place + i - start, Extra())
                extra.n_text = ends.ends[i].size_bytes
                extra.n_result, extra.result = ends.buffers.get(i, (0, None))

    def _note_ended(self, group: Group, start: int, stop: int, size_bytes: int) -> None:
        n = stop - start
        self._n_finished += n
        self.n_ended += n
        self._size_bytes += size_bytes
        last = self._ended[-1] if self._ended else None
        if last is not None and last.group is group and last.stop == start:
            last.stop, last.last = stop, self.n_ended
            last.size_bytes += size_bytes
        else:
            self._ended.append(Span(group, start, stop, self.n_ended, size_bytes))

    # ------------------------------------------------------------ forgetting

    def cull(self) -> None:
        """Forget what ended first, until both bounds are kept to."""
        while self._ended and (
            self._n_finished > self._record_limit or self._size_bytes > self._size_limit
        ):
            span = self._ended[0]
            n = min(max(self._n_finished - self._record_limit, 1), span.stop - span.start)
            if self.may_cull is not None:
                n = min(n, self.may_cull - span.last + span.stop - span.start)
            if n <= 0:
                break
            self._cull_first(span, n)

    def _cull_first(self, span: Span, n: int) -> None:
        group, start, stop = span.group, span.start, span.start + n
        is_whole = group.has_ended(start, stop)
        size_bytes = span.size_bytes
        if stop < span.stop or group.has_holes:
            size_bytes = group.size_bytes(start, stop)
        span.start, span.size_bytes = stop, span.size_bytes - size_bytes
        if span.start == span.stop:
            self._ended.popleft()
        if is_whole:
            self._expire(group, start, stop, size_bytes)
            return
        for i in range(start, stop):
            if group.ends[i] is not None:
                self._expire(group, i, i + 1, group.size_bytes(i, i + 1))

    def _expire(self, group: Group, start: int, stop: int, size_bytes: int) -> None:
        if group.name is not None:
            self._culled.add_other(group.name)
        else:
            self._culled.add(group.prefix, group.first + start, group.first + stop)
        self._n_culled += stop - start
        if group.extras and self._forgotten is not None:
            for i in range(start, stop):
                if i in group.extras:
                    self._forgotten(group.msg_id(i))
        self._drop(group, start, stop, size_bytes)

    def _drop(self, group: Group, start: int, stop: int, size_bytes: int) -> None:
        """Forget records that have ended."""
        n = stop - start
        self._size_bytes -= size_bytes
        self._n_finished -= n
        self._n_records -= n
        for i in range(start, stop) if self._resubmitted else ():
            self._resubmitted.pop(group.msg_id(i), None)
        if group.name is not None:
            del self._others[group.name]
        group.drop(start, stop)
        if not group.n_kept:
            self._groups.remove(group)
            if group is self._latest:
                self._latest = None

    def remove(self, msg_ids: Collection[MsgId]) -> None:
        for msg_id in msg_ids:
            found = self._find(msg_id)
            if found is not None and found[0].ends[found[1]] is not None:
                self._remove_at(*found)
        if self._n_dead > max(MOST_DEAD, self._n_finished):
            self._ended = deque(s for s in self._ended if any(s.group.ends[s.start : s.stop]))
            self._n_dead = 0

    def remove_finished(self) -> None:
        for group in list(self._groups):
            for i in group.places():
                if group.ends[i] is not None:
                    self._remove_at(group, i)
        self._ended.clear()
        self._n_dead = 0

    def _remove_at(self, group: Group, place: int) -> None:
        group.has_holes = True
        self._drop(group, place, place + 1, group.size_bytes(place, place + 1))
        self._n_dead += 1

    # ------------------------------------------------------------ questions

    def get(self, msg_id: MsgId) -> TaskRecord | Absent:
        """Return a record, or why there is none."""
        found = self._find(msg_id)
        if found is not None:
            return found[0].record(found[1], self._resubmitted.get(msg_id))
        return Absent.EXPIRED if msg_id in self._culled else Absent.UNKNOWN

    def __contains__(self, msg_id: MsgId) -> bool:
        return self._find(msg_id) is not None

    def __iter__(self) -> Iterator[TaskRecord]:
        """Yield all records in the order in which they were submitted."""
        for group in sorted(self._groups, key=attrgetter("order")):
            for i in list(group.places()):
                if group.begins[i] is not None:  # it may have gone meanwhile
                    yield group.record(i, self._resubmitted.get(group.msg_id(i)))

    def find(self, msg_ids: Collection[MsgId], then: Then[Found]) -> None:
        then({msg_id: self.get(msg_id) for msg_id in msg_ids})

    def search(self, wanted: Filter, then: Then[list[TaskRecord]]) -> None:
        then(self.matching(wanted))

    def matching(self, wanted: Filter) -> list[TaskRecord]:
        """Return the records that *wanted* fits, in the order in which they were submitted."""
        return [record for record in self if wanted.fits(record)]

    def history(self, then: Then[list[MsgId]]) -> None:
        then([msg_id for _, msg_id in self.numbered()])

    def count(self, then: Then[int]) -> None:
        then(self._n_records)

    def numbered(self) -> list[tuple[int, MsgId]]:
        """Return the ids of all records behind their places in the order of submission."""
        groups = sorted(self._groups, key=attrgetter("order"))
        return [(group.order + i, group.msg_id(i)) for group in groups for i in group.places()]

    def put_functions(self, functions: Mapping[Digest, bytes]) -> None:
        for digest, pickle in functions.items():
            self._functions_bytes += len(pickle) - len(self._functions.pop(digest, b""))
            self._functions[digest] = pickle
        while self._functions_bytes > FUNCTIONS_BYTES:
            self._functions_bytes -= len(self._functions.popitem(last=False)[1])

    def find_functions(
        self, digests: Collection[Digest], then: Then[Mapping[Digest, bytes]]
    ) -> None:
        then(self.functions(digests))

    def functions(self, digests: Collection[Digest]) -> dict[Digest, bytes]:
        """Return the pickles of those of these functions that are kept."""
        return {d: self._functions[d] for d in digests if d in self._functions}

    def resubmitted(self, renamed: Mapping[MsgId, MsgId]) -> None:
        self._resubmitted.update({old: new for old, new in renamed.items() if old in self})

    def collect(self) -> None:
        """Nothing to do: every answer was given at once."""

    def condition(self) -> StoreCondition:
        return StoreCondition("memory", "", self._n_records, self._n_finished, self._n_culled)

    def close(self) -> None:
        """Nothing to do: what is in memory ends with the process."""

    def _runs_of(self, msg_ids: list[MsgId]) -> Iterator[Run]:
        """Divide ids into runs; each id that has no number is given one, as a run of its own."""
        for run in runs_of(msg_ids):
            if run.prefix != NO_NUMBER:
                yield run
                continue
            msg_id = msg_ids[run.start]
            if msg_id not in self._others:
                self._others[msg_id] = self._n_others
                self._n_others += 1
            yield run._replace(first=self._others[msg_id])

    def _find(self, msg_id: MsgId) -> tuple[Group, int] | None:
        """Return where a record is; None if there is none."""
        prefix, number = split(msg_id) or (NO_NUMBER, self._others.get(msg_id, -1))
        group = self._groups.find(prefix, number)
        if group is None or group.begins[number - group.first] is None:
            return None
        return group, number - group.first
