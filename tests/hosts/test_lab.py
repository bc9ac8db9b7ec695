"""The lab is what other tests take it for: hosts apart from each other, and nothing that stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp
from support import leaks
from support.gridengine import GridEngine
from support.hosts import HEAD, Guest, Hosts
from support.processes import Site
from support.slurm import Slurm

SERVE = """
import socket, sys
server = socket.create_server(("", int(sys.argv[1])))
print("listening", flush=True)
server.accept()
"""
CONNECT = """
import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]))
"""


def said(hosts: Hosts, name: str, *argv: str) -> str:
    done = hosts.run(name, argv)
    assert done.returncode == 0, done.stderr
    return str(done.stdout).strip()


def reaches(hosts: Hosts, from_: str, to: str, port: int, within_s: float = 15.0) -> bool:
    done = hosts.run(from_, [sys.executable, "-c", CONNECT, to, str(port), str(within_s)])
    return bool(done.returncode == 0)


def serve(hosts: Hosts, name: str, port: int) -> Guest:
    """Listen on a host, until somebody has come."""
    server = hosts.popen(name, [sys.executable, "-c", SERVE, str(port)], stdout=subprocess.PIPE)
    with server.stdout as lines:
        assert lines.readline() == b"listening\n"
    return server


def test_hosts_have_names_of_their_own_and_know_the_others(hosts: Hosts) -> None:
    assert [said(hosts, name, "hostname") for name in hosts.names] == ["h1", "h2", "h3"]
    look_up = f"{sys.executable} -c 'import socket; print(socket.gethostbyname(\"h2\"))'"
    for name in (HEAD, "h1"):
        assert said(hosts, name, "sh", "-c", look_up) == hosts.address("h2")


def test_hosts_share_files_and_neither_memory_nor_sockets(
    hosts: Hosts, module_site: Site, tmp_path: Path
) -> None:
    (tmp_path / "shared").write_text("seen")
    assert said(hosts, "h1", "cat", str(tmp_path / "shared")) == "seen"
    for private in (Path("/dev/shm"), module_site.runtime_dir):
        said(hosts, "h1", "touch", str(private / "of-h1"))
        assert said(hosts, "h1", "ls", str(private)) == "of-h1"
        assert said(hosts, "h2", "ls", str(private)) == ""
        assert not (private / "of-h1").exists()
        said(hosts, "h1", "rm", str(private / "of-h1"))


def test_ssh_leads_from_everywhere_to_every_host_with_its_environment(
    hosts: Hosts, module_site: Site
) -> None:
    there = "hostname; echo $IPYTHONDIR"
    expected = f"h3\n{module_site.variables['IPYTHONDIR']}"
    assert said(hosts, "h1", "ssh", "h3", there) == expected
    environment = {**os.environ, **hosts.ssh_env()}
    from_here = subprocess.run(
        ["ssh", "h3", there], env=environment, capture_output=True, text=True, check=True
    )
    assert from_here.stdout.strip() == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_program_on_a_host_ends_as_here(hosts: Hosts, number: signal.Signals) -> None:
    assert hosts.run("h1", ["sh", "-c", "exit 7"]).returncode == 7
    assert hosts.run("h1", ["no-such-program"]).returncode == 127
    program = hosts.popen("h1", ["sleep", "60"])
    leaks.wait_until(lambda: bool(hosts.processes("h1")))
    program.send_signal(number)
    assert program.wait(10) == -number
    hosts.wait_empty()


def test_a_cable_can_be_pulled_and_put_in_again(make_hosts: Callable[..., Hosts]) -> None:
    hosts = make_hosts(2)
    server = serve(hosts, "h2", 4000)
    hosts.link("h2", False)
    assert not reaches(hosts, "h1", "h2", 4000, within_s=1.0)
    hosts.link("h2", True)
    assert reaches(hosts, "h1", "h2", 4000)
    server.wait(10)


def test_a_firewall_lets_a_port_vanish_and_no_other(make_hosts: Callable[..., Hosts]) -> None:
    hosts = make_hosts(2)
    servers = [serve(hosts, "h2", port) for port in (4000, 4001)]
    hosts.drop("h2", 4000)
    assert not reaches(hosts, "h1", "h2", 4000, within_s=1.0)
    assert reaches(hosts, "h1", "h2", 4001)
    hosts.drop("h2", 4000, False)
    assert reaches(hosts, "h1", "h2", 4000)
    for server in servers:
        server.wait(10)


def test_a_host_that_is_removed_is_silent_and_comes_back_by_its_name(
    make_hosts: Callable[..., Hosts],
) -> None:
    hosts = make_hosts(2)
    with socket.create_server((hosts.head, 0)) as server:
        port = server.getsockname()[1]
        stay = f"import socket, sys; s = socket.create_connection(('head', {port})); s.recv(1)"
        client = hosts.popen("h2", [sys.executable, "-c", stay])
        server.settimeout(20)
        there, _ = server.accept()
        with there:
            hosts.remove("h2")
            client.wait(10)
            there.settimeout(0.3)
            with pytest.raises(TimeoutError):
                there.recv(1)
        assert hosts.run("h1", ["hostname"]).stdout == "h1\n"
        hosts.add("h2")
        assert reaches(hosts, "h2", "head", port)
    listener = serve(hosts, "h2", 4000)
    assert reaches(hosts, "h1", "h2", 4000)
    listener.wait(10)


KILLED = """
import sys, time
from support.hosts import Hosts
hosts = Hosts(2, sshd=True).__enter__()
program = hosts.popen("h1", ["sleep", "1000"])
print(hosts.number, program.program_pid, flush=True)
time.sleep(1000)
"""


def test_a_lab_whose_owner_is_killed_leaves_nothing_that_runs() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    owner = subprocess.Popen(
        [sys.executable, "-c", KILLED], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner, owner.stdout:
        number, pid = map(int, owner.stdout.readline().split())
        assert Path(f"/proc/{pid}").exists()
        assert Path(f"/sys/class/net/hlab{number}").exists()
        owner.kill()
    leaks.wait_until(lambda: not Path(f"/proc/{pid}").exists())
    leaks.wait_until(lambda: not Path(f"/sys/class/net/hlab{number}").exists())


def test_engines_on_other_hosts_join_and_work(
    make_hosts: Callable[..., Hosts], site: Site, connect: Callable[..., Any]
) -> None:
    hosts = make_hosts(2)
    site.start("ipcontroller", f"--ip={hosts.head}")
    engines = [hosts.start(name, "ipengine", "-n", "2") for name in hosts.names]
    rc = connect()
    rc.wait_for_engines(4, timeout=20)
    names = rc[:].apply_sync(socket.gethostname)
    assert sorted(names) == ["h1", "h1", "h2", "h2"]
    assert rc.load_balanced_view().map_sync(abs, range(-20, 0)) == [*range(20, 0, -1)]
    engines[0].kill()
    with pytest.raises(ipp.EngineError):
        rc[names.index("h1")].apply_sync(os.getpid)
    engines[1].stop()


def test_slurm_runs_jobs_on_all_hosts(hosts: Hosts, slurm: Slurm) -> None:
    assert sorted(slurm.tell("srun", "-N", "3", "hostname").split()) == ["h1", "h2", "h3"]
    assert sorted(said(hosts, "h1", "srun", "-N", "3", "hostname").split()) == ["h1", "h2", "h3"]
    number = slurm.tell("sbatch", "--parsable", "-o", "/dev/null", "--wrap", "sleep 60").strip()
    assert [job.id for job in slurm.jobs()] == [number]
    slurm.cancel_all()


def test_grid_engine_runs_jobs(hosts: Hosts, gridengine: GridEngine, tmp_path: Path) -> None:
    quiet = ["-o", str(tmp_path), "-e", str(tmp_path), "-b", "y"]
    said(hosts, HEAD, "qsub", *quiet, "-sync", "y", "-t", "1-3", "touch", f"{tmp_path}/$TASK_ID")
    (number,) = said(hosts, "h2", "qsub", "-terse", *quiet, "sleep", "60").split()
    assert [job.id for job in gridengine.jobs()] == [number]
    gridengine.cancel_all()


def test_a_program_on_a_host_that_signals_its_group_reaches_nobody_here(hosts: Hosts) -> None:
    code = "import os, signal; os.killpg(os.getpgid(0), signal.SIGINT); import time; time.sleep(9)"
    assert hosts.run("h1", [sys.executable, "-c", code]).returncode == -signal.SIGINT
