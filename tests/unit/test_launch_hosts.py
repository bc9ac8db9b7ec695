"""Which hosts engines are started on by ssh, as users say it, and what becomes of each host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hippodrome.errors import LaunchError
from hippodrome.launch.base import LaunchPhase
from hippodrome.launch.find import engine_launcher
from hippodrome.launch.hostnames import read_hosts
from hippodrome.launch.hostset import EngineHost, HostSet, HostStart
from hippodrome.launch.overssh import SSHEngineSetLauncher
from hippodrome.launch.remotescript import engine_command, plans, scp_command, script, share_out
from hippodrome.ssh.places import SSHServer
from hippodrome.ssh.reasons import why_ended

VERSION, PROTOCOL = "1.0", 3
REFUSED = "ssh: connect to host a port 22: Connection refused"
DROPPED = "kex_exchange_identification: Connection closed by remote host"


@pytest.mark.parametrize(
    ("given", "table"),
    [
        (
            {"gpu01": 4, "me@gpu02:2222": "auto"},
            {"gpu01": {"n": 4}, "me@gpu02:2222": {"n": "auto"}},
        ),
        ({"a": {"n": 2, "python": "/p"}, "b": None}, {"a": {"n": 2, "python": "/p"}, "b": {}}),
        (["a", "b=2"], {"a": {}, "b": {"n": 2}}),
        ("a=4,me@b:2222=auto,c", {"a": {"n": 4}, "me@b:2222": {"n": "auto"}, "c": {}}),
        ("a*2, b", {"a": {"n": 2}, "b": {}}),
        (["a", "a", "b"], {"a": {"n": 2}, "b": {}}),
    ],
)
def test_hosts_are_said_in_many_ways(given: Any, table: dict[str, Any]) -> None:
    assert read_hosts(given) == table
    assert read_hosts(read_hosts(given)) == table


def test_hosts_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("# ours\ngpu01 slots=4 max_slots=8\nme@gpu02:2222 2\n\ngpu03\n")
    table = {"gpu01": {"n": 4}, "me@gpu02:2222": {"n": 2}, "gpu03": {}}
    assert read_hosts(str(file)) == read_hosts(f"@{file}") == table
    with pytest.raises(LaunchError, match="cannot read the hosts"):
        read_hosts(str(tmp_path / "none"))


@pytest.mark.parametrize("given", [{"": 1}, {"a": 0}, {"a": "many"}, {"-oX": 1}, "a b c", 7])
def test_what_names_no_hosts_is_refused(given: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        read_hosts(given)


def test_a_port_that_may_be_a_number_of_engines_is_asked_about() -> None:
    with pytest.raises(LaunchError, match="Say gpu01=4"):
        read_hosts("gpu01:4")
    assert read_hosts("gpu01:22,gpu02:443=1") == {"gpu01:22": {}, "gpu02:443": {"n": 1}}


def test_engines_are_shared_out_over_hosts_that_say_nothing() -> None:
    assert share_out(read_hosts("a,b,c"), 7) == {"a": 3, "b": 2, "c": 2}
    assert share_out(read_hosts("a=4,b,c"), 7) == {"a": 4, "b": 2, "c": 1}
    assert share_out(read_hosts("a,b"), 0) == {"a": 0, "b": 0}
    assert share_out(read_hosts("a=auto,b=1"), 9) == {"a": 0, "b": 1}
    assert share_out(read_hosts("a,b"), 1) == {"a": 1, "b": -1}, "none there"


def test_the_number_of_engines_is_known_if_every_host_says_it() -> None:
    assert SSHEngineSetLauncher.count(None, {"hosts": {"a": {"n": 2}, "b": {"n": 3}}}) == 5
    assert SSHEngineSetLauncher.count(None, {"hosts": {"a": {"n": 2}, "b": {}}}) == 0
    assert SSHEngineSetLauncher.count(4, {"hosts": {"a": {}, "b": {}}}) == 4
    assert SSHEngineSetLauncher.count(4, {"location": "me@a:2222"}) == 4
    for nothing in ({}, {"hosts": read_hosts("")}, {"hosts": read_hosts({})}):
        with pytest.raises(LaunchError, match="--hosts="):
            SSHEngineSetLauncher.count(4, nothing)


@pytest.mark.parametrize("name", ["ssh", "SSH", "SSHEngineSetLauncher",
                                  "ipyparallel.cluster.launcher.SSHEngineSetLauncher"])  # fmt: skip
def test_it_is_found_by_its_names(name: str) -> None:
    assert engine_launcher(name) is SSHEngineSetLauncher


def test_a_host_has_options_of_its_own() -> None:
    table = read_hosts({"a": {"n": 1, "engine_args": ["--x"], "python": "/own"}, "b:2222": 2})
    first, second = plans(table, 0, {"python": "/all", "user": "me", "ssh_args": ["-v"]}, ("--y",))
    assert first.arguments == ("--y", "--x")
    assert (first.options["python"], second.options["python"]) == ("/own", "/all")
    assert str(second.host.server) == "me@b:2222"
    argv = second.login.argv(second.shell, back="/a:/b")
    assert argv[:3] == ["ssh", "-v", "-T"]
    assert argv[argv.index("-R") + 1] == "/a:/b"
    assert "ClearAllForwardings=yes" not in argv, "which would clear this one too"
    assert scp_command(second, "f", ":g")[-5:] == ["-P", "2222", "--", "f", "me@b:g"]


def test_what_is_run_there_holds_no_key_and_quotes_what_users_say() -> None:
    [plan] = plans(read_hosts("a=2"), 0, {"environment": {"A": "it's"}, "prologue": ["x"]}, ())
    text = script(plan, "m", engine_command(plan), "/here/python", "/a b", "/tmp/s.sock")
    assert "export A='it'\"'\"'s'" in text
    assert "cd '/a b' 2>/dev/null || cd" in text
    assert '[ -x "$p" ] || p=python3' in text
    assert text.splitlines()[-1].startswith('{ "$p" -P -m m --IPEngine.info_fd=0 ')
    assert "rm -f /tmp/s.sock" in text
    assert plan.shell == ("exec", "bash", "-l")


def some_hosts(n: int, at_once: int = 8) -> HostSet:
    names = [SSHServer(f"h{i}") for i in range(n)]
    return HostSet([EngineHost(name, 2) for name in names], VERSION, PROTOCOL, at_once)


def hello(**told: Any) -> str:
    return "hippodrome " + json.dumps({"version": VERSION, "protocol": PROTOCOL} | told)


def log_in(hosts: HostSet, host: HostStart) -> None:
    hosts.on_line(host, "Welcome!")
    hosts.on_line(host, "hippodrome-shell")


def test_a_few_log_in_at_the_same_time_and_the_others_when_these_are_in() -> None:
    hosts = some_hosts(64)
    begun = list(hosts.begin(0.0))
    assert len(begun) == 8
    assert list(hosts.begin(0.0)) == []
    log_in(hosts, begun[0])
    assert len(list(hosts.begin(0.0))) == 1


def test_who_was_dropped_at_the_door_tries_again_ever_more_rarely_and_not_for_ever() -> None:
    hosts = some_hosts(1)
    [host] = hosts.hosts
    now, pauses = 0.0, []
    while not host.is_over:
        assert list(hosts.begin(now)) == [host]
        hosts.on_end(host, why_ended(host.host.server, DROPPED), 255, now)
        pauses.append(hosts.due_in(now) or 0.0)
        now += pauses[-1]
    assert pauses == [0.5, 1, 2, 4, 8, 8, 8, 0.0]
    assert "drops connections" in host.reason


def test_what_cannot_pass_is_told_at_once_with_what_ssh_said() -> None:
    hosts = some_hosts(2)
    bad, good = hosts.begin(0.0)
    hosts.on_end(bad, why_ended(bad.host.server, REFUSED), 255, 0.0)
    assert bad.phase is LaunchPhase.FAILED
    assert bad.reason.endswith("Connection refused")
    log_in(hosts, good)
    assert hosts.on_line(good, hello())
    hosts.on_line(good, "state 1 0 2")
    assert hosts.progress() == (1, 0, 2)
    assert not hosts.is_settled
    hosts.on_line(good, "ready 0 1")
    assert hosts.is_settled
    assert hosts.engines == [0, 1]
    state = hosts.state()
    assert state.parts == {LaunchPhase.FAILED: 1, LaunchPhase.RUNNING: 1}
    assert state.reasons[LaunchPhase.FAILED] == (f"h0: {bad.reason}",)


@pytest.mark.parametrize(
    ("lines", "error", "code", "reason"),
    [
        (["hippodrome-no-python /p"], "", 127, "there is no Python /p there"),
        ([], "/p: No module named hippodrome.apps", 1, "that Python has no hippodrome"),
        ([], "unknown option: -P", 2, "older than 3.11"),
        ([], "module: not found", 1, "ended with exit code 1: module: not found"),
        ([], "Connection to h0 closed by remote host.", 255, "the connection was cut"),
        ([hello(protocol=9)], "", 1, "speaks protocol 9, and 1.0 here protocol 3: install"),
        ([hello(), 'failed "no way"'], "", 1, "no way"),
        ([hello()], "Killed", 137, "the program there ended with exit code 137: Killed"),
    ],
)
def test_a_start_that_fails_after_the_login_says_why(
    lines: list[str], error: str, code: int, reason: str
) -> None:
    hosts = some_hosts(1)
    [host] = hosts.hosts
    for _ in range(9):  # of which a cut one has several
        for begun in hosts.begin(1e9):
            log_in(hosts, begun)
            for line in lines:
                hosts.on_line(begun, line)
            failure = why_ended(host.host.server, error, had_login=True)
            hosts.on_end(begun, failure, code, 0.0)
    assert host.phase is LaunchPhase.FAILED
    assert reason in host.reason


def test_another_version_of_the_same_protocol_is_a_remark() -> None:
    hosts = some_hosts(1)
    [host] = hosts.begin(0.0)
    log_in(hosts, host)
    assert hosts.on_line(host, hello(version="1.1"))
    assert host.reason == "hippodrome 1.1 there, 1.0 here"
    assert not host.is_over


@pytest.mark.parametrize(
    ("code", "reason"),
    [(0, ""), (255, "the ssh connection was cut"), (-9, "the ssh connection was cut")],
)
def test_a_host_that_ends_later_says_whether_it_was_cut_off(code: int, reason: str) -> None:
    hosts = some_hosts(1)
    [host] = hosts.begin(0.0)
    log_in(hosts, host)
    hosts.on_line(host, hello())
    hosts.on_line(host, "ready 0")
    hosts.on_end(host, why_ended(host.host.server, "", had_login=True), code, 5.0)
    assert (host.phase, host.reason) == (LaunchPhase.ENDED, reason)
    assert hosts.is_over


@pytest.mark.parametrize(
    "line",
    ["", "ready", "state 1", "state a b c", "failed {", "hippodrome {", "hippodrome 7", "\x00"],
)
def test_whatever_comes_from_there_ends_nothing_else(line: str) -> None:
    hosts = some_hosts(2)
    host, other = hosts.begin(0.0)
    hosts.on_line(host, line)
    log_in(hosts, host)
    hosts.on_line(host, line)
    hosts.on_line(host, hello())
    hosts.on_line(host, line)
    assert not other.is_over
    hosts.state()
    hosts.progress()
