"""How much an engine holds, and whether it may hold more: the high-water mark.

A mark of 0 is no limit and *n* is n tasks. The default holds time instead of a count: as many
tasks as are expected to fill a few milliseconds, and one at a time while nobody knows how long
the function takes. So long tasks are balanced one by one, and short ones flow. An engine that is
far away holds as much more as fills the way there and back; and where a task is not so long that
the way does not matter, one besides the one that runs.

Calls that name an engine stand in the same line there. They count, and as nobody knows how long
they take, the default gives the engine nothing until they have ended. So that a stream of such
calls that never ends keeps no engine from all tasks, they take turns: when those have ended that
were there at the last turn, tasks may stand behind the others.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Container, Iterable
from itertools import chain, groupby
from typing import Final

from msgspec import structs

from hippodrome.protocol.messages import Digest, EngineId, MsgId
from hippodrome.scheduler.events import Serial
from hippodrome.scheduler.job import Assigned, Job
from hippodrome.scheduler.roundtrips import RoundTrips

AUTO: Final = -1
WINDOW_S: Final = 0.005
OVERHEAD_S: Final = 10e-6  # what an engine needs around the shortest task
FUNCTIONS_REMEMBERED: Final = 4096
NEW_WEIGHT: Final = 0.3
RECALL_AFTER_S: Final = 0.05
WORTH_IT: Final = 20  # times as long as the way: of longer tasks none is sent ahead


class EngineState:
    """One engine, as the task scheduler sees it.

    Attributes:
        held: its unfinished jobs, oldest first, each with where it stands.
        load: how many tasks they are.
        n_named: how many calls that name it are unfinished.
        n_named_ended: how many have ended, ever.
        turn_at: how many of them must have ended before it is the tasks' turn.
        held_s: how long these are expected to take together.
        suspect: it has been silent, and gets no new work.
        stuck: what it runs takes far longer than expected; it gets nothing until that has ended.
        quiet_since: when it last began to hold something, or finished something.
        recall_after_s: how long it must be quiet before it is asked for what it has not begun.
        last_used: when it last got a task, counting all assignments.
        trips: how far away it is.
    """

    __slots__ = (
        "engine", "held", "held_s", "last_used", "load", "n_named", "n_named_ended", "quiet_since",
        "recall_after_s", "stuck", "suspect", "trips", "turn_at",
    )  # fmt: skip

    def __init__(self, engine: EngineId, now: float) -> None:
        self.engine: EngineId = engine
        self.held: dict[Job, Assigned] = {}
        self.load: int = 0
        self.n_named: int = 0
        self.n_named_ended: int = 0
        self.turn_at: int = 0
        self.held_s: float = 0.0
        self.suspect: bool = False
        self.stuck: bool = False
        self.quiet_since: float = now
        self.recall_after_s: float = RECALL_AFTER_S
        self.last_used: int = 0
        self.trips: RoundTrips = RoundTrips()

    @property
    def msg_ids(self) -> list[MsgId]:
        """The unfinished tasks, oldest first."""
        return list(chain.from_iterable(job.msg_ids for job in self.held))

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do, and may get something."""
        return not (self.held or self.n_named or self.suspect)

    @property
    def rank(self) -> int:
        """How much it has to do, as the schemes compare it."""
        return self.load + self.n_named

    @property
    def has_waiting(self) -> bool:
        """Whether some of what it holds has not begun, for all that is known."""
        return self.load > 1 or (self.n_named > 0 and any(map(self.waits, self.held.values())))

    def waits(self, place: Assigned) -> bool:
        """Tell whether a job that stands at *place* is behind a call that names this engine."""
        return place.n_before > self.n_named_ended

    def progress(self, now: float) -> None:
        """Something has ended here."""
        self.quiet_since = now
        self.stuck = False
        self.recall_after_s = RECALL_AFTER_S

    def occupy(self, n: int) -> bool:
        """So many calls by name are unfinished now; return whether it is the tasks' turn."""
        if n >= self.n_named:
            if not self.n_named:
                self.turn_at = self.n_named_ended + n
            self.n_named = n
            return False
        self.n_named_ended += self.n_named - n
        self.n_named = n
        if self.n_named_ended < self.turn_at:
            return False
        self.turn_at = self.n_named_ended + n
        return True

    def let_wait(self) -> None:
        """Something has come before all that is held here."""
        for place in self.held.values():
            place.n_before = self.n_named_ended + self.n_named

    def hold(self, job: Job, serial: Serial, cost_s: float) -> None:
        """Let *job*, whose tasks cost so much each, be here from that serial number on."""
        place = Assigned(self.engine, serial, cost_s, self.n_named_ended + self.n_named)
        job.move(place)
        n = len(job.msg_ids)
        self.held[job] = place
        self.load += n
        self.held_s += n * cost_s

    def release(self, job: Job) -> Assigned:
        """Let go of *job*, and return where it stood."""
        n = len(job.msg_ids)
        place = self.held.pop(job)
        self.load -= n
        # Sums of floats drift; an empty engine holds nothing.
        self.held_s = self.held_s - n * place.cost_s if self.held else 0.0
        return place

    def release_first(self, job: Job, n: int) -> tuple[Job, Assigned]:
        """Let go of the first *n* tasks of a job, or of all; return them as a job."""
        if n == len(job.msg_ids):
            return job, self.release(job)
        self.load -= n
        self.held_s -= n * self.held[job].cost_s
        return self.split(job, n)

    def split(self, job: Job, n: int) -> tuple[Job, Assigned]:
        """Return the first *n* tasks of *job*, which stands here, as one that does, too."""
        first, place = job.split(n), self.held[job]
        first.state = its_place = structs.replace(place)
        place.serial += n
        return first, its_place

    def cut(self, job: Job, chosen: Container[MsgId]) -> list[tuple[bool, Job]]:
        """Hold pieces of *job* in its place, such that all tasks of one are *chosen*, or none is.

        Returns:
            The pieces in order, each with whether its tasks are chosen; the last one is *job*.
        """
        runs = [(chose, len(list(run))) for chose, run in groupby(i in chosen for i in job.msg_ids)]
        pieces = [(chose, *self.split(job, n)) for chose, n in runs[:-1]]
        pieces.append((runs[-1][0], job, self.held[job]))
        if len(pieces) > 1:
            in_its_place = [(piece, place) for _, piece, place in pieces]
            each = ([held] if held[0] is not job else in_its_place for held in self.held.items())
            self.held = dict(chain.from_iterable(each))
        return [(chose, piece) for chose, piece, _ in pieces]


class Estimates:
    """How long each function takes, as a moving average over the batches that came back."""

    def __init__(self) -> None:
        self._run_s: OrderedDict[Digest, float] = OrderedDict()

    def cost_s(self, function: Digest, away_s: float = 0.0) -> float:
        """Return the expected cost of one call; if it is not known, all that there is room for."""
        known = self._run_s.get(function)
        return WINDOW_S + WORTH_IT * away_s if known is None else known + OVERHEAD_S

    def learn(self, attempts: Iterable[tuple[Digest, float, int]]) -> None:
        """Note how long the attempts of one batch ran.

        Args:
            attempts: function, seconds that it ran, and in how many attempts.
        """
        runs: dict[Digest, tuple[float, int]] = {}
        for function, run_s, n in attempts:
            sum_s, sum_n = runs.get(function, (0.0, 0))
            runs[function] = (sum_s + max(0.0, run_s), sum_n + n)
        for function, (sum_s, sum_n) in runs.items():
            self._learn(function, sum_s / sum_n)

    def _learn(self, function: Digest, mean_s: float) -> None:
        old = self._run_s.pop(function, mean_s)
        self._run_s[function] = old + NEW_WEIGHT * (mean_s - old)
        if len(self._run_s) > FUNCTIONS_REMEMBERED:
            self._run_s.popitem(last=False)


def has_room(state: EngineState, hwm: int) -> bool:
    """Tell whether the engine may be sent one more task."""
    if state.n_named and (hwm == AUTO or state.stuck or 0 < hwm <= state.rank):
        return False
    return has_turn(state, hwm)


def has_turn(state: EngineState, hwm: int) -> bool:
    """Tell the same, but for the calls that name the engine."""
    if state.suspect:
        return False
    if hwm == AUTO:
        return not state.held or (not state.stuck and _holds_little(state))
    return hwm == 0 or state.load < hwm


def _holds_little(state: EngineState) -> bool:
    """Tell whether an engine may run out of work before it can be sent more."""
    held_s, away_s = state.held_s, state.trips.away_s
    if held_s < WINDOW_S + away_s:
        return True
    return away_s > 0.0 and state.load == 1 and held_s <= WORTH_IT * away_s


def room_for(state: EngineState, hwm: int, cost_s: float) -> float:
    """Return how many tasks, each of which takes *cost_s*, an engine with room may be sent."""
    if hwm == AUTO:
        room_s = WINDOW_S + state.trips.away_s - state.held_s
        return max(1, math.ceil(room_s / cost_s))
    return max(1, hwm - state.load - state.n_named) if hwm else math.inf
