"""From what was measured to medians and ratios. Pure arithmetic.

A *turn* is one repetition: what each side measured right after the other. Ratios are taken within
a turn, so that a slow minute of the machine is in both of its halves, and their median is shown.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.targets import Target

OURS = "ours"

Measured = Mapping[str, float]  # a figure for each metric
Turn = Mapping[str, Measured]  # what each side measured


@dataclass(frozen=True, slots=True)
class Contest:
    """Ours beside one peer, over all repetitions of one workload.

    Attributes:
        peer: the other side; ours itself where there is none.
        turns: in the order in which they were taken.
        problem: why there are no more turns, empty if there are all of them.
    """

    workload: str
    peer: str
    turns: Sequence[Turn] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target beside what was measured.

    Attributes:
        ours: the median of ours, None if it was not measured.
        theirs: the median of the yardstick, None if there is none or it was not measured.
        value: what the target is about: ours, or the ratio of the two.
    """

    target: Target
    ours: float | None
    theirs: float | None
    value: float | None

    @property
    def is_reached(self) -> bool | None:
        return None if self.value is None else self.target.is_reached(self.value)


@dataclass(slots=True)
class Figures:
    """All contests of a run."""

    contests: list[Contest] = field(default_factory=list)

    def median(self, workload: str, metric: str, side: str) -> float | None:
        """Return the median over everything that *side* measured; None if that is nothing."""
        return median(
            turn[side][metric] for turn in self._turns(workload) if metric in turn.get(side, {})
        )

    def ratio(self, workload: str, metric: str, peer: str) -> float | None:
        """Return the median, over the turns that both took, of ours divided by the peer's."""
        return median(
            turn[OURS][metric] / turn[peer][metric]
            for turn in self._turns(workload)
            if metric in turn.get(OURS, {}) and turn.get(peer, {}).get(metric)
        )

    def n_tasks(self, workload: str, side: str) -> float | None:
        """Return the least number of tasks that *side* was given, if that was counted."""
        return min(
            (turn[side]["n"] for turn in self._turns(workload) if "n" in turn.get(side, {})),
            default=None,
        )

    def verdict(self, target: Target) -> Verdict:
        """Hold a target against what was measured."""
        ours = self.median(target.workload, target.metric, OURS)
        if not target.yardstick:
            return Verdict(target, ours, None, ours)
        theirs = self.median(target.workload, target.metric, target.yardstick)
        ratio = self.ratio(target.workload, target.metric, target.yardstick)
        return Verdict(target, ours, theirs, ratio)

    def problems(self) -> list[Contest]:
        return [contest for contest in self.contests if contest.problem]

    def _turns(self, workload: str) -> Iterator[Turn]:
        for contest in self.contests:
            if contest.workload == workload:
                yield from contest.turns


def median(values: Iterable[float]) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None
