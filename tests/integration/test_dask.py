"""dask on the engines of a cluster: its scheduler in the first, a worker in each."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import hippodrome as ipp

distributed = pytest.importorskip("distributed", reason="dask is not installed")


def listening() -> list[tuple[str, int]]:
    """On an engine: what this process listens on."""
    import psutil

    connections = psutil.Process().net_connections("inet")
    return [tuple(c.laddr) for c in connections if c.status == psutil.CONN_LISTEN]


def children() -> list[str]:
    """On an engine: which module of multiprocessing each child runs."""
    import psutil

    commands = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    return [command.partition("multiprocessing.")[2].partition(" ")[0] for command in commands]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def become(client: Any) -> Iterator[Callable[..., Any]]:
    """Start dask with some options; everything of it is closed afterwards."""
    made: list[Any] = []

    def become(*args: Any, **options: Any) -> Any:
        made.append(client.become_dask(*args, **options))
        return made[-1]

    yield become
    for dask_client in made:
        dask_client.close()
    client.stop_dask()


def workers(dask_client: Any) -> dict[int, Any]:
    """Return what dask knows of its workers, by their engines' ids."""
    found = dask_client.scheduler_info(n_workers=-1)["workers"].values()
    return {worker["name"]: worker for worker in found}


def test_a_map_runs_on_the_engines(become: Any, client: Any) -> None:
    dask_client = become()
    assert dask_client.gather(dask_client.map(hex, range(50))) == [*map(hex, range(50))]
    pids = dask_client.run(os.getpid).values()
    assert sorted(pids) == sorted(client[:].apply_sync(os.getpid))


def test_each_engine_is_a_worker_of_one_thread(become: Any, client: Any) -> None:
    found = workers(become())
    assert sorted(found) == client.ids
    assert {worker["nthreads"] for worker in found.values()} == {1}


def test_options_reach_the_workers_and_the_scheduler(become: Any) -> None:
    port = free_port()
    dask_client = become(port=port, scheduler_args={"allowed_failures": 7}, nthreads=2)
    assert dask_client.scheduler.address == f"tcp://127.0.0.1:{port}"
    assert {worker["nthreads"] for worker in workers(dask_client).values()} == {2}
    assert dask_client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.allowed_failures) == 7


def test_threads_may_be_called_cores(become: Any) -> None:
    dask_client = become(ncores=3)
    assert {worker["nthreads"] for worker in workers(dask_client).values()} == {3}


def worker_names() -> list[str]:
    """On an engine: the worker's addresses under the names that its user has for it."""
    import __main__

    names = ("dask_worker", "distributed_worker")
    return [vars(__main__)[name].address for name in names if name in vars(__main__)]


def test_engines_have_their_worker_as_a_variable_for_as_long_as_it_runs(
    become: Any, client: Any
) -> None:
    dask_client = become()
    addresses = dask_client.scheduler_info(n_workers=-1)["workers"]
    for own in client[:].apply_sync(worker_names):
        assert len(own) == 2
        assert set(own) <= set(addresses)
    assert client[0].apply_sync(lambda: distributed_worker is dask_worker)  # noqa: F821
    client[0]["dask_worker"] = 3
    client.stop_dask()
    assert client[:].apply_sync(lambda: "distributed_worker" in globals()) == [False, False]
    assert client[0]["dask_worker"] == 3, "it is the user's by now"


def test_stopping_closes_the_clients_whose_scheduler_goes(become: Any, client: Any) -> None:
    first, second = become(), become()
    client.stop_dask(targets=[1])
    assert first.submit(hex, 255).result(timeout=20) == "0xff"
    client.stop_dask()
    assert [first.status, second.status] == ["closed", "closed"]
    third = become()
    assert third.status == "running"


def test_on_one_host_nothing_listens_to_others(become: Any, client: Any) -> None:
    become()
    addresses = [address for engine in client[:].apply_sync(listening) for address, _ in engine]
    assert addresses
    assert set(addresses) == {"127.0.0.1"}


def test_engines_take_tasks_meanwhile(become: Any, client: Any) -> None:
    dask_client = become()
    futures = dask_client.map(lambda _: os.getpid(), range(200))
    view = client.load_balanced_view()
    pids = {*view.map_sync(lambda _: os.getpid(), range(200)), *dask_client.gather(futures)}
    assert pids <= {*client[:].apply_sync(os.getpid)}


def test_stopped_dask_can_be_started_again(become: Any, client: Any) -> None:
    become().close()
    client.stop_dask()
    client.stop_dask()
    assert client[:].apply_sync(listening) == [[], []]
    assert become().submit(os.getpid).result() in client[:].apply_sync(os.getpid)


def test_some_engines_are_enough_and_others_join_them(become: Any, client: Any) -> None:
    from support.leaks import wait_until  # here, as engines may import this module

    first, second = client.ids
    assert list(workers(become(targets=second))) == [second]
    assert client[first].apply_sync(listening) == []
    both = become()
    assert sorted(workers(both)) == [first, second]
    client.stop_dask(first)
    wait_until(lambda: list(workers(both)) == [second])  # dask's scheduler notices by itself
    assert both.submit(os.getpid).result() == client[second].apply_sync(os.getpid)


def test_two_dasks_do_not_become_one(become: Any, client: Any) -> None:
    first, second = client.ids
    become(first)
    become(second)
    with pytest.raises(RuntimeError, match="2 dasks"):
        become()


def test_what_does_not_start_is_an_error_here_and_leaves_nothing(become: Any, client: Any) -> None:
    with pytest.raises(ipp.RemoteError, match="no_such_option"):
        become(no_such_option=1)
    assert client[:].apply_sync(listening) == [[], []]


def test_nannies_watch_over_processes(own_client: Any) -> None:
    # an own cluster: multiprocessing keeps a helper for as long as the engine lives
    with own_client.become_dask(nanny=True) as dask_client:
        pids = own_client[:].apply_sync(os.getpid)
        assert sorted(dask_client.run(os.getppid).values()) == sorted(pids)
    own_client.stop_dask()
    assert own_client[:].apply_sync(children) == [["resource_tracker"]] * 2


def test_engines_can_end_while_dask_runs(own_client: Any, own_cluster: Any) -> None:
    with own_client.become_dask() as dask_client:
        pids = own_client[:].apply_sync(os.getpid)
        assert dask_client.submit(os.getpid).result() in pids
    own_client.close()
    own_cluster.stop()  # checks that they end as they should


def test_other_names_are_the_same(client: Any) -> None:
    assert ipp.Client.become_distributed is ipp.Client.become_dask
    assert ipp.Client.stop_distributed is ipp.Client.stop_dask


def test_without_dask_it_says_what_to_install(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hippodrome.dask", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install hippodrome\[dask\]"):
        client.become_dask()
