"""``ipcluster clean``, ``--clean-logs``, ``--quiet`` and ``--log-to-file`` do what they say."""

from __future__ import annotations

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


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_damaged_files_and_old_logs_go_and_what_is_in_use_stays(site: Site) -> None:
    log_dir = site.security_dir.parent / "log"
    site.start("ipcontroller", "--cluster-id=runs")
    gone = [
        put(site.security_dir / "cluster-a.json", "{"),
        put(site.security_dir / "cluster-b.json", json.dumps({"version": 1})),
        put(site.security_dir / "ipcontroller-c-client.json", "nonsense"),
        put(site.security_dir / "ipcontroller-d-engine.json", json.dumps({"protocol": "?"})),
        put(log_dir / "ipcontroller-a b.log", "old"),
        put(log_dir / "ipengine-9-0.log", "old"),
        put(log_dir / "ipcluster-start-9.log", "old"),
        put(log_dir / "ipengine-a-0-1.jobs" / "stop", "").parent,
    ]
    stay = [
        put(site.security_dir / "cluster-p.json", json.dumps({"cluster": {"class": "x"}})),
        put(site.security_dir / "ipcontroller-v-client.json", json.dumps({"protocol": 999})),
        put(log_dir / "mine.log", "of somebody else"),
        put(log_dir / "ipengine-b-0-1.jobs" / "0.sh", "not stopped yet"),
        site.security_dir / "ipcontroller-runs-client.json",
    ]
    ended = site.run("ipcluster", "clean")
    assert ended.returncode == 0, ended.stderr
    assert sorted(ended.stdout.splitlines()) == sorted(f"removed {path}" for path in gone)
    assert [path for path in gone if path.exists()] == []
    assert [path for path in stay if not path.exists()] == []
    assert site.run("ipcluster", "clean").stdout == "there is nothing to remove\n"


def test_force_stops_what_was_started_by_hand(site: Site) -> None:
    controller = site.start("ipcontroller")
    ended = site.run("ipcluster", "clean", "--force")
    assert controller.wait() == 0
    assert ended.returncode == 0
    assert not list(site.security_dir.iterdir())


def test_a_start_removes_old_logs_if_told_to(stopped: Site) -> None:
    site = stopped
    old = put(site.security_dir.parent / "log" / "ipengine-old-0.log", "old")
    begin = ["ipcluster", "start", "-n", "1", "--daemonize"]
    site.run(*begin, "--cluster-id=a")
    assert old.exists()
    begun = site.run(*begin, "--cluster-id=b", "--clean-logs=True")
    assert f"removed {old}" in begun.stderr
    assert not old.exists()
    names = {path.name for path in old.parent.iterdir()}
    assert {"ipcontroller-a.log", "ipengine-a-0.log", "ipcontroller-b.log"} <= names


def test_quiet_silences_all_but_errors_and_what_was_asked_for(stopped: Site) -> None:
    site = stopped
    begun = site.run("ipcluster", "start", "-n", "1", "--daemonize", "--quiet", "--profile=q")
    assert (begun.returncode, begun.stdout, begun.stderr) == (0, "", "")
    assert "PROFILE" in site.run("ipcluster", "list", "--quiet").stdout
    assert "engines" in site.run("ipcluster", "status", "--quiet", "--profile=q").stdout
    again = site.run("ipcluster", "start", "--quiet", "--profile=q")
    assert (again.returncode, again.stdout) == (10, "")
    assert "runs already" in again.stderr
    ended = site.run("ipcluster", "stop", "--quiet", "--profile=q")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_what_is_said_is_logged_into_a_file_of_a_sensible_name(stopped: Site) -> None:
    site = stopped
    begun = site.run("ipcluster", "start", "-n", "1", "--daemonize", "--log-to-file")
    assert "the cluster is ready" in begun.stdout
    [log] = (site.security_dir.parent / "log").glob("ipcluster-start-*.log")
    assert log.name.removeprefix("ipcluster-start-").removesuffix(".log").isdecimal()
    text = log.read_text()
    assert "the cluster is ready: 1 engine" in text
    assert "Engines appear to have started successfully" in text
