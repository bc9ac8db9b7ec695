"""Runs the workloads over hosts: each side in turn, and tables of what came."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks import environments
from benchmarks.far import measures
from benchmarks.far.farm import CLUSTERS, Cluster, Farm
from benchmarks.far.measures import Figures as Measured
from benchmarks.far.measures import Side
from benchmarks.far.workloads import FAR_TARGETS, FAR_WORKLOADS, FLOOR, FarWorkload
from benchmarks.figures import OURS, Contest, Figures, Turn
from benchmarks.report import number, table
from benchmarks.runner import say
from benchmarks.session import PeerError
from benchmarks.targets import Target
from benchmarks.workloads import Metric

HOSTS: Final = 4
BEFORE: Final = "before"  # ours, of other sources


class Run:
    """All chosen workloads; clusters stay from one to the next that wants the same.

    Args:
        farm: the lab.
        options: those of the command line.
    """

    def __init__(self, farm: Farm, options: Any) -> None:
        self._farm, self._peers, self._cache = farm, options.peers, options.cache.expanduser()
        self._repetitions, self._quick = options.repetitions, options.quick
        self._before: Path | None = options.before
        self._sides: dict[str, Side] = {}
        self._layout: tuple[Any, ...] = ()
        self._stack = ExitStack()

    def contest(self, workload: FarWorkload) -> Contest:
        """Measure one workload."""
        turns: list[Turn] = []
        arguments = {**workload.parameters, **(workload.quick if self._quick else {})}
        repetitions = self._repetitions or (1 if self._quick else workload.repetitions)
        try:
            measuring = self._measuring(workload)
            with ExitStack() as stack:
                if workload.rate:
                    stack.enter_context(self._farm.slowed(workload.rate))
                for _ in range(repetitions):
                    turns.append(self._turn(measuring, arguments))  # noqa: PERF401, it may fail
        except PeerError as error:
            return Contest(workload.name, "", turns, str(error))
        return Contest(workload.name, "", turns)

    def _turn(
        self, measuring: dict[str, Callable[..., Measured]], arguments: dict[str, int]
    ) -> Turn:
        """Let each side measure once; another's that fails takes part no more."""
        turn: dict[str, Measured] = {}
        for side, measure in [*measuring.items()]:
            try:
                turn[side] = measure(**arguments)
            except PeerError as error:
                if side == OURS:
                    raise
                say(f" without  {side}: {error}")
                del measuring[side]
        return turn

    def close(self) -> None:
        """Stop whatever runs."""
        self._stack.close()
        self._sides.clear()

    def _measuring(self, workload: FarWorkload) -> dict[str, Callable[..., Measured]]:
        """Return what measures each side, once all of them run."""
        per_host = measures.shares(self._farm.engine_hosts, workload.per_host)
        if workload.cluster == "new":
            self.close()
            self._layout = ()
            return {OURS: lambda: measures.joining(self._farm, per_host)}
        layout = (workload.cluster, workload.per_host, workload.cluster != "ours")
        if layout != self._layout:
            self.close()
            self._start(workload, per_host)
            self._layout = layout
        found: dict[str, Callable[..., Measured]] = {}
        for side in (OURS, BEFORE, *workload.sides):
            if side == FLOOR:
                measure = measures.floor_measure(self._farm, workload.measure)
            else:
                measure = getattr(self._sides.get(side), workload.measure, None)
            if measure is not None:
                found[side] = measure
        return found

    def _start(self, workload: FarWorkload, per_host: dict[str, int]) -> None:
        """Start ours and whoever else takes part; a peer that cannot be started is left out."""
        here = Path(sys.executable)
        self._add(OURS, measures.OURS[workload.cluster], here, per_host)
        if self._before is not None:
            self._add(BEFORE, measures.OURS[workload.cluster], here, per_host, self._before)
        if workload.cluster == "same host":
            self._add("without --ip", measures.WithoutIp, here, per_host)
        if workload.cluster != "ours":
            return
        for peer in self._peers:
            for kind in CLUSTERS.get(peer, ()):
                try:
                    python = environments.python_of(peer, self._cache)
                    self._add(kind.side, kind, python, per_host)
                except PeerError as error:
                    say(f" without  {kind.side}: {error}")

    def _add(
        self,
        side: str,
        kind: type[Cluster],
        python: Path,
        per_host: dict[str, int],
        source: Path | None = None,
    ) -> None:
        cluster = kind(self._farm, python, source)
        self._stack.callback(cluster.stop)
        cluster.start(per_host)
        self._sides[side] = Side(cluster, sum(per_host.values()))


def run(options: Any, where: dict[str, Any], write: Callable[[Figures], None]) -> int:
    """Measure everything and print a table; 1 if something could not be measured to its end."""
    figures = Figures()
    with Farm(HOSTS) as farm:
        chosen = Run(farm, options)
        try:
            for name in options.hosts or FAR_WORKLOADS:
                start = time.monotonic()
                contest = chosen.contest(FAR_WORKLOADS[name])
                say(f"{time.monotonic() - start:6.1f} s  {name} {contest.problem}")
                figures.contests.append(contest)
                write(figures)
        finally:
            chosen.close()
    text = report(figures)
    print(text, end="")
    if options.markdown:
        options.markdown.write_text(text)
    return 1 if figures.problems() else 0


def report(figures: Figures) -> str:
    """A row for each figure: ours, the others with ours divided by theirs, and the goal."""
    seen = [side for contest in figures.contests for turn in contest.turns for side in turn]
    sides = [side for side in dict.fromkeys(seen) if side != OURS]
    goals = {(target.workload, target.metric): target for target in FAR_TARGETS}
    rows = []
    for contest in figures.contests:
        workload = FAR_WORKLOADS[contest.workload]
        for metric in workload.metrics:
            cells = [_cell(figures, workload.name, metric, side) for side in sides]
            ours = figures.median(workload.name, metric.name, OURS)
            goal = _goal(figures, goals.get((workload.name, metric.name)))
            label = f"{workload.title}: {metric.title}, {metric.unit}"
            rows.append((label, number(ours), *cells, goal))
    text = table(("", OURS, *sides, "goal"), rows, "lr" + "r" * len(sides) + "l")
    problems = [f"- {contest.workload}: {contest.problem}" for contest in figures.problems()]
    return "\n".join([text, *([""] if problems else []), *problems]) + "\n"


def _cell(figures: Figures, workload: str, metric: Metric, side: str) -> str:
    value = figures.median(workload, metric.name, side)
    if value is None:
        return ""
    ratio = figures.ratio(workload, metric.name, side)
    return number(value) if ratio is None else f"{number(value)} ({number(ratio)})"


def _goal(figures: Figures, target: Target | None) -> str:
    if target is None:
        return ""
    reached = {True: "", False: ", **missed**", None: ", not measured"}
    return f"{target}{reached[figures.verdict(target).is_reached]}"
