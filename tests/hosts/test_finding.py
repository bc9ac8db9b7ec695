"""Finding the controller from other hosts: which address is taken, what is said if none works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.hosts import Hosts
from support.processes import Process, Site

CLIENT = """
import sys, time
import hippodrome as ipp
began = time.monotonic()
try:
    with ipp.Client(sys.argv[1], **eval(sys.argv[2])) as rc:
        print("ids", rc.ids, rc._io.info.addresses[0])
except ipp.ClusterError as error:
    print(f"{time.monotonic() - began:.1f} {type(error).__name__} {error}")
"""
SERVE = (
    "import socket, sys; s = socket.create_server((sys.argv[1], int(sys.argv[2])));"
    "print('up', flush=True); exec(sys.argv[3])"
)
SSH = "while True: a, _ = s.accept(); a.sendall(b'SSH-2.0-OpenSSH_9.2\\r\\n')"
PORT = 7


class Lab:
    """Three hosts, and a controller on the first."""

    def __init__(self, hosts: Hosts, site: Site) -> None:
        self.hosts = hosts
        self.site = site
        self._started: list[Process] = []

    def controller(self, *options: str) -> Process:
        process = self.hosts.start("h1", "ipcontroller", f"--port={self.port}", *options)
        self._started.append(process)
        return process

    @property
    def port(self) -> int:
        return self.hosts.port(PORT)

    def file(self, *addresses: str, name: str = "client", **changes: Any) -> Path:
        """Copy the file of a role, with these addresses if there are any."""
        source = self.site.security_dir / f"ipcontroller-{name}.json"
        content = json.loads(source.read_text()) | changes
        if addresses:
            content["addresses"] = list(addresses)
        path = self.site.security_dir / f"copy-{name}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))
        return path

    def client(self, path: Path | None = None, on: str = "h2", **options: Any) -> tuple[str, float]:
        """Return what a client on a host found, and after how long, if that was an error."""
        argv = [sys.executable, "-c", CLIENT, str(path or self.site.client_file), repr(options)]
        done = self.hosts.run(on, argv)
        assert done.returncode == 0, done.stderr
        said = done.stdout.strip()
        number = re.match(r"[\d.]+", said)
        return said, float(number[0]) if number else 0.0

    def stop(self) -> None:
        for process in self._started:
            process.stop()


@pytest.fixture
def lab(hosts: Hosts, module_site: Site) -> Iterator[Lab]:
    lab = Lab(hosts, module_site)
    yield lab
    lab.stop()


@pytest.mark.parametrize("ip", ["*", "auto", "eth0"])
def test_a_controller_that_listens_for_others_is_found(lab: Lab, ip: str) -> None:
    lab.controller(f"--ip={ip}")
    said, _ = lab.client()
    assert said.startswith("ids []")
    assert lab.client(on="h1")[0].startswith("ids [] ipc://")


def test_auto_listens_where_the_hosts_are_reached_that_are_named(lab: Lab) -> None:
    lab.controller("--ip=auto", "--reached-by=me@h2:22,h3")
    info = json.loads(lab.site.client_file.read_text())
    assert info["addresses"][1:] == [f"tcp://{lab.hosts.address('h1')}:{lab.port}"]
    assert lab.client()[0].startswith("ids []")


def test_of_two_addresses_one_is_wrong(lab: Lab) -> None:
    """Refused, lost, unknown, without a way: whatever is the matter, the other one is found."""
    lab.controller("--ip=*")
    good = f"tcp://{lab.hosts.address('h1')}:{lab.port}"
    for wrong in (
        f"tcp://{lab.hosts.address('h3')}:{lab.port}",
        "tcp://nobody.invalid:7",
        f"tcp://192.0.2.77:{lab.port}",
        "tcp://[fd00:dead::1]:7",
    ):
        said, _ = lab.client(lab.file(wrong, good))
        assert said == f"ids [] {good}", wrong


def test_a_wrong_address_that_drops_does_not_hold_up_engines(lab: Lab) -> None:
    lab.controller("--ip=*")
    good = f"tcp://{lab.hosts.address('h1')}:{lab.port}"
    lab.hosts.drop("h3", 99)
    wrong = f"tcp://{lab.hosts.address('h3')}:99"
    path = lab.file(wrong, good, name="engine")
    engines = lab.hosts.start("h2", "ipengine", "-n", "2", f"--file={path}")
    assert lab.client()[0].startswith("ids [0, 1]")
    engines.stop()
    lab.hosts.drop("h3", 99, is_so=False)


def test_each_trouble_is_said_of_its_address_within_ten_seconds(lab: Lab) -> None:
    lab.controller("--ip=*")
    address = lab.hosts.address
    lab.hosts.drop("h1", lab.port)
    other = lab.hosts.popen(
        "h3", [sys.executable, "-c", SERVE, address("h3"), "99", SSH], stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    other.stdout.readline()
    dropped, refused = f"tcp://{address('h1')}:{lab.port}", f"tcp://{address('h3')}:9"
    try:
        path = lab.file(
            "ipc:///nowhere/endpoint", dropped, refused, "tcp://nobody.invalid:7",
            "tcp://[fd00:dead::1]:7", f"tcp://{address('h3')}:99",
        )  # fmt: skip
        said, after_s = lab.client(path)
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
        lab.hosts.drop("h1", lab.port, is_so=False)
    assert after_s < 10
    assert said.count("\n") == 0
    for text in (
        "ipc:///nowhere/endpoint: only on the host h1;",
        f"{dropped}: timed out: no answer within 5 s;",
        f"{refused}: Connection refused;",
        "tcp://nobody.invalid:7: name unknown here",
        "tcp://[fd00:dead::1]:7: no route to it (",
        f"tcp://{address('h3')}:99: another program listens there, which says 'SSH-2.0-Open",
    ):
        assert text in said, text


def test_a_host_that_is_gone_has_no_route_or_does_not_answer(lab: Lab) -> None:
    lab.controller("--ip=*")
    gone = lab.hosts.address("h1").rpartition(".")[0] + ".200"
    said, after_s = lab.client(lab.file(f"tcp://{gone}:7"))
    assert after_s < 10
    assert "No route to host" in said or "timed out" in said


def test_a_file_of_a_controller_that_is_gone_is_said_soon(lab: Lab) -> None:
    controller = lab.controller("--ip=*")
    path = lab.file()
    controller.stop()
    said, after_s = lab.client(path)
    assert after_s < 5
    assert f"{path} is stale" in said
    assert f"tcp://h1:{lab.port}: Connection refused" in said


def test_a_file_of_a_controller_before_has_the_wrong_key(lab: Lab) -> None:
    lab.controller("--ip=*").stop()
    lab.controller("--ip=*")
    path = lab.file()
    old = json.loads(path.read_text())["server_key"]
    lab.stop()
    lab.controller("--ip=*")
    assert json.loads(lab.site.client_file.read_text())["server_key"] != old
    said, after_s = lab.client(path)
    assert after_s < 10
    assert "AuthenticationError a controller answers, but" in said
    assert f"tcp://h1:{lab.port}: it ends the handshake" in said


def test_the_file_of_the_other_role_is_the_same_error_over_the_network(lab: Lab) -> None:
    lab.controller("--ip=*")
    said, _ = lab.client(lab.site.security_dir / "ipcontroller-engine.json")
    assert "the key of role 'engine' does not make a client: use the connection file for" in said


def test_a_controller_is_found_by_ipv6(lab: Lab) -> None:
    for number, name in enumerate(("h1", "h2"), 1):
        lab.hosts.run(name, ["ip", "addr", "add", f"fd00:77::{number}/64", "dev", "eth0", "nodad"])
    lab.controller("--ip=*")
    published = json.loads(lab.site.client_file.read_text())["addresses"]
    address = f"tcp://[fd00:77::1]:{lab.port}"
    assert address in published
    assert lab.client(lab.file(address))[0] == f"ids [] {address}"
    for number, name in enumerate(("h1", "h2"), 1):
        lab.hosts.run(name, ["ip", "addr", "del", f"fd00:77::{number}/64", "dev", "eth0"])


def test_a_location_with_a_port_of_its_own_is_tried_first(lab: Lab) -> None:
    lab.controller("--ip=*", "--location=gate.example.invalid:70,h1")
    published = json.loads(lab.site.client_file.read_text())["addresses"]
    assert published[1:3] == ["tcp://gate.example.invalid:70", f"tcp://h1:{lab.port}"]
    assert lab.client()[0].startswith("ids []")
