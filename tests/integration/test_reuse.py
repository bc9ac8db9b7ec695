"""A controller that takes port and keys of the one before, and one that does not."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp

ENGINE = "ipcontroller-engine.json"
CLIENT = "ipcontroller-client.json"


def copies(site: Any, folder: Path) -> tuple[Path, Path]:
    """Copy both connection files away, as to another host."""
    made = []
    for name in (CLIENT, ENGINE):
        content = json.loads((site.security_dir / name).read_text())
        content["addresses"] = [one for one in content["addresses"] if one.startswith("tcp://")]
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))
        made.append(path)
    return made[0], made[1]


def test_files_of_the_controller_before_are_good_for_the_next_one(
    site: Any, tmp_path: Path
) -> None:
    first = site.start("ipcontroller", "--ip=127.0.0.1", "--reuse")
    client_file, engine_copy = copies(site, tmp_path)
    first.stop()
    site.start("ipcontroller", "--reuse")  # it knows where from the one before
    site.start("ipengine", f"--file={engine_copy}")
    with ipp.Client(client_file) as rc:
        assert rc.wait_for_engines(1) is None
        assert rc[:].apply_sync(abs, -1) == [1]


def test_a_socket_has_its_path_again(site: Any, tmp_path: Path) -> None:
    first = site.start("ipcontroller", "--reuse")
    kept = tmp_path / CLIENT
    shutil.copy2(site.client_file, kept)
    first.stop()
    site.start("ipcontroller", "--reuse")
    with ipp.Client(kept) as rc:
        assert rc.ids == []


def test_a_start_without_it_forgets_the_keys(site: Any, tmp_path: Path) -> None:
    first = site.start("ipcontroller", "--ip=127.0.0.1", "--reuse")
    client_file, _ = copies(site, tmp_path)
    port = json.loads(client_file.read_text())["addresses"][0].rpartition(":")[2]
    keys = site.security_dir / "keys.json"
    assert keys.stat().st_mode & 0o777 == 0o600
    first.stop()
    assert keys.exists()
    second = site.start("ipcontroller", "--ip=127.0.0.1", f"--port={port}")
    assert not keys.exists()
    with pytest.raises(ipp.AuthenticationError):
        ipp.Client(client_file)
    second.stop()


def test_a_port_that_is_taken_meanwhile_is_said(site: Any, tmp_path: Path) -> None:
    first = site.start("ipcontroller", "--ip=127.0.0.1", "--reuse")
    client_file, _ = copies(site, tmp_path)
    port = int(json.loads(client_file.read_text())["addresses"][0].rpartition(":")[2])
    first.stop()
    with socket.create_server(("127.0.0.1", port)):
        shown = site.run("ipcontroller", "--reuse")
    assert shown.returncode == 1
    assert f"port {port} is in use on 127.0.0.1: choose another with --port" in shown.stderr


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pairs": 3}', '{"pairs": {}, "port": 99999}'])
def test_a_damaged_file_of_keys_is_said(site: Any, text: str) -> None:
    keys = site.security_dir / "keys.json"
    keys.parent.mkdir(parents=True)
    keys.touch(mode=0o600)
    keys.write_text(text)
    shown = site.run("ipcontroller", "--reuse")
    assert shown.returncode == 1
    assert f"the file of keys {keys} is damaged: remove it" in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_ipcluster_passes_on_what_is_for_its_controller(site: Any) -> None:
    site.run(
        "ipcluster", "start", "-n", "1", "--daemonize", "--ip=127.0.0.1", "--reuse", "--nodb",
        "--scheme=pure", "--hwm=3",
    )  # fmt: skip
    try:
        with ipp.Client() as rc:
            assert rc[:].apply_sync(abs, -1) == [1]
        assert "none are kept" in site.run("ipcluster", "status").stdout
        assert (site.security_dir / "keys.json").exists()
    finally:
        site.run("ipcluster", "stop")
