"""`Cluster`: starts everything, and leaves nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import hippodrome as ipp
import hippodrome.cluster.launcher
from hippodrome.cluster.state import count_cores
from support.processes import Site


@pytest.fixture
def one(site: Site) -> Iterator[ipp.Cluster]:
    """A cluster of one engine that has not been started; it is stopped at the end."""
    cluster = ipp.Cluster(n=1)
    yield cluster
    cluster.stop_cluster_sync()


def left(site: Site) -> list[Path]:
    """Return all files of a site but empty directories."""
    return [path for path in site.directory.rglob("*") if not path.is_dir()]


def launched(cluster: ipp.Cluster) -> list[psutil.Process]:
    """Return all processes of a cluster."""
    state = cluster.to_dict()
    pids = [state["controller"]["pid"], *(one["pid"] for one in state["engines"].values())]
    parents = [psutil.Process(pid) for pid in pids]
    return parents + [child for parent in parents for child in parent.children(recursive=True)]


def test_with_a_cluster_there_is_a_client(site: Site) -> None:
    with ipp.Cluster(n=2) as rc:
        assert rc.ids == [0, 1]
        assert rc[:].apply_sync(lambda: 1 + 1) == [2, 2]
    assert left(site) == []


def test_a_cluster_can_be_awaited(site: Site) -> None:
    async def use() -> list[int]:
        async with ipp.Cluster(n=1) as rc:
            return rc.ids

    assert asyncio.run(use()) == [0]
    assert left(site) == []


def test_twins_work_while_a_loop_is_running(one: ipp.Cluster) -> None:
    async def use() -> int:
        one.start_cluster_sync()
        rc = await one.connect_client()
        try:
            return len(rc)
        finally:
            rc.close()
            await one.stop_cluster()

    assert asyncio.run(use()) == 1
    assert not one.is_running


def test_again_and_again_leaves_nothing(site: Site) -> None:
    for _ in range(3):
        with ipp.Cluster(n=1) as rc:
            assert rc.ids == [0]
        assert left(site) == []
    assert list((site.runtime_dir / "hippodrome").iterdir()) == []


def test_everything_ends_if_the_block_fails(site: Site) -> None:
    with pytest.raises(ZeroDivisionError), ipp.Cluster(n=1):
        1 / 0
    assert left(site) == []


def test_by_default_there_is_an_engine_for_each_core() -> None:
    assert ipp.Cluster().n == count_cores() >= 1


def test_the_cluster_file_is_private_and_tells_all(site: Site, one: ipp.Cluster) -> None:
    one.start_cluster_sync()
    assert one.cluster_file.name == f"cluster-{one.cluster_id}.json"
    assert stat.S_IMODE(one.cluster_file.stat().st_mode) == 0o600

    other = ipp.Cluster.from_file(one.cluster_file)
    assert other.is_running
    assert other.to_dict() == one.to_dict()
    with other.connect_client_sync() as rc:
        rc.wait_for_engines(1, timeout=10)
        assert rc.ids == [0]
    other.stop_cluster_sync()
    assert not one.is_running
    assert not one.cluster_file.exists()


def test_what_a_cluster_says_of_paths_is_text(site: Site, one: ipp.Cluster) -> None:
    profile_dir = str(site.ipython_dir / "profile_default")
    file = os.path.join(profile_dir, "security", f"cluster-{one.cluster_id}.json")
    one.start_cluster_sync()
    controller = one.controller
    assert isinstance(controller, ipp.cluster.launcher.LocalControllerLauncher)
    for cluster in (one, ipp.Cluster.from_file(file), ipp.Cluster.from_file(Path(file))):
        assert json.loads(json.dumps([cluster.profile_dir, cluster.cluster_file])) == [
            profile_dir,
            file,
        ]
        assert cluster.profile_dir + "/log" == os.path.dirname(controller.output_file)
        assert cluster.profile_dir / "log" == Path(controller.output_file).parent
        assert (cluster.cluster_file == file, {file: 1}[cluster.cluster_file]) == (True, 1)
    assert (controller.profile_dir, controller.cluster_id) == (profile_dir, one.cluster_id)
    assert "listening on" in Path(controller.output_file).read_text()


def test_a_path_of_a_cluster_can_be_set_to_text(site: Site, tmp_path: Path) -> None:
    cluster = ipp.Cluster(n=1)
    cluster.profile_dir = str(tmp_path / "elsewhere")
    for kind in (str, Path):
        cluster.cluster_file = kind(tmp_path / "file.json")
        cluster.start_controller_sync()
        assert (tmp_path / "file.json").exists()
        assert cluster.connection_file.parent == tmp_path / "elsewhere" / "security"
        cluster.stop_cluster_sync()
        assert not (tmp_path / "file.json").exists()


def test_a_missing_or_damaged_cluster_file_is_a_clear_error(site: Site) -> None:
    with pytest.raises(FileNotFoundError, match=r"no cluster file") as missing:
        ipp.Cluster.from_file(cluster_id="x")
    assert isinstance(missing.value, ipp.ConnectionFileError)
    path = site.directory / "cluster-x.json"
    path.touch(mode=0o600)
    for text in ("", "{}", '{"version": 1}', '{"version": 1, "cluster": {"wrong": 1}}'):
        path.write_text(text)
        with pytest.raises(ipp.ClusterError, match="damaged"):
            ipp.Cluster.from_file(path)


def test_engines_come_and_go_in_sets(one: ipp.Cluster) -> None:
    one.start_controller_sync()
    first = one.start_engines_sync()
    second = one.start_engines_sync(2, "more")
    assert second == "more"
    with one.connect_client_sync() as rc:
        rc.wait_for_engines(3, timeout=10)
        assert len(rc) == 3
    with pytest.raises(KeyError, match="already"):
        one.start_engines_sync(1, "more")
    assert one.from_file(one.cluster_file, log_level="DEBUG").log_level == "DEBUG"
    one.stop_engines_sync(first)
    assert list(one.engines) == ["more"]
    with pytest.raises(KeyError, match="no engine set"):
        one.stop_engines_sync(first)
    with pytest.raises(RuntimeError, match="runs already"):
        one.start_controller_sync()
    with pytest.raises(ipp.ClusterError, match="1 or more"):
        one.start_engines_sync(0)


def test_restarted_engines_are_new_ones(one: ipp.Cluster) -> None:
    one.start_cluster_sync()
    with one.connect_client_sync() as rc:
        rc.wait_for_engines(1, timeout=10)
        before = rc[:].apply_sync(os.getpid)
        one.restart_engines_sync()
        rc.wait_for_engines(1, timeout=10)
        assert rc.ids == [1]
        assert rc[:].apply_sync(os.getpid) != before


def test_what_does_not_stop_is_killed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hippodrome.cluster.blocking.STOP_TIMEOUT_S", 0.1)
    cluster = ipp.Cluster(n=1).start_cluster_sync()
    processes = launched(cluster)
    for process in processes:
        process.suspend()
    cluster.stop_cluster_sync()
    assert psutil.wait_procs(processes, timeout=10)[1] == []
    assert not any(path.suffix == ".json" for path in left(site))
    assert list((site.runtime_dir / "hippodrome").iterdir()) == []


def test_a_signal_reaches_the_engines_themselves(site: Site, one: ipp.Cluster) -> None:
    fifo = str(site.directory / "started")
    os.mkfifo(fifo)

    def catch_interrupt() -> str:
        try:
            with open(fifo, "w"):
                pass
            signal.pause()
        except KeyboardInterrupt:
            return "interrupted"
        return "woken"

    one.start_cluster_sync()
    with one.connect_client_sync() as rc:
        rc.wait_for_engines(1, timeout=10)
        running = rc[0].apply_async(catch_interrupt)
        with open(fifo):
            one.signal_engines_sync(signal.SIGINT)
        assert running.get(timeout=10) == "interrupted"


def test_a_running_cluster_is_not_started_again(site: Site) -> None:
    cluster = ipp.Cluster(n=1, cluster_id="same")
    cluster.start_controller_sync()
    for again in (cluster, ipp.Cluster(n=1, cluster_id="same")):
        with pytest.raises(ipp.ClusterError, match="runs already"):
            again.start_cluster_sync()
    assert cluster.is_running
    assert cluster.cluster_file.exists()
    cluster.stop_cluster_sync()


def test_a_controller_that_cannot_start_is_reported_with_its_words(site: Site) -> None:
    cluster = ipp.Cluster(n=1, controller_args=["--hwn=3"])
    with pytest.raises(ipp.LaunchError, match=r"(?s)ipcontroller ended .*did you mean --hwm"):
        cluster.start_cluster_sync()
    assert not cluster.has_processes
    assert not cluster.cluster_file.exists()


def test_engines_that_cannot_start_are_reported_with_their_words(site: Site) -> None:
    cluster = ipp.Cluster(n=1, engine_args=["--timoeut=3"])
    with pytest.raises(ipp.LaunchError, match=r"(?s)ipengine ended .*did you mean --timeout"):
        cluster.start_and_connect_sync()
    assert not cluster.has_processes


def test_a_launcher_can_be_named_by_where_it_is_imported_from(site: Site) -> None:
    cluster = ipp.Cluster(engines="hippodrome.cluster.launcher.LocalEngineSetLauncher")
    assert cluster.engine_launcher_class is ipp.cluster.launcher.LocalEngineSetLauncher
    for path, word in [
        ("hippodrome.cluster.launcher.LocalControllerLauncher", "is no EngineSetLauncher"),
        ("hippodrome.cluster.launcher.Nothing", "no launcher"),
        ("no.such.module.Launcher", "no launcher"),
    ]:
        with pytest.raises(ipp.LaunchError, match=word):
            ipp.Cluster(engines=path)


def test_an_unknown_launcher_is_named(site: Site) -> None:
    with pytest.raises(ipp.LaunchError, match="no launcher 'slrum'"):
        ipp.Cluster(engines="slrum")


def test_a_program_that_ends_takes_its_cluster_with_it(site: Site) -> None:
    code = "import hippodrome as ipp; print(ipp.Cluster(n=1).start_and_connect_sync().ids)"
    ended = site.python("-W", "error", "-c", code)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "[0]\n"
    assert ended.stderr == ""
    assert left(site) == []


def test_a_program_that_is_killed_takes_its_cluster_with_it(site: Site) -> None:
    code = (
        "import os, signal, hippodrome as ipp\n"
        "cluster = ipp.Cluster(n=1).start_cluster_sync()\n"
        "print(cluster.cluster_file, flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        path = user.stdout.readline().strip()
        processes = launched(ipp.Cluster.from_file(path))
        user.kill()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
    assert [p for p in site.security_dir.iterdir() if p.name.startswith("ipcontroller")] == []


def test_a_cluster_can_outlive_its_program(site: Site) -> None:
    code = (
        "import hippodrome as ipp\n"
        "cluster = ipp.Cluster(n=1, shutdown_atexit=False).start_cluster_sync()\n"
        "print(cluster.cluster_file)\n"
    )
    path = site.python("-W", "error", "-c", code).stdout.strip()
    cluster = ipp.Cluster.from_file(path)
    assert cluster.is_running
    with cluster.connect_client_sync() as rc:
        rc.wait_for_engines(1, timeout=10)
    processes = launched(cluster)
    cluster.stop_cluster_sync()
    assert psutil.wait_procs(processes, timeout=10)[1] == []


def test_a_cluster_takes_the_arguments_that_scripts_give_it(site: Site) -> None:
    cluster = ipp.Cluster(
        n=1,
        delay=0.1,
        load_profile=False,
        send_engines_connection_env=False,
        engine_launcher_class="Local",
        controller_launcher_class=ipp.cluster.launcher.LocalControllerLauncher,
    )
    assert cluster.engine_launcher_class.__name__ == "LocalEngineSetLauncher"
    assert cluster.controller_launcher_class.__name__ == "LocalControllerLauncher"
    with cluster:
        assert cluster.controller is not None
        assert cluster.controller.running
        assert "listening" in cluster.controller.get_output()
    with pytest.raises(ipp.LaunchError, match="nonesuch"):
        ipp.Cluster(engine_launcher_class="nonesuch")
    with pytest.raises(TypeError):
        ipp.Cluster(n="2")  # type: ignore[arg-type]


def test_a_manager_knows_clusters_by_name(site: Site, one: ipp.Cluster) -> None:
    one.start_controller_sync()
    manager = ipp.ClusterManager(log=None)
    key = f"default:{one.cluster_id}"
    assert list(manager.load_clusters(profile="default")) == [key] == list(manager.clusters)
    assert manager.get_cluster(key).is_running
    manager.remove_cluster(key)
    with pytest.raises(KeyError):
        manager.get_cluster(key)
    new_key, cluster = manager.new_cluster(cluster_id="new")
    assert new_key == "default:new"
    assert manager[new_key] is cluster
    with pytest.raises(KeyError, match="already"):
        manager.new_cluster(cluster_id="new")
