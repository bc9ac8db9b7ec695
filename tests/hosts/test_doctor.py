"""``ipcluster doctor`` with other hosts: it looks there by ssh, and tries the way back."""

from __future__ import annotations

import json
from typing import Any

from support.hosts import Hosts
from support.processes import program


def doctor(hosts: Hosts, *options: str) -> tuple[int, dict[str, Any]]:
    """Run it on the first host; return the exit code and what was found on each."""
    done = hosts.run("h1", [program("ipcluster"), "doctor", "--json", *options], timeout=100)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def of(told: dict[str, Any], where: str, what: str) -> list[str]:
    found = [one for one in told["findings"] if (one["where"], one["what"]) == (where, what)]
    return [f"{one['level']} {one['text']}" for one in found]


def test_hosts_are_looked_at_and_reach_what_listens_meanwhile(hosts: Hosts) -> None:
    code, told = doctor(hosts, "--hosts=h2,h3", f"--port={hosts.port(9)}")
    assert (code, told["ok"]) == (0, True), told["verdict"]
    at = f"tcp://{hosts.address('h1')}:{hosts.port(9)}"
    for name in ("h2", "h3"):
        assert told["hosts"][name]["host"] == name
        assert of(told, name, "controller") == [f"ok reached by {at}"]
        assert of(told, name, "clock") == ["ok as ours"]


def test_a_firewall_is_seen_from_the_host_behind_it(hosts: Hosts) -> None:
    controller = hosts.start("h1", "ipcontroller", "--ip=*", f"--port={hosts.port(8)}")
    hosts.drop("h1", hosts.port(8))
    try:
        code, told = doctor(hosts, "--hosts=h2")
    finally:
        hosts.drop("h1", hosts.port(8), is_so=False)
        controller.stop()
    assert code == 1
    [said] = of(told, "h2", "controller")
    assert said.startswith("bad cannot be reached: ")
    assert f"tcp://{hosts.address('h1')}:{hosts.port(8)}: timed out" in said
    assert of(told, "here", "controller")[0].startswith("ok reached by ipc://")


def test_a_host_that_is_off_and_one_without_python_are_told_apart(hosts: Hosts) -> None:
    hosts.link("h3", False)
    try:
        options = ("--hosts=h2,h3", "--python=/nowhere/python")
        code, told = doctor(hosts, *options)
    finally:
        hosts.link("h3", True)
    assert code == 1
    assert "ssh" in {one["what"] for one in told["findings"] if one["where"] == "h3"}
    [said] = of(told, "h2", "probe")
    assert "hippodrome" in said or "python" in said
