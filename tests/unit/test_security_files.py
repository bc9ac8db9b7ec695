"""Connection files: private from their first byte; anything wrong is one clear sentence."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import stat
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from hippodrome.errors import ConnectionFileError
from hippodrome.protocol.messages import PROTOCOL
from hippodrome.security import connection_file as files
from hippodrome.security.connection_file import ConnectionInfo
from hippodrome.security.keys import KeyPair, Secret, generate, is_key


@pytest.fixture
def keys() -> KeyPair:
    return generate()


@pytest.fixture
def info(keys: KeyPair) -> ConnectionInfo:
    return ConnectionInfo(
        role="client",
        addresses=("ipc:///run/user/1/h/endpoint", "tcp://10.0.0.5:5555"),
        server_key=generate().public,
        public_key=keys.public,
        secret_key=keys.secret,
        host="here",
        pid=17,
        created=1.5,
        cluster_id="c",
        version="1",
    )


@pytest.fixture
def path(tmp_path: Path, info: ConnectionInfo) -> Path:
    path = files.client_file(tmp_path, "c")
    files.write(path, info)
    return path


def edit(path: Path, **changes: Any) -> None:
    """Change what a file says; None removes an entry."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def test_names_carry_the_cluster_id(tmp_path: Path) -> None:
    assert files.client_file(tmp_path).name == "ipcontroller-client.json"
    assert files.engine_file(tmp_path).name == "ipcontroller-engine.json"
    assert files.engine_file(tmp_path, "x").name == "ipcontroller-x-engine.json"
    with pytest.raises(ConnectionFileError, match="slash"):
        files.client_file(tmp_path, "../x")


def test_what_was_written_is_read(path: Path, info: ConnectionInfo) -> None:
    assert files.read(path) == info
    assert files.read(str(path)).path == path


def test_a_file_is_private_from_its_first_byte(
    tmp_path: Path, info: ConnectionInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, int, int]] = []
    real_open = os.open

    def watching_open(name: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
        opened.append((os.fspath(name), flags, mode))
        return real_open(name, flags, mode, **options)

    monkeypatch.setattr(os, "open", watching_open)
    old_umask = os.umask(0)
    try:
        files.write(files.client_file(tmp_path), info)
    finally:
        os.umask(old_umask)
    [(name, flags, mode)] = opened
    assert flags & os.O_EXCL
    assert flags & os.O_CREAT
    assert mode == 0o600
    assert Path(name).parent == tmp_path
    assert stat.S_IMODE(files.client_file(tmp_path).stat().st_mode) == 0o600


def test_an_open_file_in_the_way_is_replaced_by_a_private_one(
    tmp_path: Path, info: ConnectionInfo
) -> None:
    path = files.client_file(tmp_path)
    path.write_text("old")
    path.chmod(0o666)
    files.write(path, info)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_nothing(
    tmp_path: Path, info: ConnectionInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ConnectionFileError, match="No space left"):
        files.write(files.client_file(tmp_path), info)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFileError, match=r"no connection file .*start ipcontroller"):
        files.read(tmp_path / "x.json")
    assert issubclass(ConnectionFileError, OSError)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
def test_a_file_open_to_others_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(ConnectionFileError, match="chmod 600"):
        files.read(path)


def test_a_file_of_somebody_else_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConnectionFileError, match="belongs to another user"):
        files.read(path)


def test_a_directory_or_a_fifo_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(ConnectionFileError, match=r"no regular file|Is a directory"):
            files.read(path)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"not json", b"[]", b"null", b"\xff\xfe", b"7", b"x" * (1 << 17), b"[" * 60_000],
)
def test_garbage_is_damage(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(ConnectionFileError, match="damaged"):
        files.read(path)


def test_every_truncation_is_damage(path: Path) -> None:
    data = path.read_bytes()
    for length in range(len(data) - 2):
        path.write_bytes(data[:length])
        with pytest.raises(ConnectionFileError, match="damaged"):
            files.read(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"role": None},
        {"role": "root"},
        {"addresses": None},
        {"addresses": []},
        {"addresses": "tcp://x:1"},
        {"addresses": [1]},
        {"addresses": ["http://x"]},
        {"server_key": "short"},
        {"server_key": ""},
        {"secret_key": None},
        {"public_key": 7},
        {"pid": "7"},
        {"pid": -7},
        {"host": "\ud800"},
        {"addresses": ["tcp://a\0b:7"]},
        {"pid": True},
        {"pid": 10**400},
        {"protocol": None},
    ],
)
def test_a_wrong_part_is_damage(path: Path, changes: dict[str, Any]) -> None:
    edit(path, **changes)
    with pytest.raises(ConnectionFileError, match="damaged"):
        files.read(path)


def test_another_protocol_names_both_versions(path: Path) -> None:
    edit(path, protocol=PROTOCOL + 1, version="9.9")
    with pytest.raises(ConnectionFileError, match=rf"9\.9.*protocol {PROTOCOL + 1}.*{PROTOCOL}"):
        files.read(path)


def test_a_later_field_is_passed_over(path: Path, info: ConnectionInfo) -> None:
    edit(path, something_new=1)
    assert files.read(path) == info


def test_keys_are_needed_for_tcp_only(path: Path) -> None:
    edit(path, addresses=["ipc:///x"], server_key="", public_key="", secret_key="")
    assert not files.read(path).secret_key


def test_no_error_shows_the_secret(path: Path, keys: KeyPair) -> None:
    edit(path, role="root")
    with pytest.raises(ConnectionFileError) as caught:
        files.read(path)
    assert keys.secret.reveal() not in str(caught.getrepr(style="long", showlocals=True))


def test_a_file_that_appears_is_read(tmp_path: Path, info: ConnectionInfo) -> None:
    path = tmp_path / "late.json"
    writer = threading.Timer(0.05, files.write, (path, info))
    writer.start()
    assert files.wait_for_file(path, time.monotonic() + 10)
    assert files.read(path) == info
    writer.join()


def test_a_file_that_never_appears_is_waited_for_until_then(tmp_path: Path) -> None:
    path = tmp_path / "never.json"
    assert not files.wait_for_file(path, time.monotonic() + 0.05)
    with pytest.raises(ConnectionFileError, match="no connection file"):
        files.read(path)


def test_only_its_own_process_removes_a_file(path: Path) -> None:
    files.remove(path, pid=18)
    assert path.exists()
    files.remove(path, pid=17)
    assert not path.exists()


def test_a_secret_is_shown_by_nothing(
    info: ConnectionInfo, keys: KeyPair, caplog: pytest.LogCaptureFixture
) -> None:
    secret = keys.secret
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").debug("%s %r %s", secret, info, asdict(keys))
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>60}", repr(info), str(keys)]
    assert not any(secret.reveal() in text for text in [*shown, caplog.text])


def test_secrets_compare_and_copy() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))
    assert copy.deepcopy(Secret("a")).reveal() == "a"
    assert pickle.loads(pickle.dumps(Secret("a"))).reveal() == "a"
    assert Secret("a")
    assert not Secret("")


def test_keys_are_keys(keys: KeyPair, info: ConnectionInfo) -> None:
    assert is_key(keys.public)
    assert is_key(keys.secret.reveal())
    assert not is_key(keys.public[:-1])
    assert not is_key(keys.public[:-1] + '"')
    assert replace(info, secret_key=Secret("")) != info
