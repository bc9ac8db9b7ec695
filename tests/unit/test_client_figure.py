"""Timelines drawn by matplotlib, of results that are delivered by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from matplotlib.figure import Figure

from hippodrome.client.looks.timeline import MOST_BARS
from hippodrome.client.results import slots
from hippodrome.client.results.result import AsyncResult
from hippodrome.protocol.messages import EngineId, MsgId, Result

PNG = b"\x89PNG"


def call(n: int, fname: str = "f", status: str = "error") -> AsyncResult:
    """Return a call that has ended: on two engines in turn, every tenth task as *status* says."""
    client: Any = None
    ar = AsyncResult(client, [MsgId(f"m_{i}") for i in range(n)], fname, single=False)
    for index in range(n):
        start = ar._about.submitted + index
        how = "ok" if index % 10 else status
        result = Result(MsgId("m"), how, EngineId(index % 2), 1, start, start + 1)
        slots.deliver(ar, index, result, (), start + 1)
    return ar


def boxes(figure: Figure) -> Iterator[tuple[float, float, float, float]]:
    """Yield start, end, lowest and highest place of each bar."""
    for collection in figure.axes[0].collections:
        for path in collection.get_paths():
            (left, low), (right, high) = path.vertices.min(axis=0), path.vertices.max(axis=0)
            yield left, right, low, high


def legend(figure: Figure) -> list[str]:
    found = figure.axes[0].get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


def test_each_task_is_a_bar_in_the_lane_of_its_engine() -> None:
    figure = call(4).timeline()
    places = sorted(
        (round(left), round(right), round(low + 0.4)) for left, right, low, _ in boxes(figure)
    )
    assert places == [(0, 1, 0), (1, 2, 1), (2, 3, 0), (3, 4, 1)]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["0", "1"]


def test_axes_have_labels_with_units_and_colors_have_a_legend() -> None:
    figure = call(20).timeline()
    axes = figure.axes[0]
    assert axes.get_xlabel() == "time since submission (s)"
    assert axes.get_ylabel() == "engine"
    assert axes.get_title() == "f"
    assert legend(figure) == ["ok", "failed"]
    assert axes.get_xlim() == pytest.approx((0.0, 20.0))
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first engine is at the top


def test_many_tasks_share_bars() -> None:
    assert len(list(boxes(call(3 * MOST_BARS).timeline()))) < MOST_BARS


def test_what_waits_is_drawn_too_and_nothing_is_drawn_of_nothing() -> None:
    client: Any = None
    ar = AsyncResult(client, [MsgId("m")], "f", single=False)
    assert list(boxes(ar.timeline())) == []
    assert legend(ar.timeline()) == []
    ar._about.targets = [EngineId(3)]
    assert len(list(boxes(ar.timeline()))) == 1
    assert legend(ar.timeline()) == ["no result yet"]


@pytest.mark.parametrize("fname", ["$\\frac{$", "<lambda>", "\x00\ud800", "f\n" * 1000])
def test_any_name_can_be_a_title(fname: str) -> None:
    figure: Any = call(2, fname).timeline()
    assert figure._repr_png_().startswith(PNG)


def test_a_figure_is_not_known_to_pyplot() -> None:
    import matplotlib.pyplot as plt

    call(2).timeline()
    assert plt.get_fignums() == []


def test_without_matplotlib_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "hippodrome.client.looks.figure", raising=False)
    monkeypatch.delattr("hippodrome.client.looks.figure", raising=False)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        call(1).timeline()


def test_matplotlib_is_imported_by_nothing_else() -> None:
    code = (
        "import sys, hippodrome.client.client, hippodrome.cluster.looks\n"
        "import hippodrome.client.looks.panels\n"
        "print([name for name in sys.modules if name.startswith('matplotlib')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
