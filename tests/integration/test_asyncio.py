"""Programs that have an event loop, as every Jupyter kernel does."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tornado.ioloop import IOLoop

import hippodrome as ipp
from hippodrome.cluster.cluster import Cluster
from hippodrome.cluster.in_thread import in_thread

if TYPE_CHECKING:
    from support.processes import Site  # which engines that import this module have not got


def double(x: int) -> int:
    return 2 * x


def fail(x: int) -> int:
    raise ValueError(x)


def double_unless_three(x: int) -> int:
    return fail(x) if x == 3 else 2 * x


def wait_for_file(path: str) -> str:
    import os
    import time

    while not os.path.exists(path):
        time.sleep(0.005)
    return path


Run = Callable[[Coroutine[Any, Any, Any]], Any]


def in_asyncio(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(main, 60))


def in_tornado(main: Coroutine[Any, Any, Any]) -> Any:
    async def run() -> Any:
        return await main

    loop = IOLoop(make_current=False)
    try:
        return loop.run_sync(run, timeout=60)
    finally:
        loop.close()


@pytest.fixture(params=[in_asyncio, in_tornado])
def run(request: pytest.FixtureRequest) -> Run:
    found: Run = request.param
    return found


@pytest.fixture
def lv(client: Any) -> Any:
    return client.load_balanced_view()


# ---------------------------------------------------------------- results


def test_results_are_awaited_alone_and_together(run: Run, client: Any, lv: Any) -> None:
    async def main() -> None:
        assert await lv.apply_async(double, 1) == 2
        assert await client[:].apply_async(double, 1) == [2, 2]
        assert await lv.map_async(double, range(50), chunksize=7) == list(range(0, 100, 2))
        both = asyncio.gather(lv.apply_async(double, 2), client[0].apply_async(double, 3))
        assert await both == [4, 6]
        one, other = await asyncio.gather(
            lv.apply_async(fail, 1), lv.apply_async(double, 1), return_exceptions=True
        )
        assert (one.ename, other) == ("ValueError", 2)
        with pytest.raises(ipp.CompositeError):
            await client[:].apply_async(fail, 1)

    run(main())


def test_items_come_one_by_one(run: Run, client: Any, lv: Any) -> None:
    async def main() -> None:
        numbers = range(300)
        for options in ({}, {"chunksize": 7}, {"ordered": False}):
            found = [item async for item in lv.map_async(double, numbers, **options)]
            assert sorted(found) == [2 * n for n in numbers]
            assert found == sorted(found) or not options.get("ordered", True)
        assert [one async for one in client[:].apply_async(double, 4)] == [8, 8]
        assert [one async for one in client[:].map_async(double, [])] == []
        ended = lv.map_async(double, numbers)
        await ended
        assert [one async for one in ended] == [2 * n for n in numbers]
        with pytest.raises(TypeError, match="await it"):
            [one async for one in lv.apply_async(double, 1)]

    run(main())


def test_items_come_while_others_are_not_there_yet(lv: Any, tmp_path: Path) -> None:
    def double_late(x: int, path: str) -> int:
        return 2 * x if x else len(wait_for_file(path)) * 0

    async def main() -> list[int]:
        path = tmp_path / "go"
        found = []
        async for item in lv.map_async(double_late, range(9), [str(path)] * 9, ordered=False):
            found.append(item)
            if len(found) == 8:
                path.touch()
        return found

    lv.client.wait_for_engines(2)
    found = in_asyncio(main())
    assert found[-1] == 0
    assert sorted(found) == list(range(0, 18, 2))


def test_errors_come_in_their_turn(lv: Any) -> None:
    async def main() -> None:
        items = aiter(lv.map_async(double_unless_three, range(6)))
        found = [await anext(items) for _ in range(3)]
        with pytest.raises(ipp.RemoteError, match="3"):
            await anext(items)
        assert found == [0, 2, 4]
        kept = lv.map_async(double_unless_three, range(6), chunksize=2, return_exceptions=True)
        values = [item async for item in kept]
        assert isinstance(values.pop(3), ipp.RemoteError)
        assert values == [0, 2, 4, 8, 10]

    in_asyncio(main())


def test_what_is_given_up_does_not_start(client: Any, tmp_path: Path) -> None:
    view = client.load_balanced_view(targets=0)
    go, started = tmp_path / "go", tmp_path / "started"
    path = str(go)

    async def main() -> None:
        first = view.apply_async(wait_for_file, path)
        second = view.apply_async(started.touch)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(second, 0.05)
        third = view.map_async(double, range(3))
        asyncio.get_running_loop().call_later(0.05, third.cancel)
        with pytest.raises(asyncio.CancelledError):
            [item async for item in third]
        go.touch()
        assert await first == path
        assert await view.apply_async(double, 1) == 2

    in_asyncio(main())
    assert not started.exists()


def test_iterating_may_end_early_and_be_begun_again(lv: Any) -> None:
    async def main() -> None:
        result = lv.map_async(double, range(20))
        async for item in result:
            if item == 6:
                break
        assert [item async for item in result] == list(range(0, 40, 2))

    in_asyncio(main())


def test_a_loop_that_is_closed_is_nothing_to_results(lv: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "go")
    result = lv.map_async(wait_for_file, [path] * 3)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(aiter(result)), 0.05)

    asyncio.run(main())
    Path(path).touch()
    assert result.get(timeout=20) == [path] * 3


def test_a_view_is_an_executor_of_a_loop(run: Run, lv: Any) -> None:
    async def main() -> int:
        return await asyncio.get_running_loop().run_in_executor(lv.executor, os.getpid)

    assert run(main()) in lv.client[:].apply_sync(os.getpid)


# ---------------------------------------------------------------- what blocks


def test_what_blocks_works_while_a_loop_is_running(run: Run, cluster: Any, lv: Any) -> None:
    async def main() -> None:
        assert lv.apply_sync(double, 2) == 4
        with ipp.Client(str(cluster.client_file)) as rc:
            rc.wait_for_engines(2, timeout=10)
            view = rc[:]
            view.push({"a": 1}, block=True)
            assert view["a"] == [1, 1]
            result = view.apply_async(double, 3)
            assert result.wait(10)
            assert list(result) == [6, 6]
            assert rc.get_result(result.msg_ids).get(timeout=10) == [6, 6]
            assert list(rc.load_balanced_view().imap(double, range(5))) == [0, 2, 4, 6, 8]
            assert result.wait_interactive(timeout=10) is None

    run(main())


def test_the_loop_goes_on_while_results_are_awaited(lv: Any, tmp_path: Path) -> None:
    path = tmp_path / "go"

    async def main() -> str:
        asyncio.get_running_loop().call_later(0.02, path.touch)
        return str(await lv.apply_async(wait_for_file, str(path)))

    assert in_asyncio(main()) == str(path)


# ---------------------------------------------------------------- clusters


@pytest.fixture
def one(site: Site) -> Iterator[ipp.Cluster]:
    """A cluster of one engine, which has not been started."""
    cluster = ipp.Cluster(n=1)
    yield cluster
    cluster.stop_cluster_sync()


def test_a_cluster_is_started_and_stopped_in_a_loop_either_way(run: Run, one: Any) -> None:
    async def main() -> None:
        one.start_cluster_sync()
        with one.connect_client_sync() as rc:
            rc.wait_for_engines(1, timeout=10)
            assert await rc[0].apply_async(double, 1) == 2
        one.stop_cluster_sync()
        rc = await one.start_and_connect()
        assert await rc[:].apply_async(double, 1) == [2]
        rc.close()
        await one.stop_cluster()

    run(main())
    assert not one.has_processes


class HalfWay:
    """A start stops here: processes run, and have not reported yet."""

    def __init__(self) -> None:
        self.is_reached = threading.Event()
        self.may_go_on = threading.Event()

    def pass_by(self) -> None:
        self.is_reached.set()
        assert self.may_go_on.wait(20)


@asynccontextmanager
async def given_up(at: HalfWay) -> AsyncIterator[None]:
    """Cancel what is in the block as soon as it is half-way, and expect that it ends so."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        task.cancel()
        at.may_go_on.set()

    def watch() -> None:
        at.is_reached.wait(20)
        loop.call_soon_threadsafe(cancel)

    thread = threading.Thread(target=watch)
    thread.start()
    with pytest.raises(asyncio.CancelledError):
        yield
    task.uncancel()
    thread.join()


@pytest.fixture
def half_way(monkeypatch: pytest.MonkeyPatch) -> HalfWay:
    place = HalfWay()
    wait_engines = Cluster._wait_engines

    def wait_here_first(self: Any, name: str) -> None:
        place.pass_by()
        wait_engines(self, name)

    monkeypatch.setattr(Cluster, "_wait_engines", wait_here_first)
    return place


@pytest.mark.parametrize("start", ["start_cluster", "start_and_connect", "__aenter__"])
def test_a_start_that_is_given_up_leaves_nothing(one: Any, half_way: HalfWay, start: str) -> None:
    async def main() -> None:
        async with given_up(half_way):
            await getattr(one, start)()

    in_asyncio(main())
    assert not one.has_processes
    assert not one.cluster_file.exists()


def test_engines_that_are_given_up_are_stopped_and_no_others(one: Any, half_way: HalfWay) -> None:
    async def main() -> None:
        half_way.may_go_on.set()
        await one.start_cluster()
        half_way.is_reached.clear()
        half_way.may_go_on.clear()
        async with given_up(half_way):
            await one.start_engines(1, "more")

    in_asyncio(main())
    assert list(one.engines) == ["0"]
    assert one.has_processes


def test_a_loop_that_ends_waits_for_a_start_and_undoes_it(one: Any, half_way: HalfWay) -> None:
    async def go_on_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            half_way.may_go_on.set()

    async def main() -> None:
        for work in (one.start_cluster(), go_on_when_cancelled()):
            asyncio.create_task(work)  # noqa: RUF006 - dropped, as a user might
        await asyncio.to_thread(half_way.is_reached.wait, 20)

    asyncio.run(main())
    assert not one.has_processes
    assert not one.cluster_file.exists()


# ---------------------------------------------------------------- what they are made of


def test_work_is_outlasted_and_undone_however_often_it_is_given_up() -> None:
    go, undone = threading.Event(), []

    def work() -> int:
        go.wait(20)
        return 1

    async def main() -> None:
        task = asyncio.create_task(in_thread(work, undone.append))
        await asyncio.sleep(0)  # lets it begin
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    # in a task that was cancelled before it began, nothing is begun
    async def never() -> None:
        task = asyncio.create_task(in_thread(work, undone.append))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_asyncio(never())
    assert undone == []
    in_asyncio(main())
    assert undone == [1]


def test_what_fails_is_not_undone() -> None:
    undone: list[int] = []

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await in_thread(lambda: 1 // 0, undone.append)
        assert await in_thread(lambda: 1, undone.append) == 1

    in_asyncio(main())
    assert undone == []
