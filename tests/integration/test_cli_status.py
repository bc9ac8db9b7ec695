"""``ipcluster status`` and ``logs``: how a cluster is, and what it says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import hippodrome
from support.processes import Process, Site, program

BOUND_S = 10.0
PATIENCE_S = 20.0


@pytest.fixture
def stopped(site: Site) -> Iterator[Site]:
    """A site whose clusters are stopped at the end, whatever the test did."""
    yield site
    site.run("ipcluster", "clean", "--force", "--all")


def told(site: Site, *options: str) -> dict[str, Any]:
    shown = site.run("ipcluster", "status", "--json", *options)
    found: dict[str, Any] = json.loads(shown.stdout)
    return found | {"code": shown.returncode}


def test_of_no_cluster_there_is_no_status(site: Site) -> None:
    for command in ("status", "logs"):
        shown = site.run("ipcluster", command)
        assert (shown.returncode, shown.stdout) == (12, "")
        assert "ipcluster list shows" in shown.stderr


def test_engines_are_counted_by_what_they_do_and_tasks_by_what_became_of_them(site: Site) -> None:
    site.start_cluster(2)
    with hippodrome.Client() as rc:
        view = rc.load_balanced_view()
        view.map_sync(abs, range(10))
        failing = view.apply_async(divmod, 1, 0)
        failing.wait(PATIENCE_S)
        before = told(site)
        gate = site.directory / "gate"
        os.mkfifo(gate)
        held = [rc[0].execute(f"open({str(gate)!r}).read()", block=False)]
        held += [rc[0].execute("pass", block=False) for _ in range(2)]
        after = told(site)
        while after["tasks"]["running"] != 1:
            after = told(site)
        with gate.open("w"):  # whoever waits there goes on
            pass
        for one in held:
            one.get(PATIENCE_S)
    states = {engine: how["state"] for engine, how in before["engine_states"].items()}
    assert states == {"0": "ready", "1": "ready"}
    assert before["tasks"] == {"waiting": 0, "running": 0, "done": 10, "failed": 1}
    assert (before["code"], before["can_run"], before["clients"]) == (0, True, 1)
    assert before["storage"]["records"] == 11
    states = {engine: how["state"] for engine, how in after["engine_states"].items()}
    assert states == {"0": "busy", "1": "ready"}
    assert (after["tasks"]["waiting"], after["tasks"]["running"]) == (2, 1)


def test_the_status_is_a_few_lines_for_people(stopped: Site) -> None:
    site = stopped
    site.run("ipcluster", "start", "-n", "2", "--daemonize", "--cluster-id=a b")
    shown = site.run("hippodrome", "status", "a b")
    lines = shown.stdout.splitlines()
    assert shown.returncode == 0
    assert lines[0].startswith("cluster 'a b' of profile default: running for ")
    assert lines[1].startswith("controller  process ")
    assert lines[1].endswith("; 0 clients")
    assert lines[2] == "engines     2 engines: 2 ready (0-1)"
    assert lines[3] == "tasks       0 waiting, 0 running, 0 done, 0 failed"
    assert lines[4] == "records     0 tasks in memory"
    assert lines[5] == f"log         {site.ipython_dir}/profile_default/log/ipcontroller-a b.log"
    assert 0 < len(lines[6:]) <= 5
    assert all(line.startswith("  ") and " INFO " in line for line in lines[6:])


def test_without_engines_no_work_can_run(site: Site) -> None:
    site.start("ipcontroller")
    shown = site.run("ipcluster", "status")
    assert shown.returncode == 1
    assert "engines     0 engines\n" in shown.stdout
    assert "in its terminal" in shown.stdout


@pytest.mark.parametrize("frozen", ["hub", "scheduler"])
def test_a_frozen_controller_is_said_to_be_soon(site: Site, frozen: str) -> None:
    controller, _ = site.start_cluster(1)
    [scheduler] = psutil.Process(controller.pid).children()
    pid = controller.pid if frozen == "hub" else scheduler.pid
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    shown = site.run("ipcluster", "status")
    logs = site.run("ipcluster", "logs")
    assert time.monotonic() - begun < 2 * BOUND_S
    os.kill(pid, signal.SIGCONT)
    assert shown.returncode == 1
    assert f"kill -CONT {pid} " in shown.stdout
    assert logs.returncode == 1


def test_a_dead_cluster_has_a_code_of_its_own(stopped: Site) -> None:
    site = stopped
    site.run("ipcluster", "start", "-n", "1", "--daemonize")
    [entry] = json.loads(site.run("ipcluster", "list", "-o", "json").stdout)
    controller = psutil.Process(entry["controller"]["state"]["pid"])
    family = [controller, *controller.children()]
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=10)
    assert told(site)["code"] == 11
    assert "listening on" in site.run("ipcluster", "logs", "--controller").stdout


# ---- logs


def test_an_engine_says_whose_lines_are_its_own(stopped: Site) -> None:
    site = stopped
    code = "import os; print(f'from {os.getpid()}')"
    options = f"--IPClusterStart.engine_args=--IPEngine.startup_command={code}"
    begun = site.run("ipcluster", "start", "-n", "2", "--daemonize", options)
    assert begun.returncode == 0, begun.stderr
    first, second = (told(site)["engine_states"][engine]["pid"] for engine in "01")
    found = until(lambda: site.run("ipcluster", "logs", "--engine", "1").stdout)
    assert found.endswith(f"] from {second}\n")
    assert found.startswith(("[engine 1] ", f"[engine process {second}] "))
    assert found.count("\n") == 1
    every = site.run("ipcluster", "logs").stdout
    assert every.count("==> ") == 2
    assert f"] from {first}\n" in every
    assert "ready: engines 0 1" in every
    other = site.run("ipcluster", "logs", "--engine", "7")
    assert other.stdout == ""
    assert "there is no engine 7 now, of 2 engines" in other.stderr


def until(find: Any) -> str:
    """Return what *find* finds, once that is something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := find()) and time.monotonic() < deadline:
        pass
    assert isinstance(found, str)
    return found


@contextmanager
def following(site: Site, *options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    command = [program("ipcluster"), "logs", "-f", *options]
    environment = site.environment() | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")))  # type: ignore[union-attr]
    reader.start()
    try:
        yield process, lines
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()  # type: ignore[union-attr]


def test_a_log_is_followed_until_ctrl_c(stopped: Site) -> None:
    site = stopped
    site.run("ipcluster", "start", "-n", "1", "--daemonize")
    with following(site, "--controller") as (process, lines):
        until(lambda: "".join(lines))
        path = log_of(site)
        with path.open("a") as log:
            log.write("something new\n")
        until(lambda: next((line for line in lines if "something new" in line), ""))
        path.rename(path.with_suffix(".old"))
        until(lambda: next((line for line in lines if "is gone" in line), ""))
        assert process.wait(PATIENCE_S) == 0  # there was no other to follow
    path.write_text("")
    with following(site, "--controller") as (process, lines):
        path.write_text("rotated\n")
        until(lambda: next((line for line in lines if "rotated" in line), ""))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    assert "Traceback" not in "".join(lines)


def log_of(site: Site) -> Path:
    return site.ipython_dir / "profile_default" / "log" / "ipcontroller.log"


def test_what_logs_to_a_terminal_says_how_to_have_it_in_a_file(site: Site) -> None:
    site.start("ipcontroller")
    shown = site.run("ipcluster", "logs")
    assert shown.returncode == 1
    assert "--log-to-file" in shown.stderr


def test_by_hand_with_log_files_they_are_found(site: Site) -> None:
    controller = Process([program("ipcontroller"), "--log-to-file"], site.environment(), "\0never")
    try:
        shown = until(
            lambda: out if "listening on" in (out := site.run("ipcluster", "logs").stdout) else ""
        )
        assert "clients connect with" in shown
    finally:
        assert controller.stop() == 0


def test_each_engine_says_where_its_log_is(site: Site) -> None:
    with (site.directory / "engines.log").open("w") as log:
        site.start("ipcontroller")
        command = [program("ipengine"), "-n", "1"]
        engines = subprocess.Popen(command, env=site.environment(), stderr=log)
    try:
        with hippodrome.Client() as rc:
            rc.wait_for_engines(1, timeout=PATIENCE_S)
        assert told(site)["engine_states"]["0"]["log"] == log.name
    finally:
        engines.send_signal(signal.SIGINT)
        engines.wait(PATIENCE_S)


def test_an_engine_of_a_cluster_logs_into_its_file(stopped: Site) -> None:
    site = stopped
    site.run("ipcluster", "start", "-n", "1", "--daemonize")
    path = site.ipython_dir / "profile_default" / "log" / "ipengine-0.log"
    assert told(site)["engine_states"]["0"]["log"] == str(path)


def test_the_one_cluster_there_is_needs_no_name(stopped: Site) -> None:
    start = ("ipcluster", "start", "-n", "1", "--daemonize", "--quiet")
    assert stopped.run(*start, "--cluster-id=a", "--sqlitedb").returncode == 0
    with hippodrome.Client(cluster_id="a") as rc:
        rc[:].apply_sync(abs, -1)
    shown = stopped.run("ipcluster", "status")
    assert shown.returncode == 0
    assert shown.stdout.startswith("cluster a of profile default: running")
    assert "records     1 task in a file; of these" in shown.stdout
    assert "ipcontroller-a.log" in stopped.run("ipcluster", "logs").stdout
    assert stopped.run(*start, "--cluster-id=b").returncode == 0
    shown = stopped.run("ipcluster", "status")
    assert [line.split(":")[0] for line in shown.stdout.splitlines()] == [
        "cluster a of profile default",
        "cluster b of profile default",
    ]
    assert shown.returncode == 0
    assert "ipcluster status CLUSTER_ID says more of one" in shown.stderr
    several = json.loads(stopped.run("ipcluster", "status", "--json").stdout)
    assert [one["cluster"]["cluster_id"] for one in several] == ["a", "b"]
    shown = stopped.run("ipcluster", "logs")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "there are several clusters, 'a', 'b': name one" in shown.stderr
    assert stopped.run(*start).returncode == 0  # the one without an id goes before the others
    assert stopped.run("ipcluster", "status").stdout.startswith("cluster '' of profile default")


def test_a_cluster_that_has_ended_has_left_its_logs(stopped: Site) -> None:
    for name in ("a", "b"):
        options = ("-n", "1", "--daemonize", f"--cluster-id={name}")
        assert stopped.run("ipcluster", "start", *options).returncode == 0
        stopped.run("ipcluster", "stop", name)
    shown = stopped.run("ipcluster", "logs", "a")
    assert shown.returncode == 0
    assert "ipcontroller-a.log" in shown.stdout
    assert "ipengine-a-0.log" in shown.stdout
    assert "ipcontroller-b.log" not in shown.stdout
    assert "of a cluster that has ended" in shown.stderr
    latest = stopped.run("ipcluster", "logs", "--controller")
    assert "clients connect with" in latest.stdout
    assert "ipcontroller-b-client.json" in latest.stdout
    assert stopped.run("ipcluster", "logs", "c").returncode == 12
    assert stopped.run("ipcluster", "status", "a").returncode == 12
