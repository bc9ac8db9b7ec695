"""Engines as jobs of a real Slurm, on three nodes: what becomes of each is said, and all end."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp
from hippodrome.errors import LaunchError
from hippodrome.launch.base import LaunchPhase
from hippodrome.launch.batch import BatchEngineSetLauncher
from support import leaks
from support.hosts import Hosts
from support.processes import Site
from support.slurm import CPUS, Slurm

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module", autouse=True)
def runtime_dir(module_site: Site) -> None:
    """What the first controller makes for all that follow is there already."""
    (module_site.runtime_dir / "hippodrome").mkdir(mode=0o700)


@pytest.fixture(autouse=True)
def nothing_runs(slurm: Slurm, hosts: Hosts) -> Iterator[None]:
    """Nothing is in the queue, and no program on any host, before and after."""
    slurm.wait_empty()
    yield
    slurm.wait_empty()
    hosts.wait_empty()


@pytest.fixture
def make(slurm: Slurm) -> Iterator[Callable[..., ipp.Cluster]]:
    """Make a cluster of jobs; it is stopped at the end."""
    made = []

    def one(**options: Any) -> ipp.Cluster:
        cluster = ipp.Cluster(engines="slurm", **options)
        said: list[str] = []
        cluster.tell = said.append
        made.append(cluster)
        return cluster

    yield one
    for cluster in made:
        cluster.stop_cluster_sync()


@pytest.fixture
def all_taken(slurm: Slurm) -> Iterator[Callable[[], None]]:
    """All nodes are taken by somebody else, until this is called."""
    script = "#!/bin/sh\nsleep 600\n"
    path = slurm.directory / "taken.sh"
    path.write_text(script)
    options = ("--parsable", "--exclusive", "--nodes=3", "--output=/dev/null")
    job = slurm.tell("sbatch", *options, str(path)).strip()
    leaks.wait_until(lambda: [each.state for each in slurm.jobs()] == ["RUNNING"])
    yield lambda: void(slurm.tell("scancel", job))
    slurm.tell("scancel", job)


def void(_: object) -> None:
    """Return nothing."""


def test_engines_run_on_all_nodes_and_nothing_is_left(
    make: Callable[..., ipp.Cluster], slurm: Slurm
) -> None:
    with make(jobs=3, per_host="auto", time="10m") as rc:
        places = Counter(rc[:].apply_sync(socket.gethostname))
        each = min(CPUS, len(os.sched_getaffinity(0)))  # a node is not larger than this host
        assert places == {"h1": each, "h2": each, "h3": each}
        assert sum(rc.load_balanced_view().map_sync(abs, range(100))) == sum(range(100))
        assert rc.cluster.launched == f"3 of 3 jobs run, {3 * each} engines"
        assert not [job for job in slurm.jobs() if job.state != "RUNNING"]
    assert slurm.jobs() == []


def test_a_job_may_have_several_hosts(make: Callable[..., ipp.Cluster]) -> None:
    with make(jobs=1, nodes=3, per_host=2) as rc:
        assert Counter(rc[:].apply_sync(socket.gethostname)) == {"h1": 2, "h2": 2, "h3": 2}
        assert rc.cluster.launched == "1 of 1 job runs, 6 engines"


def test_jobs_wait_for_nodes_and_no_timeout_strikes(
    make: Callable[..., ipp.Cluster], all_taken: Callable[[], None], module_site: Site
) -> None:
    cluster = make(jobs=2, per_host=2, engine_timeout=1.0, cluster_id="waits")
    starting = threading.Thread(target=cluster.start_cluster_sync)
    starting.start()
    leaks.wait_until(lambda: "2 are pending (Resources" in cluster.launched)
    code, shown = status(module_site, "waits")
    assert code == 1
    assert (
        "0 of 2 jobs run, 2 are pending (Resources"
        in shown["engines"]["sets"]["0"]["launched"]["text"]
    )
    starting.join(3.0)
    assert starting.is_alive(), "it has been waiting for longer than engine_timeout"
    all_taken()
    starting.join(60)
    assert cluster.launched == "2 of 2 jobs run, 4 engines"


def status(site: Site, cluster_id: str) -> tuple[int, dict[str, Any]]:
    done = site.run("ipcluster", "status", f"--cluster-id={cluster_id}", "--json")
    return done.returncode, json.loads(done.stdout)


def test_a_cluster_is_of_use_while_some_of_its_jobs_wait(
    make: Callable[..., ipp.Cluster], module_site: Site
) -> None:
    cluster = make(jobs=4, per_host=CPUS, engine_timeout=2.0, cluster_id="partly")
    cluster.start_cluster_sync()
    expected = f"3 of 4 jobs run, 1 is pending (Resources), {3 * CPUS} engines"
    assert cluster.launched == expected
    assert cluster.n_ready == 3 * CPUS
    assert expected in module_site.run("ipcluster", "status", "--cluster-id=partly").stdout
    with cluster.connect_client_sync() as rc:
        assert len(rc) == 3 * CPUS
        assert expected in rc._repr_html_()
        assert expected in cluster._repr_html_()
        with pytest.raises(TimeoutError, match="1 is pending"):
            rc.wait_for_engines(4 * CPUS, timeout=0.1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queue": "nowhere"}, "does not take the job: sbatch: error: invalid partition"),
        ({"queue": "short", "time": "1h"}, r"will not run job \d+ \(PartitionTimeLimit\)"),
        ({"prologue": "echo oh dear; exit 3"}, r"(?s)ended with exit code 3 .*: sbatch.*oh dear"),
        ({"python": "/no/python"}, r"(?s)ended with exit code 127 .*/no/python"),
        ({"jobs": 5, "per_host": 1, "prologue": "exit 3"}, "ended with exit code 3"),
    ],
)
def test_what_will_not_run_is_an_error_that_says_why(
    make: Callable[..., ipp.Cluster], slurm: Slurm, options: dict[str, Any], said: str
) -> None:
    cluster = make(**({"n": 1} | options if "jobs" not in options else options))
    with pytest.raises(LaunchError, match=said):
        cluster.start_cluster_sync()
    assert slurm.jobs() == []
    assert not cluster.is_running


def test_a_job_that_is_cancelled_from_outside_is_said_to_be(
    make: Callable[..., ipp.Cluster], slurm: Slurm
) -> None:
    cluster = make(jobs=2, per_host=1)
    with cluster as rc:
        assert isinstance(cluster.engine_set, BatchEngineSetLauncher)
        slurm.tell("scancel", cluster.engine_set.job_ids[0])
        leaks.wait_until(lambda: len(rc) == 1)
        leaks.wait_until(lambda: "1 has ended" in cluster.launched)
        assert cluster.launched.startswith("1 of 2 jobs runs, 1 has ended")
        assert rc[:].apply_sync(pow, 2, 5) == [32]


def test_a_job_that_is_cancelled_while_it_waits_is_a_failed_start(
    make: Callable[..., ipp.Cluster], slurm: Slurm, all_taken: Callable[[], None]
) -> None:
    cluster = make(jobs=1, per_host=1)
    errors: list[BaseException] = []

    def start() -> None:
        try:
            cluster.start_cluster_sync()
        except LaunchError as error:
            errors.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    leaks.wait_until(lambda: "pending" in cluster.launched)
    assert isinstance(cluster.engine_set, BatchEngineSetLauncher)
    slurm.tell("scancel", *cluster.engine_set.job_ids)
    starting.join(60)
    assert "(CANCELLED) before an engine was ready" in str(errors[0])
    all_taken()


def test_a_node_that_is_set_down_takes_its_engines_along(
    make: Callable[..., ipp.Cluster], slurm: Slurm
) -> None:
    cluster = make(jobs=2, per_host=CPUS, extra=["--no-requeue"])
    try:
        with cluster as rc:
            name = rc[0].apply_sync(socket.gethostname)
            slurm.set_node(name, "down")
            leaks.wait_until(lambda: len(rc) == CPUS)
            assert isinstance(cluster.engine_set, BatchEngineSetLauncher)
            leaks.wait_until(lambda: "1 has ended" in cluster.launched)
            assert rc.load_balanced_view().apply_sync(pow, 2, 5) == 32
    finally:
        leaks.wait_until(lambda: "down" not in slurm.tell("sinfo", "-h", "-o", "%T"))


def test_jobs_end_with_the_program_that_wanted_them_when_it_is_killed(
    module_site: Site, slurm: Slurm
) -> None:
    program = module_site.start("ipcluster", "start", "--engines=slurm", "--jobs=2", "--per-host=1")
    found = ipp.Cluster.from_file()
    assert found.launched == "2 of 2 jobs run, 2 engines"
    assert found.is_running
    program.kill()
    slurm.wait_empty()
    assert ipp.Cluster.from_file().engine_set is not None
    assert module_site.run("ipcluster", "stop").returncode == 0


def test_jobs_end_when_the_controller_is_killed(module_site: Site, slurm: Slurm) -> None:
    program = module_site.start("ipcluster", "start", "--engines=slurm", "--jobs=2", "--per-host=1")
    found = ipp.Cluster.from_file()
    os.kill(found.controller.pid, signal.SIGKILL)  # type: ignore[union-attr]
    assert program.wait(60) == 1
    slurm.wait_empty()
    assert not Path(found.cluster_file).exists()


def test_a_daemon_of_jobs_is_found_and_stopped(module_site: Site, slurm: Slurm) -> None:
    done = module_site.run(
        "ipcluster", "start", "--engines=slurm", "-n2", "--jobs=2", "--time=5m", "--daemonize"
    )
    assert done.returncode == 0, done.stderr
    found = ipp.Cluster.from_file()
    assert found.engine_set is not None
    assert found.engine_set.state().parts == {LaunchPhase.RUNNING: 2}
    found.restart_engines_sync()
    with found.connect_client_sync() as rc:
        rc.wait_for_engines(2, timeout=30)
        assert len(set(rc[:].apply_sync(os.getpid))) == 2
    assert module_site.run("ipcluster", "stop").returncode == 0
    assert slurm.jobs() == []


def test_a_job_that_is_warned_gets_no_new_work_and_leaves_when_it_is_idle(
    make: Callable[..., ipp.Cluster], slurm: Slurm
) -> None:
    with make(jobs=2, per_host=1, time="5m") as rc:
        assert isinstance(rc.cluster.engine_set, BatchEngineSetLauncher)
        first, second = rc.cluster.engine_set.job_ids
        view = rc.load_balanced_view()
        running = [view.apply_async(time.sleep, 4.0) for _ in range(2)]
        leaks.wait_until(lambda: [rc.queue_status()[n]["tasks"] for n in rc.ids] == [1, 1])
        slurm.tell("scancel", "--batch", "--signal=USR1", first)
        assert [result.get(60) for result in running] == [None, None]
        leaks.wait_until(lambda: len(rc) == 1)
        assert view.map_sync(abs, range(20)) == [*range(20)]
        leaks.wait_until(lambda: [job.id for job in slurm.jobs()] == [second])


def test_a_job_leaves_in_order_before_its_time_is_up(
    make: Callable[..., ipp.Cluster], slurm: Slurm
) -> None:
    cluster = make(jobs=1, per_host=1, time="1m")
    with cluster as rc:
        job_id = rc.cluster.engine_set.job_ids[0]
        leaks.settle(lambda: list(rc.ids), 90.0)
        assert rc.ids == []
        leaks.wait_until(lambda: "1 has ended" in cluster.launched)
        # the job says that it has ended a moment before Slurm does
        leaks.wait_until(
            lambda: "JobState=COMPLETED" in slurm.tell("scontrol", "show", "job", job_id)
        )
        assert "its engines are idle" in cluster.engine_set.output()  # type: ignore[union-attr]


def test_a_job_without_work_ends(make: Callable[..., ipp.Cluster]) -> None:
    cluster = make(jobs=1, per_host=1, idle="3s")
    with cluster as rc:
        for _ in range(4):
            rc[0].apply_sync(time.sleep, 1.5)
        leaks.settle(lambda: list(rc.ids), 60.0)
        assert rc.ids == []
        assert "there was no work for 3 s" in cluster.engine_set.output()  # type: ignore[union-attr]
