"""What `list` and `status` say of a cluster of which something was killed."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import psutil
import pytest

from support.processes import Site

PATIENCE_S = 20.0


def pids_of(site: Site) -> dict[str, list[int]]:
    """Return the processes of the parts of the one cluster, started as one."""
    told = json.loads(site.run("ipcluster", "status", "--json").stdout)
    hub = told["controller"]["state"]["pid"]
    [scheduler] = [process.pid for process in psutil.Process(hub).children()]
    return {
        "supervisor": [told["engines"]["sets"]["0"]["pid"]],
        "hub": [hub],
        "scheduler": [scheduler],
        "controller": [scheduler, hub],
        "engine": [told["engine_states"]["0"]["pid"]],
    }


def look(site: Site) -> dict[str, Any]:  # Any: what JSON holds
    """Return what all three ways to look say; they must agree on whether work can run."""
    shown = site.run("ipcluster", "status", "--json")
    return {**json.loads(shown.stdout), "code": shown.returncode}


@pytest.mark.parametrize(
    ("part", "code", "condition", "engines", "row", "line"),
    [
        ("engine", 0, "running", [1], "yes      1 of 2 ", "engines     1 engine: 1 ready (1)"),
        ("supervisor", 1, "running", [], "yes      0 of 2 ", "engines     0 engines"),
        ("hub", 11, "dead", None, "no       - ", "dead: nothing of it runs any more"),
        ("scheduler", 11, "dead", None, "no       - ", "dead: nothing of it runs any more"),
        ("controller", 11, "dead", None, "no       - ", "dead: nothing of it runs any more"),
    ],
)
def test_what_was_killed_is_seen_in_list_and_status(
    site: Site,
    part: str,
    code: int,
    condition: str,
    engines: list[int] | None,
    row: str,
    line: str,
) -> None:
    site.run("ipcluster", "start", "-n", "2", "--daemonize")
    for pid in pids_of(site)[part]:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    told = look(site)
    while (told["code"], told["live_engines"]) != (code, engines) or "still" in told["why"]:
        assert time.monotonic() < deadline, told
        told = look(site)
    assert (told["condition"], told["running"]) == (condition, condition == "running")
    assert told["can_run"] is (code == 0)
    assert list(told["engine_states"]) == [str(engine) for engine in engines or ()]
    states = (told["controller"]["state"]["state"], told["engines"]["sets"]["0"]["state"])
    assert states == {
        "engine": ("running", "running"),
        "supervisor": ("running", "after"),
    }.get(part, ("after", "after"))
    shown = site.run("ipcluster", "status")
    assert shown.returncode == code
    assert line in shown.stdout
    listed = site.run("ipcluster", "list")
    assert listed.returncode == 0
    assert f"''          {row}" in listed.stdout
    assert ("ipcluster clean" in listed.stderr) is (condition == "dead")
    stopped = site.run("ipcluster", "stop")
    assert stopped.returncode == 0
    assert site.run("ipcluster", "stop").returncode == 11
    assert site.run("ipcluster", "status").returncode == 12
