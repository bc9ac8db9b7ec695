"""What was measured, as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.figures import OURS, Figures, Verdict
from benchmarks.targets import Target
from benchmarks.workloads import WORKLOADS, Metric, Workload

ALIGN_LEFT, ALIGN_RIGHT = "---", "---:"


def report(figures: Figures, targets: Iterable[Target], peers: Sequence[str]) -> str:
    """Return all tables: targets, medians with ratios, and what is missing."""
    measured = {contest.workload for contest in figures.contests}
    verdicts = [figures.verdict(target) for target in targets if target.workload in measured]
    parts = [
        "### Targets\n\n" + target_table(verdicts),
        "### Medians\n\n" + median_table(figures, peers),
    ]
    if figures.problems():
        problems = (
            f"- {contest.workload}, {contest.peer}: {contest.problem}"
            for contest in figures.problems()
        )
        parts.append("### Not measured, or not to the end\n\n" + "\n".join(problems))
    return "\n\n".join(part for part in parts if part) + "\n"


def target_table(verdicts: Iterable[Verdict]) -> str:
    """A row for each target: ours, the yardstick, their ratio, and whether it is reached."""
    head = ("workload", "ours", "yardstick", "ours / yardstick", "target", "")
    rows = [_target_row(verdict) for verdict in verdicts]
    return table(head, rows, "lrrrll")


def _target_row(verdict: Verdict) -> tuple[str, ...]:
    target = verdict.target
    metric = metric_of(target)
    yardstick = f"{quantity(verdict.theirs, metric.unit)} ({target.yardstick})"
    ratio = number(verdict.value)
    return (
        title(WORKLOADS[target.workload], metric),
        quantity(verdict.ours, metric.unit),
        yardstick if target.yardstick else "",
        ratio if target.yardstick else "",
        str(target) if target.yardstick else f"{target} {metric.unit}",
        {True: "reached", False: "**not reached**", None: "not measured"}[verdict.is_reached],
    )


def metric_of(target: Target) -> Metric:
    """Return the figure that a target is about."""
    for metric in WORKLOADS[target.workload].metrics:
        if metric.name == target.metric:
            return metric
    raise LookupError(f"{target.workload} has no figure {target.metric!r}")


def median_table(figures: Figures, peers: Sequence[str]) -> str:
    """A row for each figure; each peer's median, and in brackets ours divided by it."""
    sides = [peer for peer in peers if peer != OURS]
    rows = []
    for workload in WORKLOADS.values():
        for metric in workload.metrics:
            ours = figures.median(workload.name, metric.name, OURS)
            theirs = [_cell(figures, workload, metric, side) for side in sides]
            if ours is not None or any(theirs):
                label = f"{title(workload, metric)}, {metric.unit}"
                rows.append((label, number(ours), *theirs))
    return table(("", OURS, *sides), rows, "l" + "r" * (1 + len(sides)))


def _cell(figures: Figures, workload: Workload, metric: Metric, side: str) -> str:
    value = figures.median(workload.name, metric.name, side)
    if value is None:
        return ""
    ratio = figures.ratio(workload.name, metric.name, side)
    shown = number(value) if ratio is None else f"{number(value)} ({number(ratio)})"
    had, ours_had = (figures.n_tasks(workload.name, each) for each in (side, OURS))
    return f"{shown} *" if had and ours_had and had < ours_had else shown


def title(workload: Workload, metric: Metric) -> str:
    if len(workload.metrics) == 1:
        return workload.title
    return f"{workload.title}: {metric.title}"


def quantity(value: float | None, unit: str) -> str:
    return f"{number(value)} {unit}" if value is not None else "?"


def number(value: float | None) -> str:
    """Three digits, without an exponent; a question mark for what is not known."""
    if value is None:
        return "?"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    marks = [{"l": ALIGN_LEFT, "r": ALIGN_RIGHT}[letter] for letter in align]
    lines = [head, marks, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
