"""What is said of a thousand engines is a line, not a page."""

from __future__ import annotations

import pytest

from hippodrome.client.views.targeting import engines_of
from hippodrome.errors import UnknownEngineError
from hippodrome.headings import MOST_LISTED, listed, shown
from hippodrome.hub.core import HubCore
from hippodrome.hub.newsof import MOST_LINES, news_of, together
from hippodrome.protocol import messages as m

N = 1_000
LINE = 200  # characters


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([], ""),
        ([0, 1, 2], "0, 1, 2"),
        ([3, 1], "3, 1"),
        (range(N), "0-999"),
        ([*range(500), *range(501, N)], "0-499, 501-999"),
    ],
)
def test_numbers_in_a_message(found: list[int], text: str) -> None:
    assert listed(found) == text


def test_whatever_the_numbers_are_they_fit_in_a_line() -> None:
    assert len(listed(range(0, 10 * N, 2))) < LINE
    assert listed(range(MOST_LISTED)).count(",") == MOST_LISTED - 1


@pytest.mark.parametrize(
    ("targets", "text"),
    [
        ("all", "all"),
        (3, "3"),
        ([0, 1], "[0, 1]"),
        (list(range(N)), "[0-999]"),
        (None, "None"),
    ],
)
def test_targets_of_a_view(targets: object, text: str) -> None:
    assert shown(targets) == text


def test_an_engine_that_is_not_there_among_many() -> None:
    with pytest.raises(UnknownEngineError, match=r"no engine 5000; there are 0-999$"):
        engines_of([5000], range(N))


def test_the_log_has_a_line_for_a_host_that_is_gone() -> None:
    hub = HubCore()
    for number in range(64):
        hub.handle(m.EngineArrived(m.PeerId(f"e{number}"), {"node": "n", "host": "there"}), [])
    (gone,) = together(hub.handle(m.NodeGone(m.PeerId("n"), "it was killed"), []))
    (line,) = news_of(gone)
    assert line.startswith("engine 0 left: engine 0 on there")
    assert line.endswith("(and 63 more with it: engines 0-63)")


def test_the_log_has_a_line_for_each_of_a_few() -> None:
    lost = [m.Left(m.EngineId(n), f"why {n}", None, final=False) for n in range(MOST_LINES)]
    assert len(news_of(m.Changed([*lost]))) == MOST_LINES
