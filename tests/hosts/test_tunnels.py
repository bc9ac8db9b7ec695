"""Clients and engines that reach their controller by the system's ssh, over real sshd."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import hippodrome as ipp
from hippodrome.errors import MissingFileError
from hippodrome.ssh.reasons import SSHError
from support import leaks
from support.hosts import Hosts
from support.processes import Process, Site


@pytest.fixture(scope="module", autouse=True)
def place_of_sockets(module_site: Site) -> None:
    (module_site.runtime_dir / "hippodrome").mkdir(mode=0o700)


@pytest.fixture(autouse=True)
def ssh_of_the_lab(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in hosts.ssh_env().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def client_file(hosts: Hosts, module_site: Site) -> Iterator[Callable[..., Path]]:
    """Start a controller on h1, with options, and an engine; return the file for clients."""
    started: list[Process] = []

    def start(*options: str) -> Path:
        started.append(hosts.start("h1", "ipcontroller", *options))
        started.append(hosts.start("h1", "ipengine"))
        return module_site.client_file

    yield start
    for process in reversed(started):
        process.stop()


def sessions(hosts: Hosts, name: str) -> list[psutil.Process]:
    """The processes of sshd there that serve somebody."""
    return [p for p in hosts.processes(name) if p.name() == "sshd"]


def ssh_here() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if process.name() == "ssh" and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def kill(processes: list[psutil.Process]) -> None:
    """Kill those of them that are still there: when one ends, others do so by themselves."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.parametrize("options", [(), ("--ip=127.0.0.1",)], ids=["socket", "port"])
def test_a_client_reaches_what_only_the_host_itself_does(
    hosts: Hosts, client_file: Callable[..., Path], options: tuple[str, ...]
) -> None:
    with ipp.Client(client_file(*options), sshserver="h1") as rc:
        assert len(ssh_here()) == 1
        assert rc[0].apply_sync(os.uname)[1] == "h1"
    assert ssh_here() == []
    assert leaks.settle(lambda: sessions(hosts, "h1")) == []


def test_a_client_goes_by_another_host(hosts: Hosts, client_file: Callable[..., Path]) -> None:
    path = client_file(f"--ip={hosts.address('h1')}")
    with ipp.Client(path, sshserver="root@h2") as rc:
        assert rc[0].apply_sync(os.uname)[1] == "h1"
        assert sessions(hosts, "h2")


def test_a_host_that_does_not_lead_there_is_said_so(client_file: Callable[..., Path]) -> None:
    with pytest.raises(SSHError, match="listens on its own host h1 only"):
        ipp.Client(client_file(), sshserver="h2")


@pytest.mark.parametrize("where", ["/default", "", "//{file}"])
def test_a_url_is_enough(client_file: Callable[..., Path], where: str) -> None:
    path = client_file()
    with ipp.Client(f"ssh://root@h1{where.format(file=path)}") as rc:
        assert rc[0].apply_sync(os.uname)[1] == "h1"


def test_a_cluster_that_is_not_there_is_named(client_file: Callable[..., Path]) -> None:
    client_file()
    with pytest.raises(MissingFileError, match=r"h1:.*ipcontroller-x-client\.json"):
        ipp.Client("ssh://h1/default?cluster_id=x", timeout=1)
    with pytest.raises(SSHError, match="name is unknown"):
        ipp.Client("ssh://nowhere.invalid/default")


def test_a_cut_connection_loses_no_task(
    hosts: Hosts, client_file: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    def slowly(x: int) -> int:
        time.sleep(0.05)
        return x

    with ipp.Client(client_file("--ip=127.0.0.1"), sshserver="h1") as rc:
        view = rc.load_balanced_view()
        ar = view.map_async(slowly, range(60), chunksize=1)
        for done in (5, 25, 45):
            leaks.wait_until(lambda done=done: ar.progress >= done)  # type: ignore[misc]
            kill(ssh_here() if done == 25 else sessions(hosts, "h1"))
        assert ar.get(60) == list(range(60))
    said = [r.getMessage() for r in caplog.records if "made again" in r.getMessage()]
    assert len(said) == 1


OWNER = """
import sys, hippodrome as ipp
rc = ipp.Client(sys.argv[1], sshserver="h1")
print("there", flush=True)
sys.stdin.read()
"""


def test_a_tunnel_ends_with_a_client_that_is_killed(
    hosts: Hosts, module_site: Site, client_file: Callable[..., Path]
) -> None:
    path = client_file()
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"there\n"
    below = psutil.Process(owner.pid).children(recursive=True)
    [ssh] = [p for p in below if p.name() == "ssh"]
    owner.kill()
    owner.communicate()
    assert leaks.settle(lambda: [ssh] if ssh.is_running() else []) == []
    assert leaks.settle(lambda: sessions(hosts, "h1")) == []
    for socket in Path(module_site.runtime_dir, "hippodrome").glob("*/tunnel0"):
        shutil.rmtree(socket.parent)  # as the next tunnel, or controller, would do a little later


def test_engines_go_by_ssh_and_outlive_a_cut(
    hosts: Hosts, client_file: Callable[..., Path]
) -> None:
    path = client_file()
    engine = hosts.start("h2", "ipengine", "-n=2", "--ssh=h1")
    with ipp.Client(path, sshserver="h1") as rc:
        rc.wait_for_engines(3, timeout=20)
        assert rc[1:].apply_sync(lambda: os.uname()[1]) == ["h2", "h2"]
        ar = rc[1:].apply_async(time.sleep, 1)
        kill(sessions(hosts, "h1"))
        ar.get(60)
        assert rc[1:].apply_sync(lambda: os.uname()[1]) == ["h2", "h2"]
    engine.stop()
    assert leaks.settle(lambda: sessions(hosts, "h1")) == []


def test_a_controller_says_in_its_files_where_to_tunnel(
    hosts: Hosts, client_file: Callable[..., Path]
) -> None:
    path = client_file("--ssh=root@h1", "--enginessh=h1")
    assert json.loads(path.read_text())["ssh"] == "root@h1"
    engine = hosts.start("h2", "ipengine")
    with ipp.Client(path) as rc:
        rc.wait_for_engines(2, timeout=20)
        assert len(ssh_here()) == 1
        assert rc[:].apply_sync(lambda: os.uname()[1]) == ["h1", "h2"]
    engine.stop()
    done = hosts.run("h1", [sys.executable, "-c", "import hippodrome as i; print(i.Client().ids)"])
    assert done.stdout == "[0]\n"  # on the controller's own host there is nothing to tunnel to


PASSWORD = "open 'sesame$"


@pytest.fixture
def password_host(hosts: Hosts, tmp_path: Path) -> Iterator[str]:
    """A sshd on h1 that lets in who knows the password."""
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],
        input=PASSWORD,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (tmp_path / "shadow").write_text(
        f"root:{hashed}:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n"
    )
    (tmp_path / "config").write_text(
        f"Port 2222\nHostKey {hosts.directory}/keys/host\nPidFile {tmp_path}/pid\nUsePAM no\n"
        "PubkeyAuthentication no\nPasswordAuthentication yes\nPermitRootLogin yes\n"
        "KbdInteractiveAuthentication no\nSetEnv "
        + " ".join(f"{k}={v}" for k, v in hosts.variables.items())
    )
    hosts.run("h1", ["mount", "--bind", tmp_path / "shadow", "/etc/shadow"], check=True)
    hosts.run("h1", ["/usr/sbin/sshd", "-f", tmp_path / "config"], check=True)
    yield "h1:2222"
    leaks.wait_until(lambda: (tmp_path / "pid").exists())
    hosts.run("h1", ["kill", (tmp_path / "pid").read_text().strip()], check=True)
    hosts.run("h1", ["umount", "/etc/shadow"], check=True)


def test_a_password_lets_in_and_nobody_sees_it(
    hosts: Hosts,
    client_file: Callable[..., Path],
    password_host: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = client_file()
    seen: list[str] = []
    real = subprocess.Popen.__init__

    def note(
        self: subprocess.Popen[bytes], command: list[str], *args: object, **options: object
    ) -> None:
        seen.extend([*command, str(options.get("env"))])
        real(self, command, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess.Popen, "__init__", note)
    with ipp.Client(path, sshserver=password_host, password=PASSWORD) as rc:
        assert rc[0].apply_sync(os.uname)[1] == "h1"
        kill(ssh_here())
        assert rc[0].apply_sync(os.uname)[1] == "h1"
    assert seen
    assert not any("sesame" in text for text in seen)
    with pytest.raises(SSHError, match="does not let this user in") as raised:
        ipp.Client(path, sshserver=password_host, password="wrong sesame")
    assert "sesame" not in str(raised.value)
