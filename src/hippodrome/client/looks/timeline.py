"""Which engine did what when: the tasks of a call as bars in lanes, few enough to be drawn.

Times of what is drawn are in seconds since submission. Engines on other hosts have clocks of their
own, so that a task may seem to have begun before that.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, product
from operator import itemgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hippodrome.client.results.slot import Slot

PENDING: Final = "pending"
OK: Final = "ok"
ABORTED: Final = "aborted"
ERROR: Final = "error"
KINDS: Final = (PENDING, OK, ABORTED, ERROR)  # the last is drawn over the others

MOST_BARS: Final = 500  # up to so many tasks have a bar each
MOST_LANES: Final = 32
MOST_CELLS: Final = 300  # in a lane, beyond that
CELLS_IN_ALL: Final = 2400
_SHORTEST_S: Final = 1e-6
_FOREVER: Final = 1e11  # no clock shows that

_KIND: Final = {OK: OK, ABORTED: ABORTED}  # whatever else may become of a task is an error


class Track:
    """The tasks that one engine did and that ended alike: columns, as a call may have a million.

    Attributes:
        starts: in seconds since submission.
        ends: the same.
        numbers: within the call.
    """

    ends: array[float]
    numbers: array[int]
    starts: array[float]

    __slots__ = ("ends", "numbers", "starts")

    def __init__(self) -> None:
        self.starts, self.ends, self.numbers = array("d"), array("d"), array("Q")

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def ran_s(self) -> float:
        """How long they ran, all together."""
        return sum(self.ends) - sum(self.starts)


# By engine and kind; no engine for tasks that never reached one.
Work = dict[tuple[int | None, str], Track]


@dataclass(frozen=True, slots=True)
class TaskBar:
    """One task; or, if there are many, some that ended alike and of which the gaps are invisible.

    Attributes:
        start: seconds since submission.
        end: the same; equal to *start* if the task never ran.
        kind: one of `KINDS`.
        task: its number within the call; None if there are many.
    """

    start: float
    end: float
    kind: str
    task: int | None = None


@dataclass(frozen=True, slots=True)
class EngineLane:
    """One engine, or several.

    Attributes:
        label: which.
        bars: what is drawn, in order of `KINDS`.
        counts: tasks by kind.
        busy: the part of the time in which tasks ran, from 0 to 1; None for no engine.
    """

    label: str
    bars: Sequence[TaskBar]
    counts: Counter[str]
    busy: float | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Lanes over one axis, which reaches from *begin* to *end*, in seconds since submission."""

    lanes: Sequence[EngineLane]
    begin: float
    end: float

    @property
    def span_s(self) -> float:
        return self.end - self.begin


def work_of(
    slots: Iterable[Slot | None], submitted: float, is_flawed: Callable[[Slot], bool] | None = None
) -> Work:
    """Return what is known of the tasks that have ended.

    Args:
        slots: as in `TaskSlots`.
        submitted: when the call was made, in seconds since the epoch.
        is_flawed: tells of a task that ended well whether it counts as an error all the same.
    """
    work: Work = {}
    kind = _KIND.get
    for number, slot in enumerate(slots):
        if slot is None:
            continue
        result = slot.result
        start, end = result.started, result.completed
        if not 0.0 < start <= end < _FOREVER:  # it never ran: it ends when that was known
            start = end = slot.received
        status = result.status
        if is_flawed is not None and status == OK and is_flawed(slot):
            status = ERROR
        key = result.engine, kind(status, ERROR)
        track = work.get(key)
        if track is None:
            track = work[key] = Track()
        track.starts.append(start - submitted)
        track.ends.append(end - submitted)
        track.numbers.append(number)
    return work


def add_waiting(work: Work, slots: Iterable[object], targets: Iterable[int], now: float) -> None:
    """Add the tasks that have no result, where it is known which engine has them.

    Args:
        work: changed.
        slots: None for each of these tasks.
        targets: an engine for each slot.
        now: in seconds since submission.
    """
    for number, (slot, engine) in enumerate(zip(slots, targets, strict=False)):
        if slot is None:
            track = work.setdefault((engine, PENDING), Track())
            track.starts.append(0.0)
            track.ends.append(max(0.0, now))
            track.numbers.append(number)


def counts_of(work: Work) -> Counter[str]:
    """Return how many tasks there are of each kind."""
    counts: Counter[str] = Counter()
    for (_, kind), track in work.items():
        counts[kind] += len(track)
    return counts


def fold(work: Work, now: float) -> Timeline:
    """Return what to draw.

    Args:
        work: what the engines did.
        now: until when to draw, if that ended earlier, in seconds since submission.

    Complexity:
        O(number of tasks).
    """
    begin = min((min(track.starts) for track in work.values()), default=0.0)
    end = max((max(track.ends) for track in work.values()), default=0.0)
    shown = Timeline((), min(0.0, begin), max(end, now, _SHORTEST_S))
    groups = _groups(work)
    is_long = sum(map(len, work.values())) > MOST_BARS
    cells = min(MOST_CELLS, CELLS_IN_ALL // max(1, len(groups))) if is_long else 0
    lanes = [_lane(engines, work, shown, cells) for engines in groups]
    return Timeline(lanes, shown.begin, shown.end)


def _groups(work: Work) -> list[list[int | None]]:
    """Return the engines of each lane; last what ran on no engine."""
    engines = sorted({engine for engine, _ in work if engine is not None})
    size = -(-len(engines) // MOST_LANES) or 1
    groups: list[list[int | None]] = [
        [*engines[i : i + size]] for i in range(0, len(engines), size)
    ]
    return [*groups, [None]] if any(engine is None for engine, _ in work) else groups


def _lane(engines: Sequence[int | None], work: Work, shown: Timeline, cells: int) -> EngineLane:
    found = ((kind, work.get((engine, kind))) for kind in KINDS for engine in engines)
    tracks = [(kind, track) for kind, track in found if track is not None]
    counts = counts_of({key: work[key] for key in product(engines, KINDS) if key in work})
    ran_s = sum(track.ran_s for kind, track in tracks if kind != PENDING)
    busy = min(1.0, max(0.0, ran_s / shown.span_s / len(engines)))
    bars = _merged(tracks, shown, cells) if cells else _single(tracks)
    return EngineLane(_lane_label(engines), bars, counts, None if engines == [None] else busy)


def _lane_label(engines: Sequence[int | None]) -> str:
    if engines[0] is None:
        return "no engine"
    if len(engines) == 1:
        return f"engine {engines[0]}"
    return f"{engines[0]}\N{EN DASH}{engines[-1]}"


def _single(tracks: Iterable[tuple[str, Track]]) -> list[TaskBar]:
    return [
        TaskBar(start, end, kind, number)
        for kind, track in tracks
        for start, end, number in zip(track.starts, track.ends, track.numbers, strict=True)
    ]


def _merged(tracks: Sequence[tuple[str, Track]], shown: Timeline, cells: int) -> list[TaskBar]:
    """Return bars of whole cells: those in which anything of a kind happened."""
    width = shown.span_s / cells
    return [
        TaskBar(shown.begin + first * width, shown.begin + after * width, kind)
        for kind, alike in groupby(tracks, itemgetter(0))
        for first, after in _stretches(_changes([track for _, track in alike], shown, cells))
    ]


def _changes(tracks: Iterable[Track], shown: Timeline, cells: int) -> Iterable[int]:
    """Return by how much the number of tasks that run changes from cell to cell."""
    scale, begin = cells / shown.span_s * (1 - 1e-9), shown.begin  # the end is in the last cell
    starts: Counter[int] = Counter()
    ends: Counter[int] = Counter()
    for track in tracks:
        starts.update([int((time - begin) * scale) for time in track.starts])
        ends.update([int((time - begin) * scale) for time in track.ends])
    return (starts[cell] - ends[cell - 1] for cell in range(cells + 1))


def _stretches(changes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield where the sum of *changes* begins to be positive, and where it ends to be."""
    place = 0
    for is_busy, cells in groupby(accumulate(changes), bool):
        first, place = place, place + sum(1 for _ in cells)
        if is_busy:
            yield first, place
