"""What ordinary scripts use besides apply and map, with real engines."""

from __future__ import annotations

import concurrent.futures
import gc
import itertools
import os
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp


@pytest.fixture
def dv(client: Any) -> Any:
    return client[:]


def test_an_executor_is_a_pool_of_processes_to_those_who_ask_how_many_workers_it_has(
    client: Any,
) -> None:
    executor = client.executor()
    assert isinstance(executor, concurrent.futures.ProcessPoolExecutor)
    assert executor._max_workers == 2
    assert list(executor.map(abs, range(-3, 0))) == [3, 2, 1]
    assert client.executor(targets=[0])._max_workers == 1


def test_imports_of_a_block_happen_here_and_on_all_engines(dv: Any, capsys: Any) -> None:
    with dv.sync_imports():
        import wave as w
        from colorsys import hls_to_rgb
        from colorsys import rgb_to_hls as back
    assert "importing wave as w on engine(s)" in capsys.readouterr().out
    assert (w.__name__, hls_to_rgb.__name__) == ("wave", "hls_to_rgb")
    names = ["w.__name__", "hls_to_rgb.__name__", "back.__name__"]
    assert dv.pull(names, block=True) == [["wave", "hls_to_rgb", back.__name__]] * 2


def test_imports_that_fail_on_an_engine_are_errors(client: Any, dv: Any) -> None:
    dv.execute("import sys; sys.modules['stringprep'] = None", block=True)
    with pytest.raises(ipp.CompositeError) as caught, dv.importer:
        import stringprep
    assert [error[0] for error in caught.value.elist] == ["ModuleNotFoundError"] * 2
    with pytest.raises(ipp.RemoteError, match="stringprep"), client[1].sync_imports(quiet=True):
        import stringprep  # noqa: F401
    with pytest.raises(NotImplementedError, match="execute"):
        dv.sync_imports(local=False)


@pytest.fixture
def executor(client: Any) -> Any:
    return client.executor()


def double(x: int) -> int:
    return 2 * x


def test_an_executor_is_one_in_every_respect(client: Any, executor: Any) -> None:
    assert isinstance(executor, concurrent.futures.Executor)
    assert isinstance(executor, ipp.ViewExecutor)
    assert executor._max_workers == 2
    futures = [executor.submit(double, i) for i in range(4)]
    done, _ = concurrent.futures.wait(futures, 10)
    assert sorted(future.result() for future in done) == [0, 2, 4, 6]
    assert executor.submit(lambda *, fn, self: fn + self, fn=1, self=2).result(10) == 3
    assert client.executor([1]).submit(lambda: 1).engine_id in {None, 1}


@pytest.mark.parametrize("options", [{}, {"chunksize": 3}, {"buffersize": 2}])
def test_an_executor_maps(executor: Any, options: Any) -> None:
    assert list(executor.map(double, range(10), timeout=10, **options)) == [*range(0, 20, 2)]
    assert list(executor.map(double, [], **options)) == []
    with pytest.raises(ipp.RemoteError, match="ZeroDivisionError"):
        list(executor.map(lambda x: 1 // x, [1, 0], **options))


def test_the_calls_of_executors_are_made_by_engines(client: Any) -> None:
    pids = {*client[:].apply_sync(os.getpid)}
    executor = client.executor()
    found = [executor.submit(os.getpid).result(10)]
    for options in ({}, {"chunksize": 3}, {"buffersize": 2}):
        found += executor.map(lambda _: os.getpid(), range(6), **options)
    found += client[:].executor.map(lambda _: os.getpid(), range(6))
    assert {*found} <= pids


def test_the_executor_of_a_direct_view_maps_too(client: Any) -> None:
    assert list(client[:].executor.map(double, range(5), timeout=10)) == [0, 2, 4, 6, 8]
    assert client[:].executor.submit(double, 1).result(10) == [2, 2]


def test_a_map_runs_whether_its_results_are_taken_or_not(client: Any, executor: Any) -> None:
    client[:]["seen"] = []
    with executor:
        executor.map(ipp.interactive(lambda i: seen.append(i)), range(10))  # type: ignore[name-defined] # noqa: F821
    assert sorted(itertools.chain(*client[:]["seen"])) == [*range(10)]


def test_a_limited_map_takes_endless_input(executor: Any) -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for i in itertools.count():
            taken.append(i)
            yield i

    results = executor.map(double, numbers(), buffersize=3)
    assert list(itertools.islice(results, 4)) == [0, 2, 4, 6]
    results.close()
    assert len(taken) <= 8


@pytest.mark.parametrize("options", [{}, {"buffersize": 4}, {"ordered": False}])
def test_a_map_that_is_late_is_a_timeout_and_what_waits_is_aborted(
    client: Any, executor: Any, options: Any
) -> None:
    client[:]["seen"] = []

    def note(i: int) -> None:
        seen.append(i)  # type: ignore[name-defined] # noqa: F821
        time.sleep(0.5)

    results = executor.map(ipp.interactive(note), range(8), timeout=0.05, **options)
    with pytest.raises(TimeoutError):
        next(results)
    assert client.wait(timeout=10)
    assert len([*itertools.chain(*client[:]["seen"])]) < 8


def test_the_error_of_a_call_ends_a_wait_for_the_first_one(executor: Any, tmp_path: Path) -> None:
    def fail_when_read(fifo: str) -> None:
        open(fifo, "w").close()
        raise ValueError("so soon")

    fifo, gate = tmp_path / "started", tmp_path / "gate"
    os.mkfifo(fifo)
    os.mkfifo(gate)
    hanging = executor.submit(Path.read_text, gate)
    failing = executor.submit(fail_when_read, str(fifo))
    both = {hanging, failing}
    threading.Timer(0.05, fifo.read_bytes).start()
    too_late = threading.Timer(10, gate.write_text, ["too late"])
    too_late.start()
    found = concurrent.futures.wait(both, return_when=concurrent.futures.FIRST_EXCEPTION)
    too_late.cancel()
    gate.write_text("go on")
    assert found.done == {failing}
    assert hanging.result(10) == "go on"


@pytest.mark.parametrize("options", [{}, {"chunksize": 3}, {"buffersize": 2}])
def test_a_map_does_not_keep_what_it_has_yielded(executor: Any, options: Any) -> None:
    for found in executor.map(lambda i: {i}, range(6), **options):
        gone = weakref.ref(found)
        del found
        gc.collect()
        assert gone() is None


def test_shutting_an_executor_down_waits_and_leaves_the_engines(client: Any) -> None:
    view = client.load_balanced_view()
    executor = view.executor
    assert view.executor is executor
    ar = executor.submit(time.sleep, 0.1)
    executor.shutdown()
    assert ar.done()
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(double, 1)
    with pytest.raises(RuntimeError, match="shut down"):
        executor.map(double, [1])
    assert view.executor.submit(double, 1).result(10) == 2


def test_what_has_not_started_can_be_aborted_at_shutdown(client: Any, tmp_path: Path) -> None:
    def say_and_hang(fifo: str) -> str:
        open(fifo, "w").close()
        time.sleep(0.2)
        return "ran"

    fifo = tmp_path / "started"
    os.mkfifo(fifo)
    executor = client[0].executor
    first = executor.submit(say_and_hang, str(fifo))
    fifo.read_bytes()
    later = [executor.submit(double, i) for i in range(3)]
    executor.shutdown(cancel_futures=True)
    assert first.result(0) == "ran"
    assert all(future.cancelled() for future in later)
    for future in later:
        with pytest.raises(concurrent.futures.CancelledError):
            future.result(10)


def test_what_was_needed_once_is_accepted(client: Any, dv: Any) -> None:
    for use in (dv.use_dill, dv.use_cloudpickle, dv.use_pickle):
        assert use().get(timeout=10) == [None, None]
    for spin in (client.spin, client.spin_thread, client.stop_spin_thread, dv.spin):
        with pytest.warns(DeprecationWarning, match="does nothing") as caught:
            spin()
        assert caught[0].filename == __file__


def test_an_object_is_pickled_once_for_many_calls(client: Any) -> None:
    ready = ipp.PrePickled(list(range(10_000)))
    assert client.load_balanced_view().map_async(len, [ready] * 3).get(timeout=10) == [10_000] * 3


def test_what_is_of_the_wrong_type_is_said_so_at_the_call(client: Any, dv: Any) -> None:
    lv = client.load_balanced_view()
    calls = [
        (lambda: lv.apply_async(5), "5 is not callable: a function comes first"),
        (lambda: dv.apply_async("f"), "'f' is not callable: give the function itself"),
        (lambda: lv.map([1], double), r"\[1\] is not callable: a function comes first"),
        (lambda: lv.map(double, [1], k=2), "no option 'k': .* functools.partial"),
        (lambda: dv.map_sync(double, [1], k=2), "no option 'k': .* functools.partial"),
        (lambda: lv.map_async(double, [1], chunksise=2), "did you mean 'chunksize'"),
        (lambda: dv.map(double, [1], chunksize=2), "chunksize is for load-balanced views"),
        (lambda: client.executor().map(double, [1], k=2), "no option 'k'"),
        (lambda: client.executor().map(double, [1], buffersize="1"), "buffersize must be an int"),
        (lambda: lv.set_flags(block="yes"), "block must be True or False, not 'yes'"),
        (lambda: setattr(dv, "track", "no"), "track must be True or False, not 'no'"),
        (lambda: setattr(client, "block", "a"), "block must be True or False, not 'a'"),
        (lambda: client.wait_for_engines("a"), "an int, not 'a'"),
        (lambda: client.wait_for_engines(2.5), "an int, not 2.5"),
        (lambda: client.wait_for_engines(True), "an int, not True"),
        (lambda: lv.map_async(5, [1]), "5 is not callable"),
        (lambda: lv.map_async(5, [1], chunksize=2), "5 is not callable"),
        (lambda: dv.map_async(5, [1]), "5 is not callable"),
        (lambda: lv.imap(5, [1]), "5 is not callable"),
        (lambda: lv.remote()(5), "5 is not callable"),
        (lambda: client.executor().submit(5), "5 is not callable"),
        (lambda: lv.map_async(double, [1], chunksize=1.5), "chunksize must be an int, not 1.5"),
        (lambda: lv.parallel(chunksize="2")(double), "chunksize must be an int"),
        (lambda: dv.pull(3), "pull needs a name"),
        (lambda: dv.pull([3]), "must be a str, not 3"),
        (lambda: dv[3], "pull needs a name, not 3 .engines: rc.0."),
        (lambda: list(dv), "engines: rc.0."),
        (lambda: dv.execute(5), "execute needs source text, a str, not int"),
        (lambda: dv.push({1: 2}), "must be a str, not 1"),
        (lambda: dv.push([1]), "push needs a dict"),
        (lambda: dv.scatter(3, [1]), "must be a str, not 3"),
        (lambda: dv.gather(3), "must be a str, not 3"),
        (lambda: client.wait(timeout="a"), "timeout must be a number of seconds, not 'a'"),
        (lambda: client.wait_for_engines(2, timeout="a"), "timeout must be a number"),
        (lambda: client.wait_interactive(timeout="a"), "timeout must be a number"),
        (lambda: client.executor().map(double, [1], timeout="a"), "timeout must be a number"),
        (lambda: ipp.Client(timeout="a"), "timeout must be a number of seconds, not 'a'"),
    ]
    for call, text in calls:
        with pytest.raises(TypeError, match=text):
            call()
    assert not client.outstanding, "nothing was submitted"


def test_a_balanced_map_accepts_track(client: Any) -> None:
    ar = client.load_balanced_view().map_async(double, [1, 2], track=True)
    assert ar.get(timeout=10) == [2, 4]
