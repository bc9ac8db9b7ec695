"""How much an engine holds, and whether it may hold more: the high-water mark.

A mark of 0 is no limit and *n* is n tasks. The default holds time instead of a count: as many
tasks as are expected to fill a few milliseconds, and one at a time while nobody knows how long
the function takes. So long tasks are balanced one by one, and short ones flow.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
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
        held: its unfinished jobs by msg_id, oldest first.
        held_s: how long they are expected to take together.
        suspect: it has been silent, and gets no new work.
        stuck: its task takes far longer than expected; it gets nothing until that has ended.
        quiet_since: when it last began to hold something, or finished something.
        last_used: when it last got a task, counting all assignments.
    """

    __slots__ = ("engine", "held", "held_s", "last_used", "quiet_since", "stuck", "suspect")

    def __init__(self, engine: EngineId, now: float) -> None:
        self.engine = engine
        self.held: dict[MsgId, Job] = {}
        self.held_s = 0.0
        self.suspect = False
        self.stuck = False
        self.quiet_since = now
        self.last_used = 0

    @property
    def load(self) -> int:
        return len(self.held)

    def hold(self, job: Job) -> None:
        self.held[job.msg_id] = job
        self.held_s += job.cost_s

    def release(self, job: Job) -> None:
        del self.held[job.msg_id]
        # Sums of floats drift; an empty engine holds nothing.
        self.held_s = self.held_s - job.cost_s if self.held else 0.0


class Estimates:
    """How long each function takes, as a moving average over the batches that came back."""

    def __init__(self) -> None:
        self._run_s: OrderedDict[Digest, float] = OrderedDict()

    def cost_s(self, function: Digest) -> float:
        """Return the expected cost of one call; the whole window if it is not known."""
        known = self._run_s.get(function)
        return WINDOW_S if known is None else known + OVERHEAD_S

    def learn(self, attempts: Iterable[tuple[Digest, float]]) -> None:
        """Note how long each attempt of one batch ran, in seconds."""
        runs: dict[Digest, list[float]] = {}
        for function, run_s in attempts:
            runs.setdefault(function, []).append(max(0.0, run_s))
        for function, each_s in runs.items():
            self._learn(function, sum(each_s) / len(each_s))

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
    return hwm == 0 or len(state.held) < hwm
