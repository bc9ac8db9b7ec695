"""A `Timeline` as a figure of matplotlib, which is imported with this module and not before.

No pyplot, which keeps every figure until it is closed and shows it once more at the end of a cell.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hippodrome.client.looks.svg import COLORS
from hippodrome.client.looks.timeline import KINDS, OK, EngineLane, TaskBar, Timeline
from hippodrome.client.looks.words import printable

_WORDS = {"pending": "no result yet", "error": "failed"}
_INCHES_WIDE = 8.0
_INCHES_AROUND = 1.2  # for the axis, its label and the title
_INCHES_A_LANE = 0.25
_NARROWEST = 1 / 600  # of the axis; a bar that is narrower cannot be seen


class TimelineFigure(Figure):
    """A figure that notebooks show also if nothing has set up matplotlib's own way to do so."""

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def draw(timeline: Timeline, title: str) -> Figure:
    """Return a figure with a lane for each engine and a bar for each task.

    Args:
        timeline: in seconds since submission.
        title: plain text.
    """
    lanes = timeline.lanes
    size = _INCHES_WIDE, _INCHES_AROUND + _INCHES_A_LANE * max(1, len(lanes))
    figure = TimelineFigure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    for place, lane in enumerate(lanes):
        _draw_lane(axes, place, lane, timeline.span_s)
    _describe(axes, timeline, title)
    _add_legend(axes, [kind for kind in KINDS if any(lane.counts[kind] for lane in lanes)])
    return figure


def _draw_lane(axes: Axes, place: int, lane: EngineLane, span_s: float) -> None:
    for kind, bars in groupby(lane.bars, lambda bar: bar.kind):
        shown = list(bars)
        hides_others = shown[0].task is None and kind != OK and lane.counts[OK]
        height = 0.4 if hides_others else 0.8
        axes.broken_barh(
            _extents(shown, span_s),
            (place + 0.4 - height, height),
            facecolor=_color(kind),
        )


def _color(kind: str) -> tuple[float, float, float]:
    red, green, blue = COLORS[kind]
    return red / 255, green / 255, blue / 255


def _extents(bars: Iterable[TaskBar], span_s: float) -> list[tuple[float, float]]:
    return [(bar.start, _width(bar, span_s)) for bar in bars]


def _width(bar: TaskBar, span_s: float) -> float:
    """Return how wide a bar is drawn; neighbors stay apart where there is room."""
    width, least = bar.end - bar.start, span_s * _NARROWEST
    gap = least if bar.task is not None and width > 5 * least else 0.0
    return max(least, width - gap)


def _describe(axes: Axes, timeline: Timeline, title: str) -> None:
    labels = [lane.label.removeprefix("engine ") for lane in timeline.lanes]
    axes.set_title(printable(" ".join(title.split())), parse_math=False)
    axes.set_xlabel("time since submission (s)")
    axes.set_ylabel("engine")
    axes.set_xlim(timeline.begin, timeline.end)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(max(1, len(labels)) - 0.4, -0.6)  # the first lane is at the top
    axes.spines[["top", "right"]].set_visible(False)


def _add_legend(axes: Axes, kinds: Iterable[str]) -> None:
    patches = [Patch(color=_color(kind), label=_WORDS.get(kind, kind)) for kind in kinds]
    if patches:
        axes.legend(handles=patches, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
