"""What notebooks show, without a cluster: results are delivered by hand."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from hippodrome.client.chunk import Chunk, Flawed, is_flawed
from hippodrome.client.link.io_thread import IOThread
from hippodrome.client.looks import panels, svg
from hippodrome.client.looks.html import Panel, escaped, render
from hippodrome.client.looks.timeline import (
    MOST_BARS,
    MOST_LANES,
    Timeline,
    counts_of,
    fold,
    work_of,
)
from hippodrome.client.looks.words import ranges, seconds
from hippodrome.client.results import slots
from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.views.balanced import LoadBalancedView
from hippodrome.client.views.broadcast import BroadcastView
from hippodrome.client.views.direct import DirectView
from hippodrome.cluster.cluster import Cluster
from hippodrome.protocol.messages import EngineId, Failure, MsgId, Result
from hippodrome.serialize import dumps

HOSTILE = "</title></svg><script>alert('\"&amp;')</script>\x00\x1b[31m\ud800"
MOST_BYTES = 100_000


class FakeIO(SimpleNamespace):
    """What clients and views look at of the I/O thread."""

    state = IOThread.state
    is_lost = IOThread.is_lost
    why_lost = IOThread.why_lost
    was_shut_down = False


class FakeClient:
    """What views and results need of a client."""

    block = False
    session = "0123456789"
    profile = None
    _cluster_id = "some-id"
    history: list[str] = []

    def __init__(self, n_engines: int = 3, lost: object = None) -> None:
        self._io = FakeIO(
            engines={i: SimpleNamespace(host=f"host{i % 2}") for i in range(n_engines)},
            describe=lambda engine: {"engine_id": engine},
            outstanding={"a", "b"},
            is_over=False,
            _lost=lost,
            _is_forked=False,
            _is_leaving=False,
        )

    def __len__(self) -> int:
        return len(self._io.engines)

    def _checked_targets(self, targets: Any) -> Any:
        return targets

    def _ids_of(self, targets: Any) -> list[int]:
        return list(targets)

    def _engines_of(self, targets: Any) -> list[int]:
        return list(self._io.engines) if targets == "all" else list(targets)

    def abort(self, jobs: object, block: bool) -> None:
        pass


def call(n: int, *, fname: str = "f", sizes: list[int] | None = None) -> Any:
    client: Any = FakeClient()
    ids = [MsgId(f"m_{i}") for i in range(n)]
    return AsyncMapResult(client, ids, fname, sizes=sizes)


def outcome(ar: AsyncResult, index: int, *, status: str = "ok", engine: int | None = 0) -> Result:
    """Return the result of a task that began *index* ms after submission, and ran for 1 ms."""
    start = ar._about.submitted + index / 1000
    failure = None if status == "ok" else Failure("ValueError", "it failed")
    where = None if engine is None else EngineId(engine)
    times = (0.0, 0.0) if engine is None else (start, start + 0.001)
    return Result(MsgId("m"), status, where, 1, *times, failure=failure)


def deliver(ar: AsyncResult, index: int, **how: Any) -> None:
    received = ar._about.submitted + index / 1000 + 0.002
    slots.deliver(ar, index, outcome(ar, index, **how), (), received)


def finished(n: int, n_engines: int = 2, bad: str = "error", every: int = 0) -> Any:
    """Return a call all of whose tasks have ended; *every* so many tasks ended otherwise."""
    ar = call(n)
    for index in range(n):
        status = bad if every and index % every == 0 else "ok"
        deliver(ar, index, status=status, engine=index % n_engines)
    return ar


def shown(thing: Any) -> str:
    """Return the HTML of *thing*, of which it is certain that it can be shown."""
    text: str = thing._repr_html_()
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    text.encode()
    ElementTree.fromstring(text)
    return text


def words(text: str) -> str:
    """Return what a reader sees and hears of some HTML."""
    return " ".join(" ".join(ElementTree.fromstring(text).itertext()).split())


def bars(text: str) -> list[str]:
    """Return the tooltips of the bars of single tasks."""
    found: Iterable[Any] = ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}rect")
    return [title.text for rect in found for title in rect]


# ---- results


def test_a_result_tells_how_many_tasks_ended_and_how() -> None:
    ar = call(6)
    deliver(ar, 0)
    deliver(ar, 1, status="error", engine=1)
    deliver(ar, 2, status="aborted", engine=None)
    text = words(shown(ar))
    assert "AsyncMapResult f" in text
    assert "pending" in text
    assert "tasks done 3 of 6 1 ok 1 failed 1 aborted 3 not finished" in text
    assert "task 1 on engine 1: ValueError: it failed" in text


def test_each_task_has_a_bar_on_its_engine() -> None:
    text = shown(finished(4))
    assert bars(text) == [
        "task 0: ok, ran 1.00 ms, from 0 s",
        "task 2: ok, ran 1.00 ms, from 2.00 ms",
        "task 1: ok, ran 1.00 ms, from 1.00 ms",
        "task 3: ok, ran 1.00 ms, from 3.00 ms",
    ]
    assert "engine 0: 2 tasks (2 ok)" in words(text)


def test_a_finished_call_tells_its_times() -> None:
    text = words(shown(finished(8)))
    assert "finished" in text
    assert "wall time 9.00 ms serial time 8.00 ms speed-up 0.89\N{MULTIPLICATION SIGN}" in text


def test_a_single_result_looks_like_one_task() -> None:
    client: Any = FakeClient()
    ar = AsyncResult(client, [MsgId("m")], "f", single=True)
    assert "tasks done 0 of 1" in words(shown(ar))
    deliver(ar, 0)
    assert "finished" in words(shown(ar))


def test_items_are_counted_where_tasks_have_several() -> None:
    ar = call(2, sizes=[10, 5])
    deliver(ar, 0)
    assert "items done 10 of 15" in words(shown(ar))


def test_tasks_that_wait_for_an_engine_known_by_name_are_in_its_lane() -> None:
    ar = call(2)
    ar._about.targets = [EngineId(4), EngineId(7)]
    text = shown(ar)
    assert bars(text) == ["task 0: no result yet", "task 1: no result yet"]
    assert "engine 7" in words(text)


def test_a_call_that_was_cancelled_or_has_no_tasks_says_so() -> None:
    ar = call(2)
    ar._about.targets = [EngineId(0), EngineId(1)]
    ar.cancel()
    text = shown(ar)
    assert "cancelled" in words(text)
    assert not bars(text)
    assert "tasks done 0 of 0" in words(shown(call(0)))


def test_tasks_that_never_ran_are_marked_where_that_is_known() -> None:
    ar = call(3)
    deliver(ar, 0)
    deliver(ar, 1, status="lost", engine=None)
    deliver(ar, 2, status="aborted", engine=None)
    assert bars(shown(ar))[1:] == [
        "task 2: aborted, did not run, from 4.00 ms",
        "task 1: error, did not run, from 3.00 ms",
    ]
    assert "no engine: 2 tasks (1 aborted, 1 error)" in words(shown(ar))


@pytest.mark.parametrize(
    "times",
    [(5.0, 3.0), (-1.0, 2.0), (float("nan"), 1.0), (1.0, float("inf")), (1e300, 1e301), (1.0, 2.0)],
)
def test_clocks_that_are_wrong_do_no_harm(times: tuple[float, float]) -> None:
    ar = call(MOST_BARS + 1)
    for index in range(MOST_BARS + 1):
        slots.deliver(ar, index, Result(MsgId("m"), "ok", EngineId(0), 1, *times), (), time.time())
    shown(ar)


def test_nothing_that_a_user_can_name_gets_into_the_markup() -> None:
    ar = call(2, fname=HOSTILE)
    ar._about.label = HOSTILE
    why = Failure(HOSTILE, HOSTILE, HOSTILE)
    slots.deliver(ar, 0, Result(MsgId("m"), "error", EngineId(0), failure=why), (), time.time())
    slots.deliver(ar, 1, Result(MsgId("m"), HOSTILE, None), (), time.time())
    assert "alert(" in words(shown(ar))


def test_what_is_long_is_cut() -> None:
    ar = call(1, fname="f" * 10_000)
    why = Failure("ValueError", "<" * 1_000_000)
    slots.deliver(ar, 0, Result(MsgId("m"), "error", EngineId(0), failure=why), (), time.time())
    assert len(shown(ar)) < 10_000


# ---- many tasks


@pytest.mark.parametrize("n_engines", [1, 2, 16, 32, 33, 500])
@pytest.mark.parametrize("n", [MOST_BARS, MOST_BARS + 1, 5000])
def test_the_size_is_bounded_however_many_there_are(n: int, n_engines: int) -> None:
    text = shown(finished(n, n_engines, every=3))
    assert len(text.encode()) < MOST_BYTES
    assert words(text).count("% busy") <= MOST_LANES


def test_the_worst_case_is_bounded_too() -> None:
    """Each kind of task on each engine in every other cell."""
    ar, n_lanes = call(100 * MOST_LANES * 3), MOST_LANES
    for index in range(len(ar)):
        cell, engine, kind = index // (n_lanes * 3), index // 3 % n_lanes, index % 3
        start = ar._about.submitted + cell
        status = ("ok", "error", "aborted")[kind]
        result = Result(MsgId("m"), status, EngineId(engine), 1, start, start + 0.01)
        slots.deliver(ar, index, result, (), start + 0.01)
    assert len(shown(ar).encode()) < MOST_BYTES


def test_a_hundred_thousand_tasks_are_drawn_at_once() -> None:
    ar = finished(100_000, 40, every=7)
    began = time.process_time()
    text = ar._repr_html_()
    assert time.process_time() - began < 2.0  # 0.15 s are usual
    assert len(text.encode()) < MOST_BYTES
    assert "engine" in words(text)


def test_one_error_among_many_tasks_is_seen() -> None:
    ar = call(50_000)
    for index in range(50_000):
        deliver(ar, index, status="error" if index == 7 else "ok")
    assert svg.css_color("error") in shown(ar).partition("<svg")[2]


def test_errors_among_many_tasks_leave_half_of_the_others_to_be_seen() -> None:
    found = ElementTree.fromstring(shown(finished(5000, 1, every=2)))
    paths = found.iter("{http://www.w3.org/2000/svg}path")
    tops = {path.get("fill"): path.get("d", "").partition("h")[0].split()[-1] for path in paths}
    assert tops[svg.css_color("ok")] == "0"
    assert tops[svg.css_color("error")] == "7"


def test_merged_bars_cover_what_they_stand_for() -> None:
    ar = call(2 * MOST_BARS)
    for index in range(2 * MOST_BARS):  # a pause in the middle
        start = ar._about.submitted + index + (10_000 if index >= MOST_BARS else 0)
        result = Result(MsgId("m"), "ok", EngineId(0), 1, start, start + 1)
        slots.deliver(ar, index, result, (), start + 1)
    (lane,) = panels.timeline_of(ar._looks()).lanes
    first, second = lane.bars
    assert first.start == pytest.approx(0.0, abs=1e-6)
    assert MOST_BARS <= first.end < MOST_BARS + 100
    assert 10_000 + MOST_BARS - 100 < second.start <= 10_000 + MOST_BARS
    assert second.end == pytest.approx(10_000 + 2 * MOST_BARS)
    assert lane.counts["ok"] == 2 * MOST_BARS
    assert lane.busy == pytest.approx(1000 / 11_000)


def test_engines_share_lanes_when_there_are_many() -> None:
    timeline = panels.timeline_of(finished(300, 100)._looks())
    assert len(timeline.lanes) <= MOST_LANES
    assert timeline.lanes[0].label == "0\N{EN DASH}3"
    assert sum(lane.counts["ok"] for lane in timeline.lanes) == 300


# ---- the axis and its words


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 7.3, [0.0, 2.0, 4.0, 6.0]),
        (-0.5, 0.5, [-0.4, -0.2, 0.0, 0.2, 0.4]),
        (0.0, 200.0, [0.0, 60.0, 120.0, 180.0]),
        (0.0, 8000.0, [0.0, 1800.0, 3600.0, 5400.0, 7200.0]),
    ],
)
def test_ticks_are_at_round_numbers(begin: float, end: float, expected: list[float]) -> None:
    assert svg.ticks(begin, end) == pytest.approx(expected)


@pytest.mark.parametrize("span_s", [1e-6, 0.003, 1.0, 59.0, 181.0, 1e4, 1e6, 1e12])
def test_an_axis_has_a_few_ticks_whatever_its_length(span_s: float) -> None:
    assert 2 <= len(svg.ticks(0.0, span_s)) <= 8


def test_nothing_is_drawn_of_nothing() -> None:
    assert svg.draw(fold(work_of([], 0.0), 1.0)) == ""
    assert svg.draw(Timeline((), 0.0, 0.0)) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 s"),
        (0.9999, "1.00 s"),
        (59.99, "1 min 0 s"),
        (0.0123, "12.3 ms"),
        (-2.5, "\N{MINUS SIGN}2.50 s"),
        (75.4, "1 min 15 s"),
        (7500.0, "2 h 5 min"),
    ],
)
def test_times_have_three_digits_and_a_unit(value: float, text: str) -> None:
    assert seconds(value) == text


def test_neighbors_are_told_as_ranges() -> None:
    assert ranges([3, 0, 1, 2, 7]) == "0\N{EN DASH}3, 7"
    assert ranges(range(0, 100, 2), most=2) == "0, 2, \N{HORIZONTAL ELLIPSIS}"


def test_what_xml_cannot_hold_is_replaced() -> None:
    assert escaped("a\x00\ud800<") == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}&lt;"
    panel = Panel(HOSTILE, HOSTILE, HOSTILE, "ok", [(HOSTILE, HOSTILE)], note=HOSTILE)
    ElementTree.fromstring(render(panel))
    assert "<script" not in render(panel)


# ---- clients, views, clusters


def client_words(client: Any) -> str:
    return words(panels.of_client(client))


def test_a_client_tells_of_its_engines_and_tasks() -> None:
    text = client_words(FakeClient())
    assert "FakeClient 01234567" in text
    assert "connected" in text
    assert "engines 3 (0\N{EN DASH}2)" in text
    assert "hosts host0 (2), host1 (1)" in text
    assert "not finished 2" in text


def test_a_client_says_why_it_has_no_controller() -> None:
    text = client_words(FakeClient(0, lost="it was <killed>"))
    assert "controller lost" in text
    assert "it was <killed>" in text
    assert "engines none" in text


def test_a_client_that_was_closed_or_forked_says_so() -> None:
    client = FakeClient()
    client._io._is_leaving = client._io.is_over = True
    assert "closed" in client_words(client)
    client._io._is_forked = True
    assert "of another process" in client_words(client)


def test_views_tell_of_their_targets_and_flags() -> None:
    client: Any = FakeClient()
    assert "targets all engines 3" in words(shown(DirectView(client)))
    assert "targets 1 engines 1" in words(shown(DirectView(client, 1, block=True)))
    view = DirectView(client, [1, 9], label=HOSTILE.rstrip("\ud800"))
    assert "targets 1, 9 engines 1" in words(shown(view))
    assert "targets 0\N{EN DASH}2 engines 3" in words(shown(BroadcastView(client)))
    text = words(shown(LoadBalancedView(client, retries=2, timeout=90, after=["m_1"])))
    assert "targets any engines 3" in text
    assert "retries 2 timeout 1 min 30 s after some tasks" in text


def test_a_cluster_that_does_not_run_can_be_shown(tmp_path: Any) -> None:
    cluster = Cluster(n=3, profile_dir=tmp_path / "<b>", cluster_id=HOSTILE.replace("/", ""))
    text = words(shown(cluster))
    assert "Cluster" in text
    assert "stopped" in text
    assert "controller not started engines when started 3" in text


@pytest.mark.parametrize("size", [2, 20_000])
def test_chunks_in_which_calls_raised_count_as_errors(size: int) -> None:
    def chunk(item: Any) -> tuple[Result, Any]:
        found = dumps(Chunk(lambda x: 1 // x, return_exceptions=True)([1] * (size - 1) + [item]))
        result = Result(MsgId("m"), "ok", EngineId(0), 1, 1.0, 2.0, found.payload)
        return result, found.buffers

    ar = AsyncMapResult(
        FakeClient(),  # type: ignore[arg-type]
        [MsgId(f"m_{i}") for i in range(3)],
        "f",
        sizes=[size] * 3,
        return_exceptions=True,
    )
    for index, item in enumerate([1, 0, 1]):
        result, buffers = chunk(item)
        slots.deliver(ar, index, result, buffers, 2.0)
    html = ar._repr_html_()
    assert counts_of(panels._work_of(ar._looks())) == {"ok": 2, "error": 1}
    assert "task 1 on engine 0: some of its calls raised" in html
    are_decoded = [slot and slot.outcome for slot in ar._tasks.slots]
    assert are_decoded == [None] * 3, "nothing may be decoded to be shown"
    assert "failed" in repr(ar)
    assert not ar.successful()
    values = ar.get()
    assert len(values) == 3 * size
    assert [i for i, value in enumerate(values) if value != 1] == [2 * size - 1]


def test_only_what_a_chunk_made_of_itself_counts_as_flawed() -> None:
    flawed = dumps(Chunk(lambda x: 1 // x, return_exceptions=True)([0]))
    assert is_flawed(flawed.payload, flawed.buffers)
    for other in ([Flawed([])], ["hippodrome.client.chunk", "Flawed"], [Chunk(abs)], [], None):
        found = dumps(other)
        assert not is_flawed(found.payload, found.buffers)
    assert not is_flawed(b"", ())
