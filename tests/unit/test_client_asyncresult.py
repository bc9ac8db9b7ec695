"""AsyncResult as a future, without a cluster: results are delivered by hand."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pickle
import threading
import time
from typing import Any

import numpy as np
import pytest

from hippodrome.client.chunk import Raised
from hippodrome.client.link.events import AbortRequested
from hippodrome.client.results import slots
from hippodrome.client.results.details import place_in_map
from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.results.metadata import KEYS
from hippodrome.client.results.result import AsyncResult
from hippodrome.errors import (
    CompositeError,
    ControllerLost,
    DeserializationError,
    RemoteError,
    TaskAborted,
)
from hippodrome.protocol.messages import EngineId, Failure, MsgId, Piece, Result


class FakeIO:
    """What results need of the I/O thread."""

    def __init__(self) -> None:
        self.engines: dict[int, Any] = {0: None}
        self.is_over = False
        self.on_io_thread = False
        self.posted: list[Any] = []

    def post(self, event: Any) -> None:
        self.posted.append(event)

    def check_may_wait(self) -> None:
        if self.on_io_thread:
            raise RuntimeError("on the I/O thread")

    def wait_on(self, condition: threading.Condition, timeout: float | None) -> None:
        condition.wait(timeout)

    def describe(self, engine: int) -> dict[str, Any]:
        return {"engine_id": engine, "engine_uuid": f"uuid {engine}"}


class FakeClient:
    def __init__(self) -> None:
        self._io = FakeIO()
        self.aborted: list[Any] = []
        self.forgotten: list[str] = []

    def _forget(self, msg_ids: list[str]) -> None:
        self.forgotten += msg_ids

    def abort(self, jobs: Any, block: bool) -> None:
        self.aborted.append(jobs)


@pytest.fixture
def client() -> Any:
    return FakeClient()


def single(client: Any) -> AsyncResult:
    return AsyncResult(client, [MsgId("m_0")], "f", single=True)


def several(client: Any, n: int = 3) -> AsyncResult:
    return AsyncResult(client, [MsgId(f"m_{i}") for i in range(n)], "f", single=False)


def ok(value: Any, engine: int = 0) -> Result:
    return Result(
        MsgId("m"), "ok", EngineId(engine), 1, 10.0, 12.0, pickle.dumps(value), stdout="out\n"
    )


def failed(name: str = "ValueError", status: str = "error") -> Result:
    return Result(MsgId("m"), status, EngineId(1), failure=Failure(name, "it failed", "trace"))


def deliver(result: AsyncResult, index: int, what: Result) -> None:
    slots.deliver(result, index, what, (), 100.0)


def deliver_soon(result: AsyncResult, *what: Result) -> threading.Thread:
    """Deliver on another thread, which has begun when this returns."""

    def run() -> None:
        for index, item in enumerate(what):
            deliver(result, index, item)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_single_result_is_what_the_task_returned(client: Any) -> None:
    ar = single(client)
    assert not ar.ready()
    deliver(ar, 0, ok({"a": 1}))
    assert ar.ready()
    assert ar.successful()
    assert ar.get() == ar.result() == ar.r == {"a": 1}
    assert ar.exception() is None


def test_several_results_are_a_list_in_order_of_submission(client: Any) -> None:
    ar = several(client)
    for index in (2, 0, 1):
        deliver(ar, index, ok(index, index))
    assert ar.get() == [0, 1, 2]
    assert ar.get_dict() == {0: 0, 1: 1, 2: 2}


def test_the_first_result_of_a_task_counts(client: Any) -> None:
    ar = several(client, 2)
    deliver(ar, 0, ok("first"))
    deliver(ar, 0, ok("second"))
    assert not ar.ready()
    deliver(ar, 1, ok("other"))
    deliver(ar, 1, failed())
    assert ar.get() == ["first", "other"]


def test_a_waiting_thread_is_woken(client: Any) -> None:
    ar = single(client)
    thread = deliver_soon(ar, ok(7))
    assert ar.get(timeout=10) == 7
    thread.join()


def test_a_result_that_does_not_come_is_a_timeout(client: Any) -> None:
    ar = single(client)
    assert ar.wait(0) is False
    assert ar.wait(0.01) is False
    with pytest.raises(TimeoutError, match="has not ended within"):
        ar.get(0.01)
    with pytest.raises(RuntimeError):
        ar.successful()


def test_a_timeout_says_that_there_are_no_engines(client: Any) -> None:
    ar = single(client)
    with pytest.raises(TimeoutError, match=r"within 0 s$"):
        ar.get(0)
    client._io.engines = {}
    with pytest.raises(TimeoutError, match="there are no engines"):
        ar.get(0)


def test_a_failed_task_raises_its_error(client: Any) -> None:
    ar = single(client)
    deliver(ar, 0, failed())
    assert not ar.successful()
    with pytest.raises(RemoteError, match=r"\[1:f\] ValueError: it failed"):
        ar.get()
    assert isinstance(ar.exception(), RemoteError)
    assert isinstance(ar.get(return_exceptions=True), RemoteError)
    assert "failed" in repr(ar)


def test_an_aborted_task_raises_the_error_of_that_name(client: Any) -> None:
    ar = single(client)
    deliver(ar, 0, failed("TaskAborted", "aborted"))
    with pytest.raises(TaskAborted):
        ar.get()


def test_failures_among_several_are_a_composite_error(client: Any) -> None:
    ar = several(client)
    deliver(ar, 0, ok(0))
    deliver(ar, 1, failed())
    with pytest.raises(CompositeError, match="1 of 3"):
        ar.get(return_when=concurrent.futures.FIRST_EXCEPTION)
    deliver(ar, 2, failed("KeyError"))
    with pytest.raises(CompositeError, match="2 of 3 tasks of f") as caught:
        ar.get()
    assert [error[0] for error in caught.value.elist] == ["ValueError", "KeyError"]
    assert [type(value) for value in ar.get(return_exceptions=True)] == [
        int,
        RemoteError,
        RemoteError,
    ]


def test_a_lost_controller_is_not_a_composite_error(client: Any) -> None:
    ar = several(client, 2)
    deliver(ar, 0, ok(1))
    deliver(ar, 1, failed("ControllerLost", "lost"))
    with pytest.raises(ControllerLost, match="it failed"):
        ar.get()


def test_a_result_that_cannot_be_unpickled_is_an_error_and_not_a_hang(client: Any) -> None:
    ar = single(client)
    broken = Result(MsgId("m"), "ok", EngineId(0), payload=b"cno_such_module\nThing\n.")
    deliver(ar, 0, broken)
    with pytest.raises(DeserializationError, match="no_such_module"):
        ar.get(timeout=1)
    assert ar.raw == [(broken.payload, ())]
    assert not ar.successful()


def test_results_are_decoded_once(client: Any) -> None:
    ar = single(client)
    deliver(ar, 0, ok([1]))
    assert ar.get() is ar.get()


def test_it_works_with_the_functions_for_futures(client: Any) -> None:
    ended, pending = single(client), single(client)
    deliver(ended, 0, ok(1))
    done, not_done = concurrent.futures.wait([ended, pending], timeout=0)
    assert (done, not_done) == ({ended}, {pending})
    thread = deliver_soon(pending, ok(2))
    found = [ar.result() for ar in concurrent.futures.as_completed([ended, pending], timeout=10)]
    assert sorted(found) == [1, 2]
    thread.join()


@pytest.mark.parametrize("repeat", range(5))
def test_many_threads_may_wait_while_results_come(client: Any, repeat: int) -> None:
    """Whatever the interleaving, nobody misses the end: the condition is made by the waiters."""
    for _ in range(60):
        check_waiters(single(client))


def check_waiters(ar: AsyncResult) -> None:
    seen: list[Any] = []
    called: list[Any] = []
    threads = [
        threading.Thread(target=lambda: seen.append(ar.get(10))),
        threading.Thread(target=lambda: seen.append(ar.wait(10))),
        threading.Thread(
            target=lambda: seen.append(concurrent.futures.wait([ar], 10).done == {ar})
        ),
        threading.Thread(
            target=lambda: seen.append(list(concurrent.futures.as_completed([ar], 10)) == [ar])
        ),
    ]
    for thread in threads:
        thread.start()
    ar.add_done_callback(called.append)
    deliver(ar, 0, ok(True))
    for thread in threads:
        thread.join()
    assert seen == [True] * 4
    assert called == [ar]


def test_a_callback_is_called_once_before_or_after_the_end(client: Any) -> None:
    ar, called = single(client), []
    ar.add_done_callback(called.append)
    assert called == []
    deliver(ar, 0, ok(1))
    ar.add_done_callback(called.append)
    assert called == [ar, ar]


def test_it_can_be_awaited(client: Any) -> None:
    async def main() -> Any:
        good, bad = single(client), single(client)
        threads = [deliver_soon(good, ok(5)), deliver_soon(bad, failed())]
        with pytest.raises(RemoteError):
            await bad
        value = await asyncio.wait_for(good, 10)
        for thread in threads:
            thread.join()
        return value

    assert asyncio.run(main()) == 5


def test_cancelling_gives_up_and_aborts(client: Any) -> None:
    ar = single(client)
    assert ar.cancel()
    assert ar.cancelled()
    assert client.aborted == [ar]
    deliver(ar, 0, ok(1))
    with pytest.raises(concurrent.futures.CancelledError):
        ar.get()
    assert concurrent.futures.wait([ar], 0).done == {ar}


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_what_was_cancelled_can_be_interrupted_too(client: Any, is_cancelled: bool) -> None:
    ar = single(client)
    if is_cancelled:  # as asyncio does when nobody awaits it any more
        ar.cancel()
    assert not client._io.posted
    assert ar.cancel(interrupt=True)
    assert client._io.posted == [AbortRequested(("m_0",), interrupt=True)]


@pytest.mark.parametrize("keeps_errors", [False, True])
@pytest.mark.parametrize("is_told", [False, True])
def test_iterating_over_what_was_cancelled_says_so(
    client: Any, keeps_errors: bool, is_told: bool
) -> None:
    ar = AsyncMapResult(client, [MsgId("m_0"), MsgId("m_1")], "f", return_exceptions=keeps_errors)
    deliver(ar, 0, ok(1))
    ar.cancel()
    if is_told:
        deliver(ar, 1, failed("TaskAborted", "aborted"))

    async def iterate() -> None:
        items = aiter(ar)
        assert await anext(items) == 1
        with pytest.raises(asyncio.CancelledError):
            await anext(items)

    asyncio.run(iterate())
    items = iter(ar)
    assert next(items) == 1
    with pytest.raises(concurrent.futures.CancelledError):
        next(items)


def test_what_has_ended_cannot_be_cancelled_or_aborted(client: Any) -> None:
    ar = single(client)
    deliver(ar, 0, ok(1))
    assert not ar.cancel()
    with pytest.raises(RuntimeError):
        ar.abort()


def test_blocking_on_the_io_thread_raises_instead_of_hanging(client: Any) -> None:
    ar, other = single(client), single(client)
    deliver(ar, 0, ok(1))
    client._io.on_io_thread = True
    assert ar.get() == 1
    for call in (other.get, other.wait, other.result, other.exception):
        with pytest.raises(RuntimeError, match="I/O thread"):
            call()


def test_splitting_gives_futures_of_the_single_tasks(client: Any) -> None:
    ar = several(client)
    deliver(ar, 0, ok("early"))
    parts = ar.split()
    assert ar.split() is parts
    assert [part.ready() for part in parts] == [True, False, False]
    deliver(ar, 1, failed())
    deliver(ar, 2, ok("late"))
    assert parts[0].get() == "early"
    assert parts[2].get() == "late"
    with pytest.raises(RemoteError):
        parts[1].get()


def test_a_part_has_a_value_of_its_own(client: Any) -> None:
    ar = several(client, 1)
    part = ar.split()[0]
    deliver(ar, 0, ok([]))
    part.get().append("changed")
    assert ar.get() == [[]]


def test_joining_gives_one_result_of_several(client: Any) -> None:
    first, second = single(client), several(client, 2)
    deliver(first, 0, ok(0))
    joined = AsyncResult.join(first, second)
    assert not joined.ready()
    deliver(second, 1, ok(2))
    deliver(second, 0, ok(1))
    assert joined.get() == [0, 1, 2]


def test_waiting_for_the_first_returns_what_is_done(client: Any) -> None:
    ar = several(client)
    deliver(ar, 1, ok(1))
    done, pending = ar.wait(10, return_when=concurrent.futures.FIRST_COMPLETED)
    assert [part.msg_ids for part in done] == [["m_1"]]
    assert len(pending) == 2


def test_iterating_yields_results_as_they_come(client: Any) -> None:
    ar = several(client)
    deliver(ar, 0, ok("a"))
    results = iter(ar)
    assert next(results) == "a"
    deliver(ar, 1, ok("b"))
    assert next(results) == "b"
    thread = threading.Thread(target=deliver, args=(ar, 2, ok("c")))
    thread.start()
    assert next(results) == "c"
    thread.join()
    with pytest.raises(TypeError):
        iter(single(client))


def test_metadata_tell_where_a_task_runs_once_that_is_known(client: Any) -> None:
    ar = single(client)
    assert (ar.engine_id, ar.engine_uuid) == (None, None)
    text = Piece(ar.msg_ids[0], 1, "stdout", 0, "here\n")
    ar._tasks.show(0, text, EngineId(3))
    assert (ar.engine_id, ar.engine_uuid, ar.started) == (3, "uuid 3", None)


def test_metadata_can_be_read_before_and_after(client: Any) -> None:
    ar = single(client)
    assert ar["status"] is None
    assert ar.engine_id is None
    deliver(ar, 0, ok(1, engine=4))
    assert ar["status"] == ar.status == "ok"
    assert ar.metadata.engine_uuid == "uuid 4"
    assert ar.stdout == "out\n"
    assert ar.serial_time == 2.0
    assert ar.metadata["completed"].tzinfo is not None
    assert ar.wall_time == ar.elapsed
    with pytest.raises(KeyError) as caught:
        ar["nonsense"]
    assert str(caught.value).startswith("there is no metadata 'nonsense'; there are msg_id, ")
    with pytest.raises(KeyError) as caught:
        ar.metadata["labl"] = "x"
    assert str(caught.value).startswith("there is no metadata 'labl'; there are ")
    with pytest.raises(AttributeError):
        ar.nonsense


def test_the_names_of_metadata_are_among_those_of_a_result(client: Any) -> None:
    for ar in (single(client), several(client)):
        assert dir(ar) == sorted({*dir(ar), *KEYS})


def test_metadata_of_several_is_a_list(client: Any) -> None:
    ar = several(client, 2)
    deliver(ar, 0, ok(1))
    assert ar.status == ["ok", None]
    assert ar.progress == 1
    assert len(ar) == 2
    with pytest.raises(TimeoutError):
        _ = ar.serial_time
    deliver(ar, 1, ok(2))
    assert ar[0] == 1
    assert ar[-1] == 2
    assert ar[:] == [1, 2]


def test_one_engine_with_two_tasks_has_no_dict(client: Any) -> None:
    ar = several(client, 2)
    deliver(ar, 0, ok(1))
    deliver(ar, 1, ok(2))
    with pytest.raises(ValueError, match=r"several results of .*: use get\(\)"):
        ar.get_dict()


def test_a_map_with_several_results_of_an_engine_has_no_dict(client: Any) -> None:
    ar = AsyncMapResult(client, [MsgId("m_0"), MsgId("m_1")], "f", sizes=[2, 2])
    deliver(ar, 0, ok([0, 1], 0))
    deliver(ar, 1, ok([2, 3], 1))
    with pytest.raises(ValueError, match=r"several results of .*: use get\(\)"):
        _ = ar.result_dict
    assert ar.get() == [0, 1, 2, 3]


def test_a_map_with_one_result_of_each_engine_has_a_dict(client: Any) -> None:
    ar = AsyncMapResult(client, [MsgId("m_0"), MsgId("m_1")], "f", sizes=[1, 1])
    deliver(ar, 0, ok(["a"], 1))
    deliver(ar, 1, ok(["b"], 0))
    assert ar.get_dict() == {1: "a", 0: "b"}


def test_fetching_drops_what_the_client_kept(client: Any) -> None:
    ar = single(client)
    deliver(ar, 0, ok(1))
    assert client.forgotten == []
    ar.get()
    assert client.forgotten == ["m_0"]


def map_of(client: Any, sizes: list[int] | None, n: int, **options: Any) -> AsyncMapResult:
    ids = [MsgId(f"m_{i}") for i in range(n)]
    return AsyncMapResult(client, ids, "f", sizes=sizes, **options)


def test_a_map_puts_its_chunks_together(client: Any) -> None:
    ar = map_of(client, [2, 1], 2)
    deliver(ar, 1, ok(["c"]))
    assert (len(ar), ar.progress) == (3, 1)
    deliver(ar, 0, ok(["a", "b"]))
    assert ar.get() == list(ar) == ["a", "b", "c"]


def test_a_map_can_be_iterated_first_come_first(client: Any) -> None:
    ar = map_of(client, None, 3, ordered=False)
    results = iter(ar)
    deliver(ar, 2, ok("last"))
    assert next(results) == "last"
    deliver(ar, 0, ok("first"))
    deliver(ar, 1, ok("second"))
    assert list(results) == ["first", "second"]
    assert ar.get() == ["first", "second", "last"]


def test_a_map_may_put_errors_in_the_place_of_results(client: Any) -> None:
    ar = map_of(client, [2, 2], 2, return_exceptions=True)
    deliver(ar, 0, ok([1, Raised(Failure("KeyError", "k"))]))
    deliver(ar, 1, failed("EngineError", "lost"))
    names = [getattr(item, "ename", item) for item in ar.get()]
    assert names == [1, "KeyError", "EngineError", "EngineError"]
    assert [getattr(item, "ename", item) for item in ar] == names


def test_what_the_engine_says_is_no_item_of_the_map_is_left_out(client: Any) -> None:
    result = map_of(client, [2, 3], 2)
    assert [result._about.items_at(i) for i in range(2)] == [range(2), range(2, 5)]
    assert place_in_map(range(2, 5), 1) == {"item": 3}
    assert place_in_map(range(2, 5), None) == {"items": (2, 4)}
    assert place_in_map(range(2, 3), None) == {"item": 2}
    assert place_in_map(None, 1) == {}
    for odd in (-1, 3, 2**62):
        assert place_in_map(range(2, 5), odd) == {}


def test_an_empty_map_is_done(client: Any) -> None:
    ar = map_of(client, None, 0)
    assert ar.ready()
    assert ar.get() == list(ar) == []


def test_a_pending_result_costs_little(client: Any) -> None:
    """No locks and no conditions before somebody waits."""
    ar = single(client)
    assert "_condition" not in vars(ar)
    deliver(ar, 0, ok(1))
    assert ar.get() == 1
    assert "_condition" not in vars(ar)


def test_elapsed_time_goes_on_until_the_end(client: Any) -> None:
    ar = single(client)
    ar._about.submitted = time.time() - 5
    assert ar.elapsed >= 5


@pytest.mark.parametrize("is_done", [False, True])
def test_a_timeout_that_is_no_number_is_said_so_at_once(client: Any, is_done: bool) -> None:
    ar = single(client)
    if is_done:
        deliver(ar, 0, ok(1))
    for wait in (ar.get, ar.result, ar.exception, ar.wait, ar.get_dict, ar.wait_for_send):
        with pytest.raises(TypeError, match="timeout must be a number of seconds, not 'a'"):
            wait(timeout="a")  # type: ignore[operator]
    with pytest.raises(TypeError, match="timeout"):
        ar.wait("a", concurrent.futures.ALL_COMPLETED)  # type: ignore[arg-type]
    assert ar.wait(timeout=np.float32(0.0)) is is_done  # type: ignore[arg-type]


def test_an_index_without_a_result_is_an_error_that_speaks_of_results(client: Any) -> None:
    chunked = AsyncMapResult(client, [MsgId("m_0")], "f", sizes=[3])
    for ar in (several(client), chunked):
        with pytest.raises(IndexError, match="there is no result 9: there are 3"):
            ar[9]
        with pytest.raises(TypeError, match=r"for results, .* for metadata, not 1\.5"):
            ar[1.5]
    deliver(chunked, 0, ok([1, 2, 3]))
    assert (chunked[-1], chunked[:2]) == (3, [1, 2])


# ---------------------------------------------------------------- many at once


def mapped(client: Any, n: int = 4, **options: Any) -> AsyncMapResult:
    return AsyncMapResult(client, [MsgId(f"m_{i}") for i in range(n)], "f", **options)


def test_many_results_come_at_once_and_each_counts_once(client: Any) -> None:
    ar = mapped(client, ordered=False)
    slots.deliver_all(ar, [2, 0], [ok("c"), ok("a")], 100.0)
    assert ar.progress == 2
    assert not ar.done()
    slots.deliver_all(ar, [0, 3, 1], [ok("late"), ok("d"), ok("b")], 100.0)
    assert ar.done()
    assert list(ar) == ["c", "a", "d", "b"], "as they came"
    assert ar.get() == ["a", "b", "c", "d"]


def test_many_results_reach_those_who_wait_for_one_and_for_parts(client: Any) -> None:
    ar = mapped(client)
    parts = ar.split()
    joined = AsyncResult.join(parts[3], parts[1])
    woken = threading.Thread(target=lambda: ar._value_of(1))
    woken.start()
    slots.deliver_all(ar, [1, 3], [ok("b"), ok("d")], 100.0)
    woken.join(10)
    assert not woken.is_alive()
    assert [part.done() for part in parts] == [False, True, False, True]
    assert joined.get(timeout=0) == ["d", "b"]


def test_a_listener_that_comes_while_many_results_do_misses_none(client: Any) -> None:
    for _ in range(50):
        ar = mapped(client, 200)
        results = [ok(i) for i in range(200)]
        thread = threading.Thread(target=slots.deliver_all, args=(ar, range(200), results, 100.0))
        thread.start()
        parts = ar.split()
        thread.join(10)
        assert all(part.done() for part in parts)


def test_arguments_are_sent_once_the_callers_memory_is_not_needed(client: Any) -> None:
    memory, copied = bytearray(8), b"a reference"
    ar = single(client)
    assert ar.sent
    ar._note_sending([memory], [copied])
    assert ar.wait_for_send(0)
    ar._note_sending([memory, memory], [copied, memory])
    assert not ar.sent
    with pytest.raises(TimeoutError, match="not sent"):
        ar.wait_for_send(0)
    deliver(ar, 0, ok(1))
    assert ar.sent
    assert ar.wait_for_send(0)
