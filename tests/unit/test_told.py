"""What ``ipengine`` does on a host where it was started by ssh, before it knows its controller."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from hippodrome.apps.told import hear, sweep_sockets
from hippodrome.errors import ClusterError, ConnectionFileError

CONNECTION = {"role": "engine", "addresses": ["ipc:///a"], "protocol": 3}


@pytest.fixture
def pipes() -> tuple[int, int, int, int]:
    return (*os.pipe(), *os.pipe())


def test_it_says_who_it_is_and_is_told_the_rest(pipes: tuple[int, int, int, int]) -> None:
    info_fd, info, ready, ready_fd = pipes
    told = {"connection": CONNECTION, "n": 3, "tunnel": "/tmp/t.sock"}
    os.write(info, json.dumps(told).encode() + b"\nsignal 2\n")
    heard = hear(info_fd, ready_fd)
    assert (heard.n, heard.tunnel, heard.ready_fd) == (3, "/tmp/t.sock", ready_fd)
    assert heard.info.addresses == ("ipc:///a",)
    word, _, rest = os.read(ready, 4096).decode().partition(" ")
    assert word == "hippodrome"
    assert json.loads(rest)["host"] == socket.gethostname()
    assert os.read(info_fd, 100) == b"signal 2\n", "no byte more than its line"
    for descriptor in pipes:
        os.close(descriptor)


def test_where_there_is_only_the_tunnel_it_is_the_address(pipes: tuple[int, int, int, int]) -> None:
    info_fd, info, _, ready_fd = pipes
    told = {"connection": CONNECTION | {"addresses": []}, "n": 1, "tunnel": "/tmp/t.sock"}
    os.write(info, json.dumps(told).encode() + b"\n")
    assert hear(info_fd, ready_fd).info.addresses == ("ipc:///tmp/t.sock",)
    for descriptor in pipes:
        os.close(descriptor)


@pytest.mark.parametrize(
    "line", [b"", b"{", b"7", b"{}", b'{"connection": 7, "n": 1, "tunnel": ""}', b"[" * 9999]
)
def test_whatever_else_it_is_told_is_a_sentence(
    pipes: tuple[int, int, int, int], line: bytes
) -> None:
    info_fd, info, _, ready_fd = pipes
    os.write(info, line + b"\n")
    with pytest.raises((ClusterError, ConnectionFileError)):
        hear(info_fd, ready_fd)
    for descriptor in pipes:
        os.close(descriptor)


def test_sockets_that_nobody_listens_on_any_more_are_removed(tmp_path: Path) -> None:
    paths = [tmp_path / f"hippodrome-{name}.sock" for name in ("live", "dead")]
    live, dead = (socket.socket(socket.AF_UNIX) for _ in paths)
    for one, path in zip((live, dead), paths, strict=True):
        one.bind(str(path))
        one.listen()
    dead.close()
    (tmp_path / "hippodrome-file.sock").write_text("of somebody else's")
    sweep_sockets(tmp_path)
    live.close()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["hippodrome-file.sock", "hippodrome-live.sock"]
