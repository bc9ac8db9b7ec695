"""What facts about hosts mean: what would fail, what may, and what is well."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from hippodrome.cluster import checkup
from hippodrome.cluster.checkup import CheckOrder
from hippodrome.cluster.findings import Diagnosis, Level, of_addresses, of_clock, of_host, verdict

OURS: dict[str, Any] = {
    "host": "alpha",
    "versions": {
        "python": "3.11.7",
        "hippodrome": "1.0",
        "protocol": 3,
        "pyzmq": "27.0",
        "msgspec": "0.20",
        "cloudpickle": "3.1",
        "numpy": "2.0",
    },
    "time": 1000.0,
    "limits": {"files": [1024, 500_000], "processes": [None, None]},
    "rooms": {
        "profile": {"path": "/home/me", "free": 10 << 30, "writable": True},
        "shared": {"path": "/dev/shm", "free": 10 << 30, "writable": True},
    },
    "runtime": {"path": "/run/user/1"},
    "syncs": {"n": 50, "seconds": 0.2},
    "addresses": [],
}


def with_(path: str, value: Any) -> dict[str, Any]:
    """Return these facts, with another value at one place."""
    facts = copy.deepcopy(OURS)
    *names, last = path.split(".")
    inner: Any = facts
    for name in names:
        inner = inner[name]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return facts


def worst(facts: dict[str, Any]) -> tuple[str, str]:
    """Return the level and what it is about of the gravest finding."""
    ranks = list(Level)
    found = sorted(of_host("h", facts, OURS), key=lambda one: ranks.index(one.level))
    return found[0].level.value, f"{found[0].what}: {found[0].text}"


def test_what_is_well_is_well() -> None:
    assert worst(OURS)[0] == "ok"
    assert verdict(list(of_host("h", OURS, OURS))) == "all is well"


@pytest.mark.parametrize(
    ("path", "value", "level", "text"),
    [
        ("versions.python", "3.12.1", "bad", "functions by value cannot be sent there"),
        ("versions.python", "3.11.2", "ok", ""),
        ("versions.protocol", 4, "bad", "speaks another protocol"),
        ("versions.hippodrome", "1.1", "warn", "hippodrome 1.1 (here 1.0)"),
        ("versions.numpy", "1.26", "warn", "numpy 1.26 (here 2.0)"),
        ("versions.numpy", None, "warn", "numpy missing (here 2.0)"),
        ("versions.cloudpickle", None, "bad", "cloudpickle missing"),
        ("limits.files", [100, 100], "bad", "up to 100 (ulimit -Hn): a controller takes 2 for"),
        ("limits.files", [100, 1000], "warn", "up to 1,000"),
        ("limits.files", [100, None], "ok", ""),
        ("limits.processes", [100, 100], "warn", "no more than 100"),
        ("limits.tasks", 64, "warn", "no more than 64"),
        ("rooms.profile.free", 5 << 20, "bad", "5 MiB free in /home/me"),
        ("rooms.profile.writable", False, "bad", "cannot be written to"),
        ("rooms.profile", {"path": "/x", "trouble": "Input/output error"}, "bad", "Input/output"),
        ("rooms.shared.free", 5 << 20, "warn", "travels in messages"),
        ("rooms.shared", {"path": "/dev/shm", "trouble": "No such file"}, "warn", "No such file"),
        ("runtime", {"trouble": "too long a path"}, "bad", "too long a path"),
        ("syncs.seconds", 9.0, "warn", "50 took 9.00 s: records in a file"),
        ("syncs", {"trouble": "Read-only file system"}, "warn", "Read-only"),
    ],
)
def test_what_is_not_well_is_said(path: str, value: Any, level: str, text: str) -> None:
    found = worst(with_(path, value))
    assert found[0] == level
    assert text in found[1]


@pytest.mark.parametrize(
    ("time", "level", "text"),
    [
        (1000.5, "ok", "as ours"),
        (1005.0, "ok", "3 s from ours"),
        (4600.0, "warn", "3,598 s from ours"),
        (-2600.0, "warn", "3,600 s from ours"),
    ],
)
def test_a_clock_is_compared_by_when_it_was_asked(time: float, level: str, text: str) -> None:
    found = of_clock("h", with_("time", time), 1000.0, 1002.0)
    assert found.level.value == level
    assert text in found.text


def test_one_address_that_works_is_enough() -> None:
    good, bad = {"address": "a", "trouble": ""}, {"address": "b", "trouble": "refused"}
    assert of_addresses("h", [good, bad]).level is Level.OK
    assert "not by b: refused" in of_addresses("h", [good, bad]).text
    assert of_addresses("h", [bad]).level is Level.BAD
    assert of_addresses("h", []).level is Level.BAD


def test_the_verdict_counts() -> None:
    found = [
        Diagnosis(level, "h", "x", "y") for level in (Level.BAD, Level.WARN, Level.WARN, Level.OK)
    ]
    assert verdict(found) == "1 would fail, 2 may; 1 are well"


@pytest.mark.parametrize(
    "told",
    [
        "",
        "nonsense",
        "[]",
        "3",
        "{}",
        '{"versions": 3}',
        json.dumps(OURS | {"limits": {"files": "many"}}),
        json.dumps(OURS | {"time": "noon"}),
        json.dumps(OURS | {"rooms": {"profile": []}}),
        json.dumps(OURS | {"addresses": 7}),
        "[" * 100_000,
    ],
)
def test_whatever_a_host_tells_ends_in_a_line(
    told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checkup, "_ask", lambda *_: (1, told, "first\nlast \x1b[2Jwords\n"))
    found, facts = checkup._host("h", CheckOrder(tmp_path), ["tcp://a:1"], OURS)
    assert not facts
    assert [one.level for one in found] == [Level.BAD]
    assert found[0].text.startswith("last ")
    assert found[0].text.isprintable()


def test_a_host_that_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checkup, "HOST_S", 0.2)
    monkeypatch.setattr(checkup, "_command", lambda *_: ["sh", "-c", "sleep 60 & sleep 60"])
    found, _ = checkup._host("h", CheckOrder(tmp_path), [], OURS)
    assert [one.text for one in found] == ["no answer within 0.2 s"]


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("beta", ["--", "beta"]),
        ("me@beta:2222", ["-p", "2222", "--", "me@beta"]),
        ("fd00::5", ["--", "fd00::5"]),
    ],
)
def test_a_host_is_asked_by_ssh(host: str, words: list[str]) -> None:
    command = checkup._command(host, "/opt/my python/bin/python")
    assert command[-1 - len(words) : -1] == words
    assert "exec '/opt/my python/bin/python' -m hippodrome.cluster.probe" in command[-1]
