"""How much an engine holds, and whether it may hold more: the high-water mark.

A mark of 0 is no limit and *n* is n tasks. The default holds time instead of a count: as many
tasks as are expected to fill a few milliseconds, and one at a time while nobody knows how long
the function takes. So long tasks are balanced one by one, and short ones flow.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from itertools import chain
from typing import Final

from hippodrome.protocol.messages import Digest, EngineId, MsgId
from hippodrome.scheduler.job import Job

AUTO: Final = -1
WINDOW_S: Final = 0.005
OVERHEAD_S: Final = 10e-6  # what an engine needs around the shortest task
FUNCTIONS_REMEMBERED: Final = 4096
NEW_WEIGHT: Final = 0.3


class EngineState:
    """One engine, as the task scheduler sees it.

    Attributes:
        held: its unfinished jobs, oldest first.
        load: how many tasks they are.
        held_s: how long these are expected to take together.
        suspect: it has been silent, and gets no new work.
        stuck: its task takes far longer than expected; it gets nothing until that has ended.
        quiet_since: when it last began to hold something, or finished something.
        last_used: when it last got a task, counting all assignments.
    """

    __slots__ = ("engine", "held", "held_s", "last_used", "load", "quiet_since", "stuck", "suspect")

    def __init__(self, engine: EngineId, now: float) -> None:
        self.engine: EngineId = engine
        self.held: dict[Job, None] = {}
        self.load: int = 0
        self.held_s: float = 0.0
        self.suspect: bool = False
        self.stuck: bool = False
        self.quiet_since: float = now
        self.last_used: int = 0

    @property
    def msg_ids(self) -> list[MsgId]:
        """The unfinished tasks, oldest first."""
        return list(chain.from_iterable(job.msg_ids for job in self.held))

    def hold(self, job: Job) -> None:
        n = len(job.msg_ids)
        self.held[job] = None
        self.load += n
        self.held_s += n * job.cost_s

    def release(self, job: Job) -> None:
        n = len(job.msg_ids)
        del self.held[job]
        self.load -= n
        # Sums of floats drift; an empty engine holds nothing.
        self.held_s = self.held_s - n * job.cost_s if self.held else 0.0

    def release_first(self, job: Job, n: int) -> Job:
        """Let go of the first *n* tasks of a job, or of all, and return them as a job."""
        if n == len(job.msg_ids):
            self.release(job)
            return job
        self.load -= n
        self.held_s -= n * job.cost_s
        return job.split(n)

    def replace(self, job: Job, pieces: Iterable[Job]) -> None:
        """Hold the pieces of *job* in its place."""
        held = [(held,) if held is not job else tuple(pieces) for held in self.held]
        self.held = dict.fromkeys(chain.from_iterable(held))


class Estimates:
    """How long each function takes, as a moving average over the batches that came back."""

    def __init__(self) -> None:
        self._run_s: OrderedDict[Digest, float] = OrderedDict()

    def cost_s(self, function: Digest) -> float:
        """Return the expected cost of one call; the whole window if it is not known."""
        known = self._run_s.get(function)
        return WINDOW_S if known is None else known + OVERHEAD_S

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
    if state.suspect:
        return False
    if hwm == AUTO:
        return not state.held or (state.held_s < WINDOW_S and not state.stuck)
    return hwm == 0 or state.load < hwm


def room_for(state: EngineState, hwm: int, cost_s: float) -> float:
    """Return how many tasks, each of which takes *cost_s*, an engine with room may be sent."""
    if hwm == AUTO:
        return max(1, math.ceil((WINDOW_S - state.held_s) / cost_s))
    return hwm - state.load if hwm else math.inf
