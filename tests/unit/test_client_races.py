"""What the I/O thread shares with others: each two calls, one in the middle of the other.

And the same at random, with threads that give way after each microsecond.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from hippodrome.client.link.events import EnginesChanged
from hippodrome.client.link.io_thread import IOThread
from hippodrome.client.link.presence import Presence
from hippodrome.client.results import slots
from hippodrome.client.results.engine_wait import EngineWait
from hippodrome.client.results.future import LazyFuture
from hippodrome.client.results.hubresult import AsyncHubResult
from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.results.published import PublishedValues
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.submitting import Submissions
from hippodrome.protocol.messages import (
    Datum,
    EngineId,
    EngineInfo,
    Fetched,
    MsgId,
    PeerId,
    Piece,
)
from support.interleaving import interleavings
from support.results import QuietClient, deliver, failed, ok, several, single

RACE_S: Final = 1.0  # for each race at random


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads give way as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*calls: Callable[[], object]) -> None:
    """Make the calls at the same time, each in a thread, and wait for their ends."""
    go = threading.Barrier(len(calls))
    errors: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        try:
            go.wait(10)
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors
    assert not any(thread.is_alive() for thread in threads)


def rounds() -> Iterator[int]:
    """Count, until the time for a race is over."""
    deadline, n = time.monotonic() + RACE_S, 0
    while time.monotonic() < deadline:
        n += 1
        yield n


# ---- engines


class Engines(Presence):
    """What is told of engines, without the thread that is told."""

    is_lost = False
    outstanding: set[MsgId] = set()

    def check_may_wait(self) -> None:
        """Any thread may."""

    def come(self, n: int) -> None:
        info = [EngineInfo(EngineId(i), PeerId(str(i)), PeerId("n"), "h", 1) for i in range(n)]
        self._change_engines(EnginesChanged({one.engine: one for one in info}, {}))


def waiting_for(engines: Engines, n: int) -> EngineWait:
    return EngineWait(engines, n)  # type: ignore[arg-type]  # all that it needs


def test_of_two_watchers_that_come_at_once_both_are_told() -> None:
    def make() -> Any:
        return SimpleNamespace(engines=Engines(), waits=[])

    def watch(shared: Any) -> None:
        shared.waits.append(waiting_for(shared.engines, 1))

    for shared in interleavings(make, watch, watch):
        shared.engines.come(1)
        assert [one.done() for one in shared.waits] == [True, True]
        assert not shared.engines._watchers


def test_a_watcher_that_comes_while_another_leaves_is_told() -> None:
    def make() -> Any:
        engines = Engines()
        return SimpleNamespace(engines=engines, waits=[waiting_for(engines, 1)])

    def watch(shared: Any) -> None:
        shared.waits.append(waiting_for(shared.engines, 2))

    for first, second in ((watch, None), (None, watch)):
        calls = [call or (lambda shared: shared.engines.come(1)) for call in (first, second)]
        for shared in interleavings(make, *calls):
            assert shared.waits[0].done()
            shared.engines.come(2)
            assert shared.waits[1].done()
            assert not shared.engines._watchers


@pytest.mark.usefixtures("hasty")
def test_engines_that_come_end_the_waits_of_all_threads() -> None:
    for _ in rounds():
        engines, waits = Engines(), []

        def wait_for_all(engines: Engines = engines, waits: list[EngineWait] = waits) -> None:
            waits.extend(waiting_for(engines, n) for n in range(1, 31))

        def come(engines: Engines = engines) -> None:
            for n in range(1, 31):
                engines.come(n)

        together(wait_for_all, wait_for_all, wait_for_all, come)
        assert all(one.done() for one in waits)
        assert not engines._watchers


def test_that_there_are_no_engines_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in interleavings(Engines, Engines.notice, Engines.notice):
        assert capsys.readouterr().err.count("0 engines") == 1


# ---- results


def make_joined() -> Any:
    client: Any = QuietClient()
    one, other = single(client), single(client)
    return SimpleNamespace(one=one, other=other, joined=AsyncResult.join(one, other))


def test_results_of_two_calls_that_come_at_once_end_what_joins_them() -> None:
    for shared in interleavings(
        make_joined,
        lambda shared: deliver(shared.one, 0, failed()),
        lambda shared: deliver(shared.other, 0, failed()),
    ):
        assert (shared.joined._tasks.left, shared.joined._tasks.n_failed) == (0, 2)
        assert shared.joined.done()


@pytest.mark.parametrize("is_listener_first", [False, True])
def test_a_result_that_comes_while_it_is_passed_on_counts_once(is_listener_first: bool) -> None:
    def make() -> Any:
        client: Any = QuietClient()
        shared = SimpleNamespace(one=single(client), whole=several(client, 2))
        deliver(shared.whole, 1, ok(1))
        return shared

    def pass_on(shared: Any) -> None:
        slots.pass_on(shared.one, 0, shared.whole, 0)

    def come(shared: Any) -> None:
        deliver(shared.one, 0, failed())

    calls = (pass_on, come) if is_listener_first else (come, pass_on)
    for shared in interleavings(make, *calls):
        assert (shared.whole._tasks.left, shared.whole._tasks.n_failed) == (0, 1)
        assert shared.whole.done()
        assert shared.whole.progress == 2


def test_what_the_hub_and_another_call_deliver_at_once_is_all_counted() -> None:
    def make() -> Any:
        client: Any = QuietClient()
        whole = AsyncHubResult(client, [MsgId("m_0"), MsgId("m_1")], "f", single=False)
        one = single(client)
        slots.pass_on(one, 0, whole, 0)
        return SimpleNamespace(one=one, whole=whole)

    for shared in interleavings(
        make,
        lambda shared: shared.whole._take(1, (Fetched(MsgId("m_1"), result=failed()), ())),
        lambda shared: deliver(shared.one, 0, failed()),
    ):
        assert (shared.whole._tasks.left, shared.whole._tasks.n_failed) == (0, 2)
        assert shared.whole.done()


def test_a_call_that_is_split_while_results_come_has_all_of_them_once() -> None:
    def make() -> Any:
        client: Any = QuietClient()
        return SimpleNamespace(whole=several(client, 2), parts=[])

    def split(shared: Any) -> None:
        shared.parts.append(shared.whole.split())

    def come(shared: Any) -> None:
        slots.deliver_all(shared.whole, [0, 1], [ok(0), ok(1)], 100.0)

    for shared in interleavings(make, split, come):
        assert [part.get(5) for part in shared.parts[0]] == [0, 1]
    for shared in interleavings(make, split, split):
        come(shared)
        assert shared.parts[0] is shared.parts[1]


def test_threads_that_fetch_a_result_at_once_get_the_same_object() -> None:
    def make() -> Any:
        client: Any = QuietClient()
        result = several(client, 1)
        deliver(result, 0, ok([1]))
        return SimpleNamespace(result=result, found=[])

    def fetch(shared: Any) -> None:
        shared.found.append(shared.result.get()[0])

    for shared in interleavings(make, fetch, fetch):
        assert shared.found[0] is shared.found[1]


def test_threads_that_number_tasks_at_once_get_runs_that_do_not_overlap() -> None:
    def make() -> Any:
        return SimpleNamespace(out=Submissions(cast("IOThread", None), ""), runs=[])

    def number(shared: Any) -> None:
        shared.runs.append([int(msg_id) for msg_id in shared.out.new_ids(3)])

    for shared in interleavings(make, number, number):
        assert sorted(shared.runs) == [[1, 2, 3], [4, 5, 6]]


def test_items_are_counted_once_whoever_asks() -> None:
    def make() -> Any:
        client: Any = QuietClient()
        ids = [MsgId(f"m_{i}") for i in range(3)]
        result = AsyncMapResult(client, ids, "f", sizes=[5, 5, 2])
        deliver(result, 2, ok([1, 2]))
        return SimpleNamespace(result=result, seen=[])

    def look(shared: Any) -> None:
        shared.seen += [shared.result.progress, shared.result.progress]

    def come(shared: Any) -> None:
        deliver(shared.result, 0, ok([1] * 5))
        look(shared)

    for calls in ((look, look), (look, come), (come, look)):
        for shared in interleavings(make, *calls):
            assert set(shared.seen) <= {2, 7}
            assert shared.result.progress in {2, 7}
            deliver(shared.result, 0, ok([1] * 5))
            deliver(shared.result, 1, ok([1] * 5))
            assert shared.result.progress == 12


@pytest.mark.usefixtures("hasty")
def test_results_that_many_threads_pass_on_are_counted_once() -> None:
    n = 20
    for _ in rounds():
        client: Any = QuietClient()
        sources = [several(client, n) for _ in range(2)]
        wholes = [several(client, 2 * n) for _ in range(2)]

        def pass_on(whole: AsyncResult, sources: list[AsyncResult] = sources) -> Callable[[], None]:
            def run() -> None:
                for number, (source, i) in enumerate((s, i) for s in sources for i in range(n)):
                    slots.pass_on(source, i, whole, number)

            return run

        def come(source: AsyncResult) -> Callable[[], None]:
            return lambda: [deliver(source, i, failed()) for i in range(n)] and None

        together(*map(pass_on, wholes), *map(come, sources))
        ends = [(w._tasks.left, w._tasks.n_failed, w.done()) for w in wholes]
        assert ends == [(0, 2 * n, True)] * 2


class Heard:
    """Takes note of what it is told."""

    def __init__(self) -> None:
        self.ends: list[int] = []

    def put(self, index: int, piece: Piece) -> None:
        """Not of interest."""

    def end(self, index: int) -> None:
        self.ends.append(index)


def test_viewers_that_come_at_once_are_all_told() -> None:
    def make() -> Any:
        client: Any = QuietClient()
        return SimpleNamespace(result=single(client), heard=[Heard(), Heard()], gone=Heard())

    def come(number: int) -> Callable[[Any], None]:
        def call(shared: Any) -> None:
            shared.result._tasks.add_viewer(shared.gone)
            shared.result._tasks.add_viewer(shared.heard[number])
            shared.result._tasks.remove_viewer(shared.gone)

        return call

    for shared in interleavings(make, come(0), come(1)):
        deliver(shared.result, 0, ok(1))
        assert [heard.ends for heard in shared.heard] == [[0], [0]]
        assert not shared.gone.ends


def test_what_is_published_is_that_of_one_attempt() -> None:
    def datum(attempt: int, name: str) -> Datum:
        return Datum(MsgId("m"), attempt, name, b"\x80\x04N.")

    def make() -> Any:
        published = PublishedValues()
        published.add(datum(1, "old"), ())
        return SimpleNamespace(published=published, seen=[])

    def look(shared: Any) -> None:
        shared.seen.append((list(shared.published.values(1)), list(shared.published.values(2))))

    def come(shared: Any) -> None:
        shared.published.add(datum(2, "new"), ())

    for calls in ((look, come), (come, look)):
        for shared in interleavings(make, *calls):
            old, new = shared.seen[0]
            assert old in (["old"], [])
            assert new in ([], ["new"])


# ---- futures


def ended_by(end: Callable[[LazyFuture[int]], object]) -> Callable[[Any], None]:
    return lambda shared: end(shared.future) and None


def test_a_callback_is_called_once_however_its_future_ends() -> None:
    def make() -> Any:
        return SimpleNamespace(future=LazyFuture[int](), calls=[])

    def listen(shared: Any) -> None:
        shared.future.add_done_callback(shared.calls.append)

    end = ended_by(lambda future: future.set_result(1))
    for calls in ((listen, end), (end, listen)):
        for shared in interleavings(make, *calls):
            assert shared.calls == [shared.future]


def test_a_future_that_two_threads_end_has_one_end() -> None:
    def make() -> Any:
        future = LazyFuture[int]()
        shared = SimpleNamespace(future=future, ends=[])
        future.add_done_callback(lambda f: shared.ends.append((f.cancelled(), f._exception)))
        return shared

    ends = [
        ended_by(lambda future: future.set_result(1)),
        ended_by(lambda future: future.set_exception(OSError())),
        ended_by(lambda future: future.cancel()),
    ]
    for first in ends:
        for second in ends:
            for shared in interleavings(make, first, second):
                assert len(shared.ends) == 1
                assert shared.future.done()


def test_whoever_waits_while_a_future_ends_is_woken() -> None:
    def make() -> Any:
        return SimpleNamespace(future=LazyFuture[int](), seen=[])

    end = ended_by(lambda future: future.set_result(1))
    for shared in interleavings(
        make, end, lambda shared: shared.seen.append(shared.future.result(10))
    ):
        assert shared.seen == [1]
    for shared in interleavings(make, end, lambda shared: wait([shared.future], 10)):
        assert shared.future.result(0) == 1


def test_a_callback_that_wants_to_exit_ends_no_thread_but_its_own() -> None:
    future, called = LazyFuture[int](), []

    def leave(_: Future[int]) -> None:
        sys.exit("from a callback")

    future.add_done_callback(leave)
    future.add_done_callback(called.append)
    together(lambda: future.set_result(1))
    assert called == [future]
