"""Small programs as they are written for ipyparallel, and each row of the page about it."""

from __future__ import annotations

import concurrent.futures
import datetime
import re
from pathlib import Path
from typing import Any

import pytest
import zmq

import hippodrome as ipp


def test_constants_are_those_of_python() -> None:
    for name in ("ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"):
        assert getattr(ipp, name) == getattr(concurrent.futures, name)
    numbers = [part for part in ipp.version_info if isinstance(part, int)]
    assert ipp.__version__.startswith(".".join(map(str, numbers)))
    assert ipp.TimeoutError is TimeoutError


def test_there_is_no_code_for_browsers() -> None:
    from hippodrome import _jupyter_labextension_paths, _jupyter_nbextension_paths

    assert list(_jupyter_labextension_paths()) == list(_jupyter_nbextension_paths()) == []


LEFT_OUT = (
    "shellcmd",
    "MongoDB",
    "Client.create_message_futures",
    "Client.observe",
    "DirectView.observe",
    "Cluster.observe",
    "Cluster.restart_engine",
    "Cluster.stop_engine",
    "Cluster.signal_engine",
    "scheduler.TaskScheduler.stop_receiving",
    "scheduler.TaskScheduler.resume_receiving",
    "scheduler.Scheduler",
)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_not_there(name: str, client: Any) -> None:
    owner: Any = ipp
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part) if hasattr(owner, part) else _module(part)
    assert not hasattr(owner, last)
    metadata = client[:].apply_async(abs, -1).metadata[0]
    assert not {"is_broadcast", "is_coalescing"} & metadata.keys()
    names = client[0].apply_sync(_environment)
    assert not {"IPP_CLUSTER_ID", "IPP_PROFILE_DIR", "IPP_CONNECTION_INFO"} & set(names)


def _module(name: str) -> Any:
    from importlib import import_module

    return import_module(f"hippodrome.{name}")


def _environment() -> list[str]:
    import os

    return list(os.environ)


def test_views_are_of_a_client(client: Any) -> None:
    first, last = client.ids[0], client.ids[-1]
    assert client.direct_view().targets == "all"
    assert client.direct_view(-1).targets == client[-1].targets == last
    assert client[::2].targets == client.ids[::2]
    assert client.load_balanced_view([first]).targets == [first]
    assert client.load_balanced_view().targets is None
    for targets in (None, "all", slice(None)):
        assert client.broadcast_view(targets).targets == client.ids
    assert client.broadcast_view(-1).targets == [last]
    assert client.executor([first]).view.targets == [first]
    with pytest.raises(TypeError):
        ipp.DirectView()  # type: ignore[call-arg]


def test_a_client_may_share_a_context(cluster: Any) -> None:
    with zmq.Context() as context:
        with ipp.Client(str(cluster.client_file), context=context) as rc:
            rc.wait_for_engines(1, timeout=20)
            assert rc[0].apply_sync(abs, -1) == 1
        assert not context.closed


def test_a_client_says_what_it_is(client: Any, cluster: Any) -> None:
    with ipp.Client(str(cluster.client_file)) as rc:
        rc.wait_for_engines(2, timeout=20)
        assert (rc.block, rc.profile, rc.cluster) == (False, "default", None)
        assert isinstance(rc.session, str)
        assert rc.load_balanced_view().apply_async(abs, 1).msg_ids[0].startswith(rc.session)
        rc.block = True
        assert rc[0].apply(abs, -3) == 3
        assert len(rc) == len(rc.ids) == len(list(rc))
        rc.close(linger=1)


@pytest.mark.parametrize("name", ["spin", "spin_thread", "stop_spin_thread"])
def test_what_only_warns_is_still_there(name: str, client: Any) -> None:
    owners = [client] if name != "spin" else [client, client[:], client.load_balanced_view()]
    for owner in owners:
        with pytest.warns(DeprecationWarning, match=name):
            getattr(owner, name)()


def test_an_executor_knows_its_view(client: Any) -> None:
    view = client.load_balanced_view()
    assert view.executor.view is view
    assert view.executor._max_workers == len(view)


def test_a_result_tells_its_times_and_its_output(client: Any) -> None:
    results = client[:].apply_async(_print_and_sleep, 0.05)
    assert results.elapsed >= 0
    assert results.wait_for_output(20)
    assert results.get() == [0.05] * len(client)
    assert results.stdout == ["told\n"] * len(client)
    assert results.serial_time >= 0.05 * len(client)
    assert 0.05 <= results.wall_time <= results.elapsed + 0.01
    wall_time = results.timedelta(results.submitted, results.received)
    assert wall_time == pytest.approx(results.wall_time, abs=0.01)
    one = client[0].apply_async(_print_and_sleep, 0.0)
    assert one.get(20) == 0.0
    assert isinstance(one.started, datetime.datetime)
    assert one.timedelta(one.started, one.completed) == pytest.approx(one.serial_time, abs=0.01)


def _print_and_sleep(seconds: float) -> float:
    import time

    print("told")
    time.sleep(seconds)
    return seconds


def test_a_task_is_tried_again(client: Any, tmp_path: Path) -> None:
    view = client.load_balanced_view()
    with view.temp_flags(retries=5):
        assert view.apply_sync(_succeed_at, 3, str(tmp_path / "five")) == 3
    with view.temp_flags(retries=1), pytest.raises(RuntimeError, match="2"):
        view.apply_sync(_succeed_at, 3, str(tmp_path / "one"))


def _succeed_at(n: int, path: str) -> int:
    with open(path, "a") as file:
        file.write(".")
    with open(path) as file:
        count = len(file.read())
    if count < n:
        raise RuntimeError(count)
    return count


def test_an_async_function_is_awaited(client: Any) -> None:
    async def double(x: int) -> int:
        return 2 * x

    assert client[:].apply_sync(double, 4) == [8] * len(client)
    assert client.load_balanced_view().map_sync(double, range(3)) == [0, 2, 4]


def test_clusters_take_what_they_took(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "delay": 0.5,
        "load_profile": False,
        "send_engines_connection_env": False,
    }
    cluster = ipp.Cluster(n=2, profile_dir=tmp_path, cluster_id="here", **options)
    assert {name: getattr(cluster, name) for name in options} == options
    for unknown in ("config", "parent", "nosuch"):
        with pytest.raises(TypeError, match=unknown):
            ipp.Cluster(**{unknown: None})
    again = ipp.Cluster.from_dict(d=cluster.to_dict(), log_level="DEBUG")
    assert (again.cluster_id, again.n, again.log_level) == ("here", 2, "DEBUG")
    manager = ipp.ClusterManager()
    key, made = manager.new_cluster(profile_dir=tmp_path, cluster_id="other")
    assert manager.get_cluster(cluster_id=key) is made
    assert manager.load_clusters(profile_dir=tmp_path, log_level=10) == {key: made}
    manager.remove_cluster(cluster_id=key)
    with pytest.raises(KeyError):
        manager.get_cluster(key)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": "4"}, "n is how many engines to start, or 'auto', not '4'"),
        ({"n": 2.5}, "n is how many engines to start, or 'auto', not 2.5"),
        ({"profile": 3}, "profile must be a str, not 3"),
        ({"cluster_id": 3}, "cluster_id must be a str, not 3"),
        ({"controller_ip": 3}, "controller_ip must be a str, not 3"),
        ({"engine_timeout": "a"}, "engine_timeout must be a number of seconds, not 'a'"),
        ({"engine_args": "--debug"}, "engine_args must be a list of str, not '--debug'"),
        ({"engines": 4}, "a launcher is a name or a class, as engines='local', not 4"),
        (
            {"engine_timeou": 4},
            "Cluster has no option 'engine_timeou'; did you mean 'engine_timeout'",
        ),
    ],
)
def test_options_of_clusters_that_make_no_sense_are_said_so(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(said)):
        ipp.Cluster(**options)


def test_clusters_say_how_they_are_called_and_where_things_are() -> None:
    with pytest.raises(TypeError, match=re.escape("takes its options by name, as Cluster(n=4)")):
        ipp.Cluster(4)  # type: ignore[misc]
    with pytest.raises(TypeError, match="takes its options by name, as load_clusters"):
        ipp.ClusterManager().load_clusters("default")  # type: ignore[misc]
    with pytest.raises(ValueError, match="n is how many engines to start"):
        ipp.Cluster(n=-1)
    cluster = ipp.Cluster(n=1)
    with pytest.raises(AttributeError, match="use stop_cluster_sync"):
        cluster.stop
    with pytest.raises(AttributeError, match="did you mean 'engine_timeout'"):
        cluster.engine_timeou = 3
    cluster.of_my_own = 3

    class Own(ipp.Cluster):
        def __init__(self) -> None:
            super().__init__(n=1)
            self.engine_timeou = 3

    assert Own().engine_timeou == 3


@pytest.mark.parametrize(
    ("owner", "name", "instead"),
    [
        ("client", "map", "rc[:].map, or rc.load_balanced_view().map"),
        ("client", "push", "rc[:].push"),
        ("client", "barrier", "rc.wait()"),
        ("balanced", "push", "rc[:].push"),
        ("balanced", "execute", "rc[:].execute"),
        ("direct", "retries", "rc.load_balanced_view().retries"),
        ("broadcast", "follow", "rc.load_balanced_view().follow"),
        ("result", "pyout", "it is execute_result"),
    ],
)
def test_what_is_elsewhere_says_where(client: Any, owner: str, name: str, instead: str) -> None:
    owners = {
        "client": client,
        "balanced": client.load_balanced_view(),
        "direct": client[:],
        "broadcast": client.broadcast_view(),
        "result": client[0].apply_async(abs, -1),
    }
    assert not hasattr(owners[owner], name)
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'.*{re.escape(instead)}"):
        getattr(owners[owner], name)
    with pytest.raises(AttributeError, match=r"has no attribute 'nosuch'$"):
        owners["client"].nosuch


def test_a_flag_that_is_misspelled_is_said_and_others_attributes_are_kept(client: Any) -> None:
    for view, wrong, right in (
        (client.load_balanced_view(), "blok", "block"),
        (client.load_balanced_view(), "retrys", "retries"),
        (client[:], "target", "targets"),
        (client, "blok", "block"),
    ):
        with pytest.raises(AttributeError, match=f"no attribute '{wrong}'; did you mean '{right}'"):
            setattr(view, wrong, True)
        view.of_my_own = 3
        view.block = True
        assert (view.of_my_own, view.block) == (3, True)


def test_what_gives_nothing_returns_none_where_it_blocks(client: Any) -> None:
    view = client[:]
    assert view.scatter("x", range(4), block=True) is None
    assert view["x"] == [range(2), range(2, 4)]
    assert view.clear(block=True) is None
    assert client.clear(block=True) is None
    assert view.push({"x": 1}, block=True) == [None, None]
    assert view.scatter("x", range(4), block=False).get() == [None, None]
