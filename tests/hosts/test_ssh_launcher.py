"""Engines started by ssh on real hosts: what starts, what fails and why, and that nothing stays."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

import hippodrome as ipp
from hippodrome.errors import LaunchError
from hippodrome.launch.base import LaunchPhase
from hippodrome.protocol.version import PROTOCOL
from support import leaks
from support.hosts import Hosts
from support.processes import Site, program


@pytest.fixture(autouse=True)
def ssh_of_the_lab(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in hosts.ssh_env().items():
        monkeypatch.setenv(name, value)


def sockets_left(hosts: Hosts) -> list[str]:
    return [str(path) for path in Path("/tmp").glob("hippodrome-*.sock")]


def test_hosts_have_the_engines_that_were_asked_for(hosts: Hosts, site: Site) -> None:
    cluster = ipp.Cluster(engines="ssh", hosts={"h1": 2, "root@h2:22": "auto"}, cluster_id="x")
    with cluster as rc:
        found = rc[:].apply_sync(socket.gethostname)
        cores = len(os.sched_getaffinity(0))
        assert sorted(found) == ["h1"] * 2 + ["h2"] * (len(found) - 2)
        assert 1 <= found.count("h2") <= cores
        assert rc[:].apply_sync(os.getcwd) == [os.getcwd()] * len(found)
        state = cluster.engine_set.state()  # type: ignore[union-attr]
        assert state.parts == {LaunchPhase.RUNNING: 2}
        for name in ("h1", "h2"):
            shown = " ".join(" ".join(p.cmdline() + list(p.environ().values()))
                             for p in hosts.processes(name))  # fmt: skip
            told = rc._io.info.to_dict()
            assert told["server_key"]
            assert not any(told[key] in shown for key in ("server_key", "secret_key"))
    hosts.wait_empty()
    assert sockets_left(hosts) == []


def test_a_tunnel_is_the_way_where_there_is_no_other(hosts: Hosts, site: Site) -> None:
    with ipp.Cluster(engines="ssh", hosts={"h1": 1}, tunnel=True) as rc:
        assert all(one.startswith("ipc://") for one in rc._io.info.addresses)
        assert rc[:].apply_sync(socket.gethostname) == ["h1"]
    cluster = ipp.Cluster(engines="ssh", hosts={"h1": 1}, controller_ip="127.0.0.1")
    with cluster as rc:  # which h1 cannot reach
        assert rc[:].apply_sync(socket.gethostname) == ["h1"]
        assert "as there is no other way" in cluster.engine_set.output(1000)  # type: ignore[union-attr]
    hosts.wait_empty()
    assert sockets_left(hosts) == []


def test_what_fails_on_a_host_is_said_and_the_others_go_on(hosts: Hosts, site: Site) -> None:
    told: list[str] = []
    table = {
        "h1": 1,
        "nowhere.invalid": 1,
        "h2:1": 1,
        "h2": {"n": 1, "python": "/no/python"},
        "h3": {"n": 1, "python": "/usr/bin/env"},
    }
    cluster = ipp.Cluster(engines="ssh", hosts=table)
    cluster.tell = told.append
    began = time.monotonic()
    with cluster as rc:
        assert time.monotonic() - began < 30
        assert rc[:].apply_sync(socket.gethostname) == ["h1"]
        text = "\n".join(told)
        assert "nowhere.invalid: its name is unknown here" in text
        assert "h2:1: nothing listens for ssh there" in text
        assert "h2: there is no Python /no/python there" in text
        assert "h3: " in text
        state = cluster.engine_set.state()  # type: ignore[union-attr]
        assert state.parts == {LaunchPhase.RUNNING: 1, LaunchPhase.FAILED: 4}
    hosts.wait_empty()


def test_a_host_key_that_has_changed_and_a_login_that_is_refused_are_told(
    hosts: Hosts, site: Site, tmp_path: Path
) -> None:
    other = (hosts.directory / "keys" / "id.pub").read_text().split()[:2]
    (tmp_path / "known").write_text(f"{hosts.address('h1')} {' '.join(other)}\n")
    strict = ["-o", f"UserKnownHostsFile={tmp_path}/known", "-o", "StrictHostKeyChecking=yes"]
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", tmp_path / "key"], check=True)
    wrong = ["-o", f"IdentityFile={tmp_path}/key", "-F", "none"]
    table = {
        "h1": {"n": 1, "ssh_args": strict},
        f"root@{hosts.address('h2')}": {
            "n": 1,
            "ssh_cmd": ["/usr/bin/ssh"],
            "ssh_args": [
                *wrong,
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ],
        },
    }
    with pytest.raises(LaunchError) as raised:
        ipp.Cluster(engines="ssh", hosts=table).start_cluster_sync()
    assert "h1: its host key is not the one that this user knows" in str(raised.value)
    assert "it does not let this user in" in str(raised.value)
    hosts.wait_empty()


def test_files_go_there_and_come_back_and_a_prologue_comes_first(
    hosts: Hosts, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("sent")
    script = tmp_path / "prologue.out"
    with ipp.Cluster(
        engines="ssh",
        hosts="h1=1",
        to_send=[(str(tmp_path / "a"), str(tmp_path / "b"))],
        to_fetch=[(str(tmp_path / "b"), str(tmp_path / "c"))],
        prologue=[f"cat {tmp_path}/b > {script}", "export FROM=prologue"],
        environment={"GREETING": "it's"},
        remote_profile_dir=str(tmp_path / "profile"),
    ) as rc:
        assert rc[0].apply_sync(os.getenv, "FROM") == "prologue"
        assert rc[0].apply_sync(os.getenv, "GREETING") == "it's"
        assert script.read_text() == "sent"
        leaks.wait_until(
            lambda: (tmp_path / "c").exists() and (tmp_path / "c").read_text() == "sent"
        )
        assert (tmp_path / "profile" / "security").is_dir()
    hosts.wait_empty()


def test_a_signal_reaches_engines_there(hosts: Hosts, site: Site) -> None:
    cluster = ipp.Cluster(engines="ssh", hosts="h1=2")
    with cluster as rc:
        ar = rc[:].apply_async(time.sleep, 60)
        cluster.signal_engines_sync(signal.SIGKILL)
        with pytest.raises(ipp.CompositeError) as raised:
            ar.get(30)
        assert all("killed by SIGKILL" in str(one) for one in raised.value.exceptions)
    hosts.wait_empty()


def test_the_command_line_starts_and_stops_them_and_knows_how_they_are(
    hosts: Hosts, site: Site
) -> None:
    environment = {**site.environment(), **hosts.ssh_env()}

    def ipcluster(*words: str) -> str:
        command = [program("ipcluster"), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    said = ipcluster("start", "--engines=ssh", "--hosts=h1=1,h2=2", "--daemonize")
    assert "3 engines" in said
    with ipp.Client(site.client_file) as rc:
        assert sorted(rc[:].apply_sync(socket.gethostname)) == ["h1", "h2", "h2"]
    assert "3 engines" in ipcluster("status") or "2 hosts" in ipcluster("status")
    ipcluster("stop")
    hosts.wait_empty()


NAMES = {"holder": "ipp-ssh", "supervisor": "ipp-supervisor"}
KEPT = """
import sys, hippodrome as ipp
cluster = ipp.Cluster(engines="ssh", hosts={"h1": 2, "h2": 1})
print("begin", flush=True)
with cluster as rc:
    print("up", flush=True)
    sys.stdin.read()
"""


def victims_of(what: str, owner: int, hosts: Hosts) -> list[psutil.Process]:
    if what == "owner":
        return [psutil.Process(owner)]
    if what in ("ssh", "holder"):
        found = psutil.Process(owner).children(recursive=True)
    else:
        found = [process for name in ("h1", "h2") for process in hosts.processes(name)]
    return [process for process in found if name_of(process) == NAMES.get(what, what)]


def name_of(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return str(process.name())
    return ""


def has_victims(what: str, owner: int, hosts: Hosts) -> bool:
    return bool(victims_of(what, owner, hosts))


@pytest.mark.parametrize("what", ["owner", "holder", "ssh", "sshd", "supervisor"])
def test_nothing_stays_whoever_is_killed(hosts: Hosts, site: Site, what: str) -> None:
    environment = {**site.environment(), **hosts.ssh_env()}
    for n_lines in (1, 2):
        owner = subprocess.Popen(
            [sys.executable, "-c", KEPT], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert owner.stdout is not None
        for _ in range(n_lines):
            owner.stdout.readline()
        if n_lines == 1:
            leaks.wait_until(partial(has_victims, what, owner.pid, hosts))
        for process in victims_of(what, owner.pid, hosts):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        owner.communicate(timeout=60)
        hosts.wait_empty()
        leaks.wait_until(lambda: not site._survivors())
        shutil.rmtree(site.runtime_dir / "hippodrome", ignore_errors=True)


@pytest.mark.parametrize("at_once", [8, 64])
def test_many_logins_at_once_are_more_than_sshd_takes_and_all_get_in(
    hosts: Hosts, site: Site, tmp_path: Path, at_once: int
) -> None:
    """Sixty-four names of one host, whose sshd drops some of more than ten at the door."""
    config = hosts.ssh_config.read_text().split("Host ")[1].partition("\n")[2]
    (tmp_path / "config").write_text(f"Host m*\n{config}")
    hello = json.dumps({"version": ipp.__version__, "protocol": PROTOCOL})
    stand_in = f"echo 'hippodrome {hello}'; read -r line; echo ready 7; cat >/dev/null"
    cluster = ipp.Cluster(
        engines="ssh",
        hosts={f"m{i}": 1 for i in range(64)},
        ssh_args=["-F", str(tmp_path / "config")],
        engine_cmd=["sh", "-c", stand_in],
        at_once=at_once,
    )
    cluster.start_cluster_sync()
    try:
        assert cluster.n_ready == 64
        assert cluster.engine_set.state().parts == {LaunchPhase.RUNNING: 64}  # type: ignore[union-attr]
    finally:
        cluster.stop_cluster_sync()
    hosts.wait_empty()


def test_a_controller_elsewhere_is_as_one_here(hosts: Hosts, site: Site) -> None:
    cluster = ipp.Cluster(n=1, controller="ssh://root@h1", cluster_id="there")
    with cluster as rc:
        assert rc._io.info.host == "h1"
        assert rc._io.info.ssh == "root@h1"
        assert rc[:].apply_sync(socket.gethostname) == [socket.gethostname()]
        assert "ipp-hub" in [name_of(process) for process in hosts.processes("h1")]
    hosts.wait_empty()
    assert not list(site.security_dir.glob("ipcontroller*there*"))


def test_a_controller_elsewhere_that_does_not_start_says_why(hosts: Hosts, site: Site) -> None:
    wrong = ipp.Cluster(n=1, controller="ssh://h1", controller_args=["--port=many"])
    with pytest.raises(LaunchError, match=r"the controller on h1: .*port must be"):
        wrong.start_cluster_sync()
    with pytest.raises(LaunchError, match="its name is unknown here"):
        ipp.Cluster(n=1, controller="ssh://nowhere.invalid").start_cluster_sync()
    with pytest.raises(LaunchError, match="a controller by ssh needs a host"):
        ipp.Cluster(n=1, controller="ssh").start_cluster_sync()
    hosts.wait_empty()


def test_the_command_line_starts_a_controller_elsewhere_as_a_file_says(
    hosts: Hosts, site: Site
) -> None:
    environment = {**site.environment(), **hosts.ssh_env()}
    profile = site.ipython_dir / "profile_default"
    profile.mkdir(parents=True)
    file = profile / "ipcluster_config.py"
    file.write_text("c = get_config()\nc.SSHControllerLauncher.location = 'root@h1'\n")
    start = [program("ipcluster"), "start", "-n=1", "--controller=SSH", "--daemonize"]
    subprocess.run(start, env=environment, capture_output=True, text=True, check=True)
    with ipp.Client(site.client_file) as rc:
        assert rc._io.info.host == "h1"
    stop = [program("ipcluster"), "stop"]
    subprocess.run(stop, env=environment, capture_output=True, text=True, check=True)
    hosts.wait_empty()


def test_a_host_that_is_cut_off_loses_its_engines_and_no_other_does(
    hosts: Hosts, site: Site
) -> None:
    cluster = ipp.Cluster(engines="ssh", hosts={"h1": 1, "h2": 1})
    with cluster as rc:
        places = rc[:].apply(socket.gethostname).get_dict()
        [on_h1] = [engine for engine, name in places.items() if name == "h1"]
        [there] = [p for p in hosts.processes("h1") if name_of(p) == "sshd"]
        there.kill()
        leaks.wait_until(lambda: on_h1 not in rc.ids)
        leaks.wait_until(lambda: not hosts.processes("h1"))
        assert rc[:].apply_sync(socket.gethostname) == ["h2"]
        state = cluster.engine_set.state()  # type: ignore[union-attr]
        assert state.parts == {LaunchPhase.ENDED: 1, LaunchPhase.RUNNING: 1}
        assert state.reasons[LaunchPhase.ENDED] == ("h1: the ssh connection was cut",)
        cluster.restart_engines_sync()
        rc.wait_for_engines(2, timeout=30)
        assert sorted(rc[:].apply_sync(socket.gethostname)) == ["h1", "h2"]
    hosts.wait_empty()
