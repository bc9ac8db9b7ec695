"""One contract for all batch systems: engines as jobs, on stand-ins for each system."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp
from hippodrome.errors import LaunchError
from hippodrome.launch.base import LaunchPhase
from support.processes import Site
from support.standin import StandIn, emptied_stand_in

SYSTEMS = ("pbs", "torque", "sge", "lsf", "htcondor", "flux", "oar", "slurm")


@pytest.fixture(params=SYSTEMS)
def batch(
    request: pytest.FixtureRequest, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StandIn]:
    """A batch system with nothing to do, to which nothing must be left to do."""
    with emptied_stand_in(request.param, tmp_path, monkeypatch) as store:
        yield store


@pytest.fixture
def make(batch: StandIn) -> Iterator[Callable[..., ipp.Cluster]]:
    """Make clusters whose engines are jobs; they are stopped afterwards."""
    made: list[ipp.Cluster] = []

    def make(n: int = 1, **options: Any) -> ipp.Cluster:
        made.append(ipp.Cluster(engines=batch.system, n=n, **{"engine_timeout": 40.0, **options}))
        return made[-1]

    yield make
    batch.set(held=False, garbage="", query_fails="", query_hangs_s=0.0)
    for cluster in made:
        cluster.stop_cluster_sync()


def phases(cluster: ipp.Cluster) -> dict[LaunchPhase, int]:
    assert cluster.engine_set is not None
    return dict(cluster.engine_set.state().parts)


def test_jobs_wait_with_a_reason_and_then_work(
    batch: StandIn, make: Callable[..., ipp.Cluster]
) -> None:
    batch.set(held=True)
    cluster = make(4, jobs=2, time="1h")
    cluster.start_controller_sync()
    starting = threading.Thread(target=cluster.start_engines_sync)
    starting.start()
    batch.until(lambda: cluster.engine_set is not None and len(batch.jobs()) == 2)
    batch.until(lambda: bool(cluster.engine_set.state().reasons))
    state = cluster.engine_set.state()
    assert state.parts == {LaunchPhase.PENDING: 2}
    assert len(state.reasons[LaunchPhase.PENDING]) == 1
    batch.set(held=False)
    starting.join()
    assert phases(cluster) == {LaunchPhase.RUNNING: 2}
    assert [job.limit_s for job in batch.jobs()] == [3600, 3600]
    with cluster.connect_client_sync() as rc:
        assert rc.wait_for_engines(4, timeout=30) is None
        assert rc[:].map_sync(abs, range(-8, 0)) == [8, 7, 6, 5, 4, 3, 2, 1]


def test_nothing_is_left_when_a_cluster_is_stopped(
    batch: StandIn, make: Callable[..., ipp.Cluster]
) -> None:
    cluster = make(2, jobs=2)
    cluster.start_cluster_sync()
    cluster.stop_cluster_sync()
    assert not batch.unfinished()
    assert not batch.processes()


def test_jobs_that_wait_are_gone_too_when_a_cluster_is_stopped(
    batch: StandIn, make: Callable[..., ipp.Cluster]
) -> None:
    batch.set(slots=1)
    cluster = make(2, jobs=2, engine_timeout=0.5)
    cluster.start_cluster_sync()
    assert phases(cluster) == {LaunchPhase.RUNNING: 1, LaunchPhase.PENDING: 1}
    cluster.stop_cluster_sync()
    assert not batch.unfinished()


def test_a_job_that_fails_at_once_is_said_with_what_it_wrote(
    batch: StandIn, make: Callable[..., ipp.Cluster]
) -> None:
    cluster = make(1, prologue=["echo there is no module gcc >&2", "exit 7"])
    with pytest.raises(LaunchError, match="exit code 7") as caught:
        cluster.start_cluster_sync()
    assert "there is no module gcc" in str(caught.value)
    assert not batch.unfinished()


def test_a_job_that_is_refused_is_said_in_the_systems_words(
    batch: StandIn, make: Callable[..., ipp.Cluster]
) -> None:
    if batch.system == "htcondor":
        batch.set(reject="ERROR: accounting group is not known")
        options = {}
    else:
        options = {"queue": "nowhere"}
    with pytest.raises(LaunchError, match="does not take the job") as caught:
        make(1, **options).start_cluster_sync()
    words = "accounting group" if batch.system == "htcondor" else "nowhere|nknown queue|nvalid"
    assert caught.match(words)
    assert not batch.jobs()


def test_a_job_that_somebody_cancels_is_noticed(
    batch: StandIn, make: Callable[..., ipp.Cluster]
) -> None:
    cluster = make(2, jobs=2)
    cluster.start_cluster_sync()
    with cluster.connect_client_sync() as rc:
        rc.wait_for_engines(2, timeout=30)
        batch.ask("cancel", batch.jobs()[0].number)
        batch.until(lambda: phases(cluster) == {LaunchPhase.RUNNING: 1, LaunchPhase.ENDED: 1})
        batch.until(lambda: len(rc.ids) == 1)
        assert rc[:].apply_sync(abs, -1) == [1]


def test_a_job_whose_time_is_up_is_noticed(
    batch: StandIn, make: Callable[..., ipp.Cluster]
) -> None:
    cluster = make(1, time="1h")
    cluster.start_cluster_sync()
    batch.set(time_scale=0.0)
    batch.until(lambda: phases(cluster) == {LaunchPhase.ENDED: 1})
    assert batch.last.tasks[0].cause == "time"


def test_a_cluster_is_found_again_from_its_file(
    batch: StandIn, make: Callable[..., ipp.Cluster]
) -> None:
    cluster = make(2)
    cluster.start_cluster_sync()
    found = ipp.Cluster.from_file(cluster.cluster_file)
    assert found.engine_set is not None
    assert found.engine_set.poll() is None
    with found.connect_client_sync() as rc:
        assert rc[:].apply_sync(abs, -1) == [1, 1]
    found.stop_cluster_sync()
    assert not batch.unfinished()


def test_a_system_that_does_not_answer_ends_nothing(
    batch: StandIn, make: Callable[..., ipp.Cluster]
) -> None:
    cluster = make(1)
    cluster.start_cluster_sync()
    for trouble in ({"garbage": "<<%%>>"}, {"garbage": "", "query_fails": "connection refused"}):
        batch.set(**trouble)
        asked = len(batch.calls)
        batch.until(lambda asked=asked: asking(cluster, batch, asked))
        assert cluster.engine_set.poll() is None
    with cluster.connect_client_sync() as rc:
        assert rc[:].apply_sync(abs, -1) == [1]


def asking(cluster: ipp.Cluster, batch: StandIn, n_before: int) -> bool:
    """Whether the system has been asked since, however seldom that is."""
    cluster.engine_set._ask()
    return len(batch.calls) > n_before


def test_a_signal_reaches_engines_and_nobody_else(
    batch: StandIn, make: Callable[..., ipp.Cluster], tmp_path: Path
) -> None:
    def wait_for_interrupt(path: str) -> str:
        import time
        from pathlib import Path

        try:
            Path(path).touch()
            time.sleep(50)
        except KeyboardInterrupt:
            return "interrupted"
        return "slept"

    cluster = make(1)
    cluster.start_cluster_sync()
    with cluster.connect_client_sync() as rc:
        waiting = rc[:].apply_async(wait_for_interrupt, str(tmp_path / "waits"))
        batch.until((tmp_path / "waits").exists)
        cluster.signal_engines_sync(signal.SIGINT)
        assert waiting.get(timeout=30) == ["interrupted"]
        assert rc[:].apply_sync(abs, -1) == [1]


def test_what_the_user_has_set_reaches_engines_and_no_secret_does(
    batch: StandIn, make: Callable[..., ipp.Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    def variable(name: str) -> str | None:
        import os

        return os.environ.get(name)

    monkeypatch.setenv("PYTHONPATH", "/some/where")
    monkeypatch.setenv("IPP_CONNECTION_INFO", '{"key": "s3cret"}')
    cluster = make(1)
    cluster.start_cluster_sync()
    with cluster.connect_client_sync() as rc:
        [found] = rc[:].apply_sync(variable, "PYTHONPATH")
        assert "/some/where" in found
    told = [batch.last.script, *batch.last.env.values(), *map(str, batch.calls)]
    assert not [text for text in told if "s3cret" in text]
