"""Logs on a full disk: what runs goes on, and what starts says why it does not."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import hippodrome
from support.processes import Site, program

PATIENCE_S = 20.0
LOGS = ("ipcontroller.log", "ipengine-0.log")


@pytest.fixture
def logs(site: Site) -> Iterator[Path]:
    """The folder of logs, whose files take nothing."""
    folder = site.ipython_dir / "profile_default" / "log"
    folder.mkdir(parents=True)
    for name in LOGS:
        (folder / name).symlink_to("/dev/full")
    yield folder
    site.run("ipcluster", "stop")


CHATTER = """
import os, sys
for _ in range(500):
    os.write(sys.__stderr__.fileno(), b"a line of an engine\\n")
"""


def test_a_cluster_whose_logs_are_full_works_and_can_be_looked_at_and_stopped(
    site: Site, logs: Path
) -> None:
    started = site.run("ipcluster", "start", "-n", "2", "--daemonize")
    assert started.returncode == 0, started.stderr
    for _ in range(3):
        hippodrome.Client().close()
    with hippodrome.Client() as rc:
        rc.wait_for_engines(2, timeout=PATIENCE_S)
        rc[:].execute(CHATTER, block=False).get(PATIENCE_S)
        pids = rc[:].apply(os.getpid).get(PATIENCE_S)
        view = rc.load_balanced_view()
        assert view.map(abs, range(-500, 0)).get(PATIENCE_S) == list(range(500, 0, -1))
        os.kill(pids[0], signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_S
        while rc.ids != [1]:
            rc.queue_status()
            assert time.monotonic() < deadline
        rc[1].execute(CHATTER, block=False).get(PATIENCE_S)
    shown = site.run("ipcluster", "status")
    assert shown.returncode == 0
    assert "1 engine: 1 ready (1)" in shown.stdout
    assert site.run("ipcluster", "logs").returncode == 0
    stopped = site.run("ipcluster", "stop")
    assert (stopped.returncode, stopped.stdout) == (0, "stopped 1 cluster\n")
    assert not psutil.pid_exists(pids[1])


def test_programs_that_log_to_a_full_terminal_end_in_order(site: Site) -> None:
    """Their own codes, and not one that Python has for what it could not write."""
    script = (
        "{controller} 2>/dev/full & c=$!; {engine} -n 1 2>/dev/full & e=$!; "
        "{python} -c 'import hippodrome as h; rc = h.Client(timeout=20); rc.wait_for_engines(1); "
        "print(rc[0].apply_sync(abs, -7))'; "
        "kill -INT $e; wait $e; echo $?; kill -TERM $c; wait $c; echo $?"
    ).format(
        controller=shlex.quote(program("ipcontroller")),
        engine=shlex.quote(program("ipengine")),
        python=shlex.quote(sys.executable),
    )
    shown = site.python("-c", f"import subprocess; subprocess.run({['bash', '-mc', script]!r})")
    assert shown.stdout.split() == ["7", "0", "0"], shown


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("ipcluster start -n 1 --daemonize", "ipcluster start: cannot write the cluster file "),
        ("ipcontroller", "ipcontroller: No usable temporary directory found in "),
    ],
)
def test_a_start_onto_a_full_disk_says_so_in_a_sentence(
    site: Site, command: str, words: str
) -> None:
    name, *options = command.split()
    script = f"ulimit -f 0; exec {shlex.join([program(name), *options])}"
    shown = site.python(
        "-c",
        "import subprocess, sys; "
        f"sys.exit(subprocess.run({['bash', '-c', script]!r}, timeout=60).returncode)",
    )
    assert shown.returncode == 1
    *_, last = shown.stderr.splitlines()
    assert last.startswith(words)
    assert "Traceback" not in shown.stderr
