"""A `Timeline` as an SVG image that needs nothing else: no script, no style sheet, no font.

Text and lines have the color of the text around, so that it is legible on light and dark ground.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from hippodrome.client.looks.timeline import (
    ABORTED,
    ERROR,
    KINDS,
    OK,
    PENDING,
    EngineLane,
    TaskBar,
    Timeline,
)
from hippodrome.client.looks.words import count, seconds

COLORS: Final = {  # red, green, blue, from 0 to 255; nearly everybody tells these apart
    OK: (66, 135, 220),
    ERROR: (226, 72, 56),
    ABORTED: (214, 158, 46),
    PENDING: (140, 140, 140),
}
OPACITIES: Final = {OK: 0.8, ERROR: 0.95, ABORTED: 0.9, PENDING: 0.3}

WIDTH: Final = 640
_LEFT: Final = 64  # of it, for the names of lanes
_RIGHT: Final = 76  # for how busy they were
_CHART: Final = WIDTH - _LEFT - _RIGHT
_TOP: Final = 4
_AXIS: Final = 20
_FEW_LANES: Final = 12
_NARROWEST: Final = 1.5  # a bar that is narrower cannot be seen
_TICKS: Final = 6
_STEPS: Final = (1, 2, 5, 10)


def draw(timeline: Timeline) -> str:
    """Return the image, as an element for HTML; empty if there is nothing to see."""
    if not timeline.lanes:
        return ""
    pitch = 18 if len(timeline.lanes) <= _FEW_LANES else 13
    bottom = _TOP + pitch * len(timeline.lanes)
    lanes = (
        _lane(lane, timeline, _TOP + pitch * number, pitch)
        for number, lane in enumerate(timeline.lanes)
    )
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="timeline" '
            f'viewBox="0 0 {WIDTH} {bottom + _AXIS}" width="{WIDTH}" height="{bottom + _AXIS}" '
            'style="display:block;max-width:100%;height:auto;margin-top:6px" '
            'font-family="system-ui,sans-serif" font-size="11" fill="currentColor">',
            *_axis(timeline, bottom),
            *lanes,
            "</svg>",
        )
    )


def css_color(kind: str) -> str:
    """Return the color of a kind of task."""
    red, green, blue = COLORS[kind]
    return f"rgb({red},{green},{blue})"


def _axis(timeline: Timeline, bottom: int) -> Iterator[str]:
    scale = _CHART / timeline.span_s
    for tick in ticks(timeline.begin, timeline.end):
        x = _LEFT + (tick - timeline.begin) * scale
        yield (
            f'<path d="M{x:.1f} {_TOP}V{bottom + 3}" stroke="currentColor" stroke-opacity=".18"/>'
            f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle" fill-opacity=".7">'
            f"{_tick_label(tick)}</text>"
        )


def _tick_label(tick: float) -> str:
    """Return a round number of seconds; "1.50 s" is "1.5 s"."""
    number, _, unit = seconds(tick).partition(" ")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return f"{number} {unit}" if tick else "0"


def ticks(begin: float, end: float) -> list[float]:
    """Return round numbers between *begin* and *end*, which are seconds."""
    least = (end - begin) / _TICKS
    if least > 30:  # from here on, people count in minutes and hours
        step = next((unit for unit in _LONG_STEPS if unit >= least), 0.0) or _step(least)
    else:
        step = _step(least)
    first, last = math.ceil(begin / step - 1e-9), math.floor(end / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


_LONG_STEPS: Final = (60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 18000.0, 36000.0)


def _step(least: float) -> float:
    """Return the next larger one of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in _STEPS if step * power >= least * (1 - 1e-9))


def _lane(lane: EngineLane, timeline: Timeline, top: int, pitch: int) -> str:
    height, middle = pitch - 4, top + pitch / 2 + 2
    return (
        f"<g><title>{_tooltip(lane)}</title>"
        f'<rect x="{_LEFT}" y="{top}" width="{_CHART}" height="{height}" fill-opacity=".06"/>'
        f'<text x="{_LEFT - 8}" y="{middle}" text-anchor="end">{lane.label}</text>'
        f'<text x="{WIDTH - _RIGHT + 8}" y="{middle}" fill-opacity=".7">{_busy(lane)}</text>'
        f'<g transform="translate({_LEFT} {top})">'
        f"{''.join(_bars(lane, timeline, height))}</g></g>"
    )


def _busy(lane: EngineLane) -> str:
    if lane.busy is None or lane.counts[PENDING]:
        return ""
    return f"{100 * lane.busy:.0f}\N{NO-BREAK SPACE}% busy"


def _tooltip(lane: EngineLane) -> str:
    counts = (f"{lane.counts[kind]:,} {kind}" for kind in KINDS if lane.counts[kind])
    return f"{lane.label}: {count(lane.counts.total(), 'task')} ({', '.join(counts)})"


def _bars(lane: EngineLane, timeline: Timeline, height: int) -> Iterator[str]:
    """Yield a group of bars for each kind."""
    for kind, alike in groupby(lane.bars, lambda bar: bar.kind):
        bars = [(*_place(bar, timeline), bar) for bar in alike]
        color = f'fill="{css_color(kind)}" fill-opacity="{OPACITIES[kind]}"'
        if bars[0][2].task is not None:
            yield f"<g {color}>{''.join(_single_bar(*bar, height) for bar in bars)}</g>"
            continue
        top = height / 2 if kind in {ABORTED, ERROR} and lane.counts[OK] else 0  # hide no others
        path = "".join(_path(x, width, top, height) for x, width, _ in bars)
        yield f'<path {color} d="{path}"/>'


def _single_bar(x: float, width: float, bar: TaskBar, height: int) -> str:
    return (
        f'<rect x="{x:.1f}" width="{width:.1f}" height="{height}" rx="1">'
        f"<title>{_bar_tooltip(bar)}</title></rect>"
    )


def _path(x: float, width: float, top: float, bottom: float) -> str:
    return f"M{x:.1f} {top:g}h{width:.1f}V{bottom:g}h-{width:.1f}z"


def _place(bar: TaskBar, timeline: Timeline) -> tuple[float, float]:
    """Return where a bar begins, and how wide it is; neighbors stay apart where there is room."""
    scale = _CHART / timeline.span_s
    x, width = (bar.start - timeline.begin) * scale, (bar.end - bar.start) * scale
    gap = 0.7 if bar.task is not None and width > 4 else 0.0
    width = max(_NARROWEST, width - gap)
    return min(x, _CHART - width), width


def _bar_tooltip(bar: TaskBar) -> str:
    if bar.kind == PENDING:
        return f"task {bar.task}: no result yet"
    ran = f"ran {seconds(bar.end - bar.start)}" if bar.end > bar.start else "did not run"
    return f"task {bar.task}: {bar.kind}, {ran}, from {seconds(bar.start)}"
