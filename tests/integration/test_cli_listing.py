"""``ipcluster list`` and ``stop``: whatever there is, however it was started, and how it is."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from support.processes import Process, Site, program

BOUND_S = 10.0  # in which a command has looked at everything, the slowness of a machine included


@pytest.fixture
def stopped(site: Site) -> Iterator[Site]:
    """A site whose clusters are stopped at the end, whatever the test did."""
    yield site
    site.run("ipcluster", "clean", "--force", "--all")


def listed(site: Site, *options: str) -> list[dict[str, Any]]:
    shown = site.run("ipcluster", "list", "-o", "json", *options)
    assert shown.returncode == 0, shown.stderr
    found: list[dict[str, Any]] = json.loads(shown.stdout)
    return found


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def scheduler_of(controller: Process) -> int:
    [scheduler] = psutil.Process(controller.pid).children()
    return scheduler.pid


def test_where_nothing_is_a_sentence_says_so(site: Site) -> None:
    shown = site.run("ipcluster", "list")
    assert shown.returncode == 0
    [line] = shown.stdout.splitlines()
    assert line.startswith("there are no clusters in ")
    assert line.endswith("ipcluster start starts one")
    assert listed(site) == []


def test_controllers_started_by_hand_are_listed_with_their_engines(site: Site) -> None:
    site.start("ipcontroller", "--cluster-id=a b")
    site.start("ipcontroller", "--profile=other")
    site.start("ipengine", "-n", "2", "--cluster-id=a b")
    header, one, other = site.run("ipcluster", "list").stdout.splitlines()
    titles = ["PROFILE", "CLUSTER ID", "RUNNING", "ENGINES", "AGE", "LAUNCHER"]
    assert cells(header) == titles
    assert cells(one)[:4] == ["default", "'a b'", "yes", "2"]
    assert cells(one)[5] == "by hand"
    assert cells(other)[:4] == ["other", "''", "yes", "0"]
    [only] = listed(site, "--profile=other")
    assert only["cluster"]["profile"] == "other"
    [only] = listed(site, f"--profile-dir={site.ipython_dir}/profile_default")
    assert (only["cluster"]["cluster_id"], only["live_engines"]) == ("a b", [0, 1])
    assert (only["by_hand"], only["running"]) == (True, True)


def test_the_controller_and_engines_of_three_terminals_are_stopped(site: Site) -> None:
    controller, engines = site.start_cluster(1)
    assert site.run("ipcluster", "stop").stdout == "stopped 1 cluster\n"
    assert (controller.wait(), engines.wait()) == (0, 0)
    assert not list(site.security_dir.iterdir())
    assert site.run("ipcluster", "stop").returncode == 11


def test_all_of_a_profile_are_stopped_however_they_were_started(stopped: Site) -> None:
    site = stopped
    by_hand = site.start("ipcontroller", "--cluster-id=hand")
    other = site.start("ipcontroller", "--profile=other")
    site.run("ipcluster", "start", "-n", "1", "--daemonize", "--cluster-id=started")
    assert site.run("ipcluster", "stop", "--all").stdout == "stopped 2 clusters\n"
    assert by_hand.wait() == 0
    assert other.popen.poll() is None
    other.is_death_wanted = True  # what cleans up stops it too
    none = site.run("ipcluster", "stop", "--all")
    assert (none.returncode, none.stdout[:21]) == (0, "there are no clusters")


@pytest.mark.parametrize("frozen", ["scheduler", "both"])
def test_a_controller_that_was_frozen_is_said_to_be_soon_and_is_stopped(
    site: Site, frozen: str
) -> None:
    controller = site.start("ipcontroller", "--cluster-id=a")
    pids = [scheduler_of(controller), *([controller.pid] if frozen == "both" else [])]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    shown = site.run("ipcluster", "list")
    assert time.monotonic() - begun < BOUND_S
    assert cells(shown.stdout.splitlines()[1])[:4] == ["default", "a", "silent", "-"]
    assert f"kill -CONT {' '.join(map(str, sorted(pids)))} " in shown.stderr
    assert "ipcluster stop --cluster-id=a ends it" in shown.stderr
    assert site.run("ipcluster", "stop", "a").returncode == 0
    controller.wait()
    assert not list(site.security_dir.iterdir())


def test_a_frozen_controller_may_be_asked_often_and_is_known_still(site: Site) -> None:
    controller = site.start("ipcontroller")
    os.kill(scheduler_of(controller), signal.SIGSTOP)
    for _ in range(3):
        [found] = listed(site)
        assert "kill -CONT" in found["why"]
    os.kill(scheduler_of(controller), signal.SIGCONT)
    [found] = listed(site)
    assert found["running"] is True


def test_a_controller_that_was_killed_is_dead_and_can_be_cleaned(site: Site) -> None:
    controller = site.start("ipcontroller")
    scheduler = psutil.Process(scheduler_of(controller))
    scheduler.suspend()  # so that it cannot tidy up
    controller.kill()
    scheduler.kill()
    shown = site.run("ipcluster", "list")
    assert cells(shown.stdout.splitlines()[1])[2] == "no"
    assert "ipcluster clean removes what it has left" in shown.stderr
    assert listed(site)[0]["condition"] == "dead"
    assert site.run("ipcluster", "clean").returncode == 0
    assert listed(site) == []


def test_a_cluster_whose_controller_was_killed_is_dead_and_its_engines_are_stopped(
    stopped: Site,
) -> None:
    site = stopped
    site.run("ipcluster", "start", "-n", "1", "--daemonize")
    [before] = listed(site)
    [engines] = before["engines"]["sets"].values()
    supervisor = psutil.Process(engines["pid"])
    supervisor.suspend()  # so that it does not notice
    controller = psutil.Process(before["controller"]["state"]["pid"])
    [scheduler] = controller.children()
    controller.kill()
    psutil.wait_procs([controller, scheduler], timeout=10)
    shown = site.run("ipcluster", "list")
    assert "ipcluster stop ends them" in shown.stderr
    supervisor.resume()
    assert site.run("ipcluster", "stop").returncode == 0
    assert listed(site) == []


def test_fewer_engines_than_were_started_are_said_to_be(stopped: Site) -> None:
    site = stopped
    site.run("ipcluster", "start", "-n", "2", "--daemonize")
    code = (
        "import os, hippodrome as h; rc = h.Client(); r = rc[1].apply_async(os._exit, 1); "
        "r.wait(20); print(rc.ids)"
    )
    assert site.python("-c", code).stdout == "[0]\n"
    line = site.run("ipcluster", "list").stdout.splitlines()[1]
    assert cells(line)[:4] == ["default", "''", "yes", "1 of 2"]


def test_what_is_damaged_is_said_and_keeps_nobody_from_the_rest(site: Site) -> None:
    controller = site.start("ipcontroller", "--cluster-id=fine")
    damaged = site.security_dir / "cluster-bad.json"
    damaged.touch(mode=0o600)
    damaged.write_text("{")
    shown = site.run("ipcluster", "list")
    assert [cells(line)[1:3] for line in shown.stdout.splitlines()[1:]] == [
        ["bad", "damaged"],
        ["fine", "yes"],
    ]
    ended = site.run("ipcluster", "stop", "--all")
    assert (ended.returncode, controller.wait()) == (1, 0)
    assert ended.stdout == "stopped 1 cluster\n"
    assert "is damaged" in ended.stderr


def test_whoever_reads_only_the_beginning_sees_no_traceback(site: Site) -> None:
    site.start("ipcontroller")
    shown = site.python(
        "-c",
        "import subprocess, sys; p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, "
        "stderr=subprocess.PIPE); p.stdout.close(); print(p.stderr.read().decode(), p.wait())",
        program("ipcluster"),
        "list",
    )
    assert shown.stdout.split() == ["141"], shown.stdout
