"""``ipcluster`` as real processes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import Site


@pytest.fixture
def stopped(site: Site) -> Iterator[Site]:
    """A site whose clusters are stopped at the end, whatever the test did."""
    yield site
    site.run("ipcluster", "clean", "--force", "--all")


def left(site: Site) -> list[Path]:
    return [*site.security_dir.iterdir(), *(site.runtime_dir / "hippodrome").iterdir()]


def ids(site: Site) -> str:
    shown = site.python("-c", "import hippodrome; print(hippodrome.Client().ids)")
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.strip()


def test_a_cluster_in_the_foreground_stops_with_ctrl_c(site: Site) -> None:
    started = site.start("ipcluster", "start", "-n", "2")
    assert ids(site) == "[0, 1]"
    assert started.stop() == 0
    assert left(site) == []


def test_a_cluster_in_the_foreground_stops_when_told_from_elsewhere(site: Site) -> None:
    started = site.start("ipcluster", "start", "-n", "1")
    assert site.run("ipcluster", "stop").returncode == 0
    assert started.wait() == 0
    assert left(site) == []


def test_a_cluster_in_the_background_stays_until_it_is_stopped(stopped: Site) -> None:
    site = stopped
    begun = site.run("ipcluster", "start", "-n", "2", "--daemonize")
    assert begun.returncode == 0, begun.stderr
    assert ids(site) == "[0, 1]"

    [listed] = json.loads(site.run("ipcluster", "list", "-o", "json").stdout)
    assert listed["running"] is True
    assert listed["cluster"]["cluster_id"] == ""
    assert [engines["n"] for engines in listed["engines"]["sets"].values()] == [2]
    assert listed["controller"]["class"] == listed["engines"]["class"] == "local"
    assert listed["live_engines"] == [0, 1]
    lines = site.run("ipcluster", "list").stdout.splitlines()
    first, last = lines[1].split()[:4], lines[1].split()[-1]
    assert (first, last) == (["default", "''", "yes", "2"], "local")

    more = site.run("ipcluster", "engines", "-n", "1", "--daemonize")
    assert more.returncode == 0, more.stderr
    assert ids(site) == "[0, 1, 2]"

    assert site.run("ipcluster", "start").returncode == 10
    assert site.run("ipcluster", "stop").returncode == 0
    assert left(site) == []
    assert site.run("ipcluster", "stop").returncode == 11
    assert json.loads(site.run("ipcluster", "list", "-o", "json").stdout) == []


def test_all_clusters_of_a_profile_are_stopped(stopped: Site) -> None:
    for name in ("a", "b"):
        command = ["ipcluster", "start", "-n", "1", "--daemonize", f"--cluster-id={name}"]
        assert stopped.run(*command).returncode == 0
    ended = stopped.run("ipcluster", "stop", "--all")
    assert ended.stdout == "stopped 2 clusters\n"
    assert left(stopped) == []


def test_of_a_cluster_that_was_killed_a_stop_removes_the_rest(stopped: Site) -> None:
    import psutil

    stopped.run("ipcluster", "start", "-n", "1", "--daemonize")
    [listed] = json.loads(stopped.run("ipcluster", "list", "-o", "json").stdout)
    launched = [listed["controller"]["state"], *listed["engines"]["sets"].values()]
    processes = [psutil.Process(one["pid"]) for one in launched]
    processes += [child for process in processes for child in process.children(recursive=True)]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended with the one before
            process.kill()
    psutil.wait_procs(processes, timeout=10)
    ended = stopped.run("ipcluster", "stop")
    assert (ended.returncode, ended.stdout) == (0, "removed what 1 dead cluster had left\n")
    assert not list(stopped.security_dir.iterdir())
    assert stopped.run("ipcluster", "stop").returncode == 11


def test_clean_removes_what_is_stale_and_leaves_what_runs(stopped: Site) -> None:
    stopped.run("ipcluster", "start", "-n", "1", "--daemonize", "--cluster-id=runs")
    path = stopped.security_dir / "cluster-runs.json"
    stale = stopped.security_dir / "cluster-stale.json"
    stale.touch(mode=0o600)
    state = json.loads(path.read_text())
    state["controller"] |= {"pid": 0}
    state["engines"] = {}
    stale.write_text(json.dumps(state))
    assert stopped.run("ipcluster", "clean").stdout == f"removed {stale}\n"
    assert path.exists()
    stopped.run("ipcluster", "clean", "--force")
    assert left(stopped) == []


def test_engines_need_a_controller(site: Site) -> None:
    ended = site.run("ipcluster", "engines", "-n", "1")
    assert ended.returncode == 12
    assert "start ipcontroller" in ended.stderr


def test_options_after_two_dashes_reach_the_controller(site: Site) -> None:
    started = site.run("ipcluster", "start", "-n", "1", "--", "--hwn=3")
    assert started.returncode == 1
    assert "did you mean --hwm?" in started.stderr
    assert not list(site.security_dir.iterdir())
