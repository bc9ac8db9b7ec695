"""A client, its views and their results, with real processes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import operator
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import hippodrome as ipp


def double(x: int) -> int:
    return 2 * x


def fail(x: object = None) -> None:
    raise ValueError(x)


@pytest.fixture
def dv(client: Any) -> Any:
    return client[:]


@pytest.fixture
def lv(client: Any) -> Any:
    return client.load_balanced_view()


def test_the_clusters_engines_are_known(client: Any) -> None:
    assert client.ids == [0, 1]
    assert len(client) == 2
    assert [view.targets for view in client] == [0, 1]
    assert client[-1].targets == 1
    assert client[::2].targets == [0]
    assert client.direct_view().targets == "all"
    with pytest.raises(IndexError, match="there are 0, 1"):
        client[7]
    with pytest.raises(TypeError):
        client["a"]


def test_one_target_gives_a_result_and_several_a_list(client: Any) -> None:
    assert client[0].apply_sync(operator.add, 1, 2) == 3
    assert client[[0]].apply_sync(operator.add, 1, 2) == [3]
    assert client[:].apply_sync(operator.add, 1, 2) == [3, 3]
    assert client.direct_view("all").apply_async(lambda: 1).get(timeout=10) == [1, 1]


def test_the_view_decides_whether_a_call_blocks(client: Any) -> None:
    view = client.direct_view([0, 1], block=True)
    assert view.apply(double, 2) == [4, 4]
    view.block = False
    assert isinstance(view.apply(double, 2), ipp.AsyncResult)
    assert client.load_balanced_view(block=True).map(double, [1, 2]) == [2, 4]


def test_a_keyword_argument_may_be_called_f(lv: Any) -> None:
    assert lv.apply_sync(lambda *, f: f + 1, f=1) == 2


def test_variables_are_pushed_and_pulled(client: Any, dv: Any) -> None:
    dv.push({"a": 5, "b": [1, 2]}, block=True)
    assert dv.pull("a", block=True) == [5, 5]
    assert dv.pull(["a", "b"], block=True) == [[5, [1, 2]]] * 2
    assert dv["b"] == [[1, 2], [1, 2]]
    client[1]["a"] = "other"
    assert dv.get("a") == [5, "other"]
    dv.update({"c": 3}).get(timeout=10)
    assert client[0]["c"] == 3
    with pytest.raises(TypeError, match="dict"):
        dv.push([1])


def test_a_name_that_is_not_there_is_a_remote_error(client: Any, dv: Any) -> None:
    with pytest.raises(ipp.RemoteError, match="NameError"):
        client[0]["no_such_name"]
    with pytest.raises(ipp.CompositeError) as caught:
        dv["no_such_name"]
    assert [error[0] for error in caught.value.elist] == ["NameError"] * 2
    with pytest.raises(NameError):
        raise caught.value.exceptions[0]


def test_source_text_runs_in_the_engines_namespace(client: Any, dv: Any, tmp_path: Any) -> None:
    ar = dv.execute("x = 6 * 7\nprint('said')", block=True)
    assert isinstance(ar, ipp.AsyncResult)
    assert ar.stdout == ["said\n"] * 2
    assert dv["x"] == [42, 42]
    script = tmp_path / "script.py"
    script.write_text("y = x + 1")
    client[1].run(script, block=True)
    assert client[1]["y"] == 43
    with pytest.raises(ipp.RemoteError, match="SyntaxError"):
        client[0].execute("1 +", block=True)


def test_clearing_forgets_variables(client: Any, dv: Any) -> None:
    dv["z"] = 1
    client.clear(block=True)
    with pytest.raises(ipp.RemoteError, match="NameError"):
        client[0]["z"]


def test_references_are_looked_up_on_the_engine(client: Any, dv: Any) -> None:
    client[0]["r"], client[1]["r"] = 10, 20
    assert dv.apply_sync(double, ipp.Reference("r")) == [20, 40]


def test_a_reference_to_a_function_is_looked_up_at_each_call(dv: Any, lv: Any) -> None:
    for number in (1, 2):
        dv.execute(f"def named(x): return x + {number}", block=True)
        assert dv.apply_sync(ipp.Reference("named"), 0) == [number] * 2
        assert dv.map_sync(ipp.Reference("named"), [0, 1]) == [number, number + 1]
        assert lv.map_sync(ipp.Reference("named"), [0, 1]) == [number, number + 1]


@pytest.mark.parametrize("chunksize", [1, 3, 100])
def test_a_balanced_map_keeps_the_order(lv: Any, chunksize: int) -> None:
    expected = [2 * i for i in range(50)]
    assert lv.map_sync(double, range(50), chunksize=chunksize) == expected
    ar = lv.map_async(double, range(50), chunksize=chunksize)
    assert len(ar) == 50
    assert list(ar) == expected
    unordered = lv.map_async(double, range(50), chunksize=chunksize, ordered=False)
    assert sorted(unordered) == expected


def test_a_direct_map_gives_each_engine_one_part(client: Any, dv: Any) -> None:
    assert dv.map_sync(double, range(5)) == [0, 2, 4, 6, 8]
    ar = dv.map_async(operator.mul, range(5), itertools.repeat(3, 4))
    assert ar.get(timeout=10) == [0, 3, 6, 9]
    assert len(ar.msg_ids) == 2
    assert dv.map_sync(double, [7]) == [14]
    assert dv.map_sync(double, []) == []
    assert list(dv.imap(double, iter([1, 2, 3]))) == [2, 4, 6]


@pytest.mark.parametrize("chunksize", [1, 2])
def test_errors_may_take_the_place_of_results(lv: Any, chunksize: int) -> None:
    def inverse(x: int) -> float:
        return 1 / x

    results = lv.map_sync(inverse, [1, 0, 2], chunksize=chunksize, return_exceptions=True)
    assert results[0] == 1
    assert isinstance(results[1], ipp.RemoteError)
    assert isinstance(results[1].__cause__, ZeroDivisionError)
    assert results[2] == 0.5
    with pytest.raises(ipp.CompositeError, match="1 of"):
        lv.map_sync(inverse, [1, 0, 2], chunksize=chunksize)


def test_block_is_refused_where_the_name_says_it(lv: Any) -> None:
    with pytest.raises(TypeError, match="map_async"):
        lv.map_async(double, [1], block=True)


def test_imap_takes_endless_inputs_and_stays_bounded(client: Any, lv: Any) -> None:
    taken = itertools.count()
    results = lv.imap(double, taken, max_outstanding=3)
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    assert next(taken) <= 8
    results.cancel()
    assert list(results) == []
    assert sorted(lv.imap(double, range(20), ordered=False)) == [2 * i for i in range(20)]
    mixed = list(lv.imap(fail, range(2), return_exceptions=True))
    assert [isinstance(item, ipp.RemoteError) for item in mixed] == [True] * 2


@pytest.mark.parametrize("dist", ["b", "r"])
def test_what_is_scattered_can_be_gathered(client: Any, dv: Any, dist: str) -> None:
    assert dv.scatter("part", range(7), dist=dist, block=True) is None
    assert dv.gather("part", dist=dist, block=True) == list(range(7))
    dv.scatter("array", np.arange(7), dist=dist).get(timeout=10)
    gathered = dv.gather("array", dist=dist).get(timeout=10)
    assert isinstance(gathered, np.ndarray)
    assert gathered.tolist() == list(range(7))
    dv.scatter("rank", [0, 1], flatten=True, block=True)
    assert client[1]["rank"] == 1


def test_large_arrays_travel_both_ways(lv: Any) -> None:
    array = np.arange(1_000_000, dtype=float)
    result = lv.apply_sync(lambda a: a + 1, array)
    assert result[-1] == array[-1] + 1
    result[0] = 5  # what arrives can be written to


def test_remote_and_parallel_functions(client: Any, dv: Any, lv: Any) -> None:
    @lv.remote(block=True)
    def triple(x: int) -> int:
        "Documented."
        return 3 * x

    assert triple(2) == 6
    assert triple.__doc__ == "Documented."
    assert triple.map([1, 2]) == [3, 6]

    @dv.parallel(block=True)
    def squares(numbers: Any) -> Any:
        return [n * n for n in numbers]

    assert squares(range(5)) == [0, 1, 4, 9, 16]
    assert squares([]) == []

    @lv.parallel(block=True, chunksize=2)
    def plus(a: Any, b: Any) -> Any:
        return a + b

    assert plus(np.arange(5), np.arange(5)).tolist() == [0, 2, 4, 6, 8]
    with pytest.raises(ValueError, match="same length"):
        plus([1], [1, 2])


def test_an_argument_that_cannot_be_pickled_is_an_error_at_the_call(client: Any, lv: Any) -> None:
    n_before = len(client.history)
    for call in (lv.apply_async, client[:].apply_async):
        with pytest.raises(ipp.SerializationError, match="argument 0"):
            call(double, threading.Lock())
    with pytest.raises(ipp.SerializationError):
        lv.map_async(double, [1, threading.Lock()])
    assert len(client.history) == n_before
    assert not client.outstanding


def test_a_task_may_wait_for_others(lv: Any) -> None:
    first = lv.apply_async(os.getpid)
    with lv.temp_flags(after=first, follow=first):
        second = lv.apply_async(os.getpid)
    assert second.get(timeout=10) == first.get(timeout=10)
    assert second.metadata.after == first.msg_ids
    bad = lv.apply_async(fail)
    with lv.temp_flags(after=ipp.Dependency(bad)):
        hopeless = lv.apply_async(double, 1)
    with pytest.raises(ipp.ImpossibleDependency):
        hopeless.get(timeout=10)
    with lv.temp_flags(after="no-such-task"), pytest.raises(ipp.InvalidDependency):
        lv.apply_sync(double, 1)


def test_targets_of_a_balanced_view_are_kept_to(client: Any) -> None:
    view = client.load_balanced_view([1])
    ar = view.map_async(double, range(5))
    ar.get(timeout=10)
    assert set(ar.engine_id) == {1}


@pytest.fixture
def busy_engines(client: Any, tmp_path: Any) -> Iterator[None]:
    """Both engines run a task that ends only with the test."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    running = []
    for i in (0, 1):
        started = tmp_path / f"started-{i}"
        os.mkfifo(started)
        running.append(client[i].apply_async(pass_through, str(started), str(gate)))
        started.read_text()  # returns once the task has started
    yield
    descriptor = os.open(gate, os.O_RDWR)
    try:
        for ar in running:
            ar.get(timeout=10)
    finally:
        os.close(descriptor)


def pass_through(started: str, gate: str) -> None:
    with open(started, "w"):
        pass
    with open(gate):  # returns once somebody has it open for writing
        pass


@pytest.mark.usefixtures("busy_engines")
def test_aborted_tasks_do_not_start(client: Any, lv: Any) -> None:
    waiting = [lv.apply_async(double, i) for i in range(3)]
    direct = client[0].apply_async(double, 1)
    client.abort([*waiting, direct], block=True)
    for ar in (*waiting, direct):
        with pytest.raises(ipp.TaskAborted):
            ar.get(timeout=10)


@pytest.mark.usefixtures("busy_engines")
def test_aborting_a_task_that_was_submitted_just_before(client: Any, lv: Any) -> None:
    """The abort takes another channel than the task, and must not overtake it."""
    for _ in range(20):
        ar = lv.apply_async(double, 1)
        ar.abort()
        with pytest.raises(ipp.TaskAborted):
            ar.get(timeout=10)


@pytest.mark.usefixtures("busy_engines")
def test_everything_outstanding_can_be_aborted(client: Any, lv: Any) -> None:
    ars = lv.map_async(double, range(10))
    client.abort(block=True)
    with pytest.raises(ipp.CompositeError, match="10 of 10"):
        ars.get(timeout=10)


@pytest.mark.usefixtures("busy_engines")
def test_only_what_was_sent_to_an_engine_is_aborted_there(client: Any) -> None:
    there, elsewhere = (client[i].apply_async(double, 1) for i in (0, 1))
    client.abort(targets=0, block=True)
    with pytest.raises(ipp.TaskAborted):
        there.get(timeout=10)
    assert not elsewhere.ready()


def test_waiting_and_history(client: Any, lv: Any) -> None:
    busy = client[:].apply_async(time.sleep, 0.2)
    assert set(busy.msg_ids) <= client.outstanding
    assert not client.wait(timeout=0)
    assert client.wait(timeout=10)
    assert client.outstanding == set()
    ar = lv.apply_async(double, 4)
    assert client.history[-1] == lv.history[-1] == ar.msg_ids[0]
    assert client.wait(-1, timeout=10)
    assert client.wait([ar, *ar.msg_ids], timeout=10)
    assert lv.wait(timeout=10)
    assert client.wait("somebody-elses-task"), "what is unknown here counts as done"
    assert ar.wait_interactive() is None, "so that a cell shows nothing more"
    assert client.wait_interactive() is None


def test_a_result_can_be_found_by_its_id(client: Any, lv: Any) -> None:
    lv.apply_async(double, 21)
    assert client.get_result(-1).get(timeout=10) == 42
    assert client.get_result(client.history[-1]).get(timeout=10) == 42, "again, from the hub"
    view_result = client[:].apply_async(double, 3)
    found = client.get_result(view_result.msg_ids)
    assert found.get(timeout=10) == view_result.get(timeout=10) == [6, 6]
    client.get_result(lv.apply_async(double, 1), block=True)
    assert client.results[client.history[-1]] == 2
    assert client.metadata[client.history[-1]].status == "ok"


def test_queue_status(client: Any) -> None:
    status = client.queue_status()
    assert set(status) == {0, 1, "unassigned"}
    assert set(client.queue_status(0)) == {"queue", "completed", "tasks"}


def test_results_work_with_asyncio_and_futures(lv: Any) -> None:
    async def main() -> list[int]:
        return await asyncio.gather(*(lv.apply_async(double, i) for i in range(5)))

    assert asyncio.run(main()) == [0, 2, 4, 6, 8]
    ars = [lv.apply_async(double, i) for i in range(5)]
    assert sorted(ar.result() for ar in concurrent.futures.as_completed(ars, 10)) == [0, 2, 4, 6, 8]


def test_blocking_in_a_callback_raises_instead_of_hanging(lv: Any) -> None:
    seen: list[Any] = []
    called = threading.Event()

    def callback(ar: Any) -> None:
        try:
            seen.append(ar.get())
            seen.append(lv.apply_sync(double, 1))
        except RuntimeError as error:
            seen.append(str(error))
        called.set()

    slow = lv.apply_async(time.sleep, 0.05)
    slow.add_done_callback(callback)
    assert called.wait(10)
    assert seen[0] is None
    assert "I/O thread" in seen[1]


def test_many_threads_may_use_one_view(client: Any, lv: Any) -> None:
    """Labels set for one thread never show up in another."""
    wrong: list[Any] = []

    def use(name: str) -> None:
        for i in range(50):
            with lv.temp_flags(label=name):
                ar = lv.apply_async(double, i)
            if ar.get(timeout=10) != 2 * i or ar.metadata.label != name:
                wrong.append((name, i))

    threads = [threading.Thread(target=use, args=(f"thread {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_signals_reach_running_code(client: Any) -> None:
    ar = client[0].apply_async(time.sleep, 30)
    client[1].apply_sync(time.sleep, 0.3)
    client.send_signal("SIGINT", 0, block=True)
    with pytest.raises(ipp.RemoteError, match="KeyboardInterrupt"):
        ar.get(timeout=10)
    with pytest.raises(ValueError, match="no signal"):
        client.send_signal("SIGNONSENSE")


def test_a_broadcast_view_is_a_direct_view_of_the_engines_there_are_now(client: Any) -> None:
    view = client.broadcast_view(is_coalescing=True)
    assert view.targets == [0, 1]
    assert view.is_coalescing
    view.push({"shared": 7}, block=True)
    assert view.pull("shared", block=True) == [7, 7]
    assert view.map_sync(double, range(5)) == [0, 2, 4, 6, 8]
    view.scatter("part", range(4), block=True)
    assert view.gather("part", block=True) == [0, 1, 2, 3]
    with pytest.raises(ipp.CompositeError) as caught:
        view.apply_sync(fail, "everywhere")
    assert len(caught.value.exceptions) == 2, "each engine's error is there"
    with view.temp_flags(label="to all"):
        assert view.apply_async(double, 2).metadata[0].label == "to all"
    assert client.broadcast_view(1).apply_sync(double, 4) == [8]
    assert client.broadcast_view(-1).targets == [client.ids[-1]]
    assert client.broadcast_view(slice(1, None)).targets == client.ids[1:]
    assert client.broadcast_view(None).targets == client.ids
