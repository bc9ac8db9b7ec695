"""What progress bars are told while somebody waits; results are delivered by hand."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, Future
from typing import Any

import pytest

from hippodrome.client.jobs import SeveralCalls, futures_of, wait_for_jobs
from hippodrome.client.looks import progress
from hippodrome.client.results import slots
from hippodrome.client.results.engine_wait import what_is_missing
from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.results.result import AsyncResult
from hippodrome.protocol.messages import EngineId, Failure, MsgId, Result

OK = Result(MsgId("m"), "ok", EngineId(0), 1, 1.0, 2.0, pickle.dumps([1]))
FAILED = Result(MsgId("m"), "error", EngineId(0), failure=Failure("ValueError", "no", "trace"))


class FakeIO:
    """What waiting needs of the I/O thread; time stands still while engines are missing."""

    def __init__(self) -> None:
        self.has_engines = True
        self.notices = 0

    def check_may_wait(self) -> None:
        pass

    def wait_on(self, condition: threading.Condition, timeout: float | None) -> None:
        condition.wait(timeout)

    def may_notice(self, timeout: float | None) -> bool:
        return not self.has_engines and not self.notices

    def notice(self) -> None:
        self.notices += 1


class FakeClient:
    def __init__(self) -> None:
        self._io = FakeIO()


class FakeBar:
    """Remembers what it showed, and lets a test act whenever it is shown."""

    def __init__(self, total: int, description: str, unit: str, initial: int = 0) -> None:
        self.total, self.description, self.unit = total, description, unit
        self.shown = [initial]
        self.is_closed = False
        self.n_cleared = 0
        self.then: list[Any] = []

    def show(self, n: int) -> None:
        self.shown.append(n)
        if self.then:
            self.then.pop(0)()

    def clear(self) -> None:
        self.n_cleared += 1

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[FakeBar]:
    """The bars that were made, in order; the first is made beforehand to be given a script."""
    made: list[FakeBar] = []
    script: list[Any] = []

    def make(total: int, *args: Any, initial: int = 0, **options: Any) -> FakeBar:
        made.append(FakeBar(total, *args, initial=initial))
        made[-1].then = script
        return made[-1]

    monkeypatch.setattr(progress, "make_bar", make)
    monkeypatch.setattr(progress, "LEAST_INTERVAL_S", 0.001)
    make.script = script  # type: ignore[attr-defined]
    return made


@pytest.fixture
def then(bars: list[FakeBar]) -> list[Any]:
    """What happens, one by one, each time a bar is shown."""
    return progress.make_bar.script  # type: ignore[no-any-return, attr-defined]


def a_map(sizes: list[int] | None, n: int = 3) -> AsyncMapResult:
    n = n if sizes is None else len(sizes)
    client: Any = FakeClient()
    return AsyncMapResult(client, [MsgId(f"m_{i}") for i in range(n)], "f", sizes=sizes)


def end(ar: AsyncResult, index: int, result: Result = OK) -> Any:
    return lambda: slots.deliver(ar, index, result, (), 100.0)


def waited(
    ar: Any, interval: float = 0.1, timeout: float = -1, return_when: str = ALL_COMPLETED
) -> bool:
    """Return whether what was waited for had come when the bar was closed."""
    ended: list[bool] = []
    wait = progress.wait_showing
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "wait_showing", lambda *given: ended.append(wait(*given)))
        ar.wait_interactive(interval, timeout, None, return_when)
    return ended[0]


def test_a_bar_counts_items_and_ends_complete(bars: list[FakeBar], then: list[Any]) -> None:
    ar = a_map([5, 5, 2])
    end(ar, 1)()
    then += [end(ar, 2), end(ar, 0)]
    assert waited(ar, interval=0.001)
    (bar,) = bars
    assert (bar.total, bar.description, bar.unit) == (12, "f", "items")
    assert bar.shown == [5, 5, 7, 12]
    assert bar.is_closed


def test_items_are_counted_once_however_results_come(bars: list[FakeBar]) -> None:
    ar = a_map([5, 4, 3, 2])
    assert ar.progress == 0
    slots.deliver_all(ar, [2, 0], [OK, OK], 1.0)
    assert ar.progress == ar.progress == 8
    slots.deliver_all(ar, [0, 1], [OK, OK], 1.0)
    end(ar, 3, FAILED)()
    assert ar.progress == len(ar) == 14


def test_a_failure_ends_the_wait_at_once_if_asked_for(bars: list[FakeBar], then: list[Any]) -> None:
    ar = a_map(None)
    end(ar, 0)()
    timer = threading.Timer(0.05, end(ar, 2, FAILED))
    timer.start()
    assert waited(ar, interval=30, return_when=FIRST_EXCEPTION)
    timer.join()
    assert bars[0].shown == [1, 2]
    assert bars[0].is_closed
    assert not ar.done()
    assert not waited(ar, interval=0.001, timeout=0.01)


def test_the_first_result_ends_the_wait_if_asked_for(bars: list[FakeBar]) -> None:
    ar = a_map(None)
    assert not waited(ar, timeout=0, return_when=FIRST_COMPLETED)
    end(ar, 1)()
    assert waited(ar, return_when=FIRST_COMPLETED)


def test_bars_are_closed_whatever_happens(bars: list[FakeBar], then: list[Any]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    ar = a_map(None)
    then.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        ar.wait_interactive(interval=0.001)
    assert not waited(ar, interval=0.001, timeout=0.01)
    assert [bar.is_closed for bar in bars] == [True, True]


def test_what_cannot_be_waited_for_makes_no_bar(bars: list[FakeBar]) -> None:
    ar: Any = a_map(None)
    with pytest.raises(TypeError, match="timeout must be a number"):
        ar.wait_interactive(timeout="a")
    with pytest.raises(TypeError, match="interval must be a number"):
        ar.wait_interactive(interval=None)
    with pytest.raises(ValueError, match="return_when"):
        ar.wait_interactive(return_when="SOMETIME")
    assert waited(a_map(None, n=0))
    assert bars == []


def test_a_bar_is_not_shown_more_often_than_its_interval(
    bars: list[FakeBar], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LEAST_INTERVAL_S", 30)
    ar = a_map(None, n=1)
    threading.Timer(0.05, end(ar, 0)).start()
    assert waited(ar, interval=0)
    assert bars[0].shown == [0, 1], "only how it was, and the end"


def test_several_calls_are_one_sum(bars: list[FakeBar], then: list[Any]) -> None:
    one, other, foreign = a_map([4, 4]), a_map(None), Future[int]()
    then += [end(one, 0), end(one, 1), end(other, 0), lambda: foreign.set_result(1)]
    then += [end(other, 1), end(other, 2)]
    assert wait_for_jobs(one._client._io, {one, other, foreign}, 0.001, None)
    assert bars[0].total == 12
    assert bars[0].shown == [0, 0, 4, 8, 9, 10, 11, 12]


def test_a_call_of_which_all_that_is_left_is_waited_for_is_not_split() -> None:
    ar = a_map([4, 4, 2])
    places = {msg_id: (ar, i) for i, msg_id in enumerate(ar.msg_ids)}
    assert futures_of(places.get, ar.msg_ids, []) == {ar}
    assert ar._parts is None
    end(ar, 0)()
    assert futures_of(places.get, ar.msg_ids[1:], []) == {ar}
    some = futures_of(places.get, [*ar.msg_ids[:1], [ar.msg_ids[2]]], [])
    assert some == {ar.split()[0], ar.split()[2]}
    jobs = SeveralCalls(some)
    assert (jobs.n_done(), jobs.n_items) == (4, 6), "a part counts its items too"
    ar._client.abort = lambda *args, **options: None  # type: ignore[method-assign]
    ar.cancel()
    assert ar not in futures_of(places.get, ar.msg_ids, []), "cancelled, and yet they run"


def test_missing_engines_are_told_beside_the_bar(
    bars: list[FakeBar], then: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "NOTICE_AFTER_S", 0)
    ar = a_map(None, n=1)
    io: Any = ar._client._io
    io.has_engines = False
    then += [lambda: None, lambda: None, end(ar, 0)]
    assert waited(ar, interval=0.001)
    assert io.notices == bars[0].n_cleared == 1


def test_what_is_missing_is_a_sentence_however_many_there_are() -> None:
    engines = [{"engine_id": n, "host": "here", "state": "starting"} for n in range(5)]
    gone = [
        {"reason": f"engine {n} failed in its start-up: E: no; its last lines of stderr:\nTrace"}
        for n in range(4)
    ]
    gone.append({"reason": "was told to stop"})
    assert what_is_missing({"engines": [{"state": "busy"}], "gone": gone[4:]}) == ""
    assert what_is_missing({"engines": engines, "gone": gone}) == (
        "; 5 are in the start-up (0 on here, 1 on here, 2 on here, ...)"
        "; 4 left in the start-up: E: no"
    )
    many = [{"reason": f"failed in its start-up: {n}{'x' * 9000}\n"} for n in range(99)]
    said = what_is_missing({"engines": [], "gone": many})
    assert len(said) < 1000
    assert "\n" not in said
