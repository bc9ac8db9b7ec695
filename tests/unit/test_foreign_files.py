"""Files of ipyparallel's clusters are recognised, and left alone."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hippodrome
from hippodrome.apps import exitcodes, ipcluster
from hippodrome.apps.controller_options import refuse_second
from hippodrome.cluster.cluster import Cluster
from hippodrome.errors import ClusterRunningError, ForeignFileError
from hippodrome.security.connection_file import read
from hippodrome.security.foreign import in_the_way, is_foreign, read_foreign


@pytest.fixture
def security(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    folder = tmp_path / "profile_default" / "security"
    folder.mkdir(parents=True, mode=0o700)
    return folder


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which somebody listens, as a controller does."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connection(port: Any, **more: Any) -> dict[str, Any]:
    """What version 9.2 writes for clients and engines."""
    return {
        "ssh": "",
        "interface": "tcp://127.0.0.1",
        "registration": port,
        "control": 1,
        "key": "s3cr3t",
        "location": "host",
        "pack": "json",
        "signature_scheme": "hmac-sha256",
        **more,
    }


def cluster(pid: int, cluster_id: str = "") -> dict[str, Any]:
    """What version 9.2 writes for a cluster."""
    return {
        "cluster": {"cluster_id": cluster_id, "class": "ipyparallel.cluster.cluster.Cluster"},
        "controller": {"class": "local", "state": {"pid": pid, "state": "running"}},
        "engines": {"class": "local", "sets": {}},
    }


def write(security: Path, port: int, pid: int = 0, infix: str = "") -> list[Path]:
    """Write the three files of a cluster."""
    contents = {
        security / f"cluster-{infix}.json": cluster(pid, infix),
        **{
            security / f"ipcontroller{infix and '-' + infix}-{role}.json": connection(port)
            for role in ("client", "engine")
        },
    }
    for path, content in contents.items():
        path.touch(mode=0o644 if path.name.startswith("cluster") else 0o600)
        path.write_text(json.dumps(content))
    return list(contents)


def test_what_is_of_ipyparallel_is_told_from_all_else(security: Path, port: int) -> None:
    for path in write(security, port):
        assert read_foreign(path) is not None
    for other in ({}, [], 3, None, {"cluster": 3}, {"version": 1, "cluster": {"class": "x"}}):
        assert not is_foreign(other)
    os.mkfifo(security / "cluster-pipe.json")
    (security / "cluster-deep.json").write_text("[" * 60_000)
    for name in ("pipe", "deep", "missing"):
        assert read_foreign(security / f"cluster-{name}.json") is None


def test_a_client_says_whose_file_it_found(security: Path, port: int) -> None:
    path = write(security, port)[1]
    with pytest.raises(ForeignFileError, match="is of an ipyparallel cluster") as caught:
        hippodrome.Client(timeout=5)
    assert str(path) in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    with pytest.raises(ForeignFileError):
        read(path)
    with pytest.raises(ForeignFileError, match="cluster-"):
        Cluster.from_file(cluster_id="")


@pytest.mark.parametrize("words", [["list"], ["clean"], ["clean", "--force"], ["clean", "--all"],
                                   ["stop"], ["stop", "--all"], ["status"], ["logs"],
                                   ["engines"], ["start"]])  # fmt: skip
def test_no_command_touches_the_files_of_a_running_one(
    security: Path, port: int, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write(security, port)
    before = [path.read_bytes() for path in paths]
    code = ipcluster.main(words)
    said = capsys.readouterr()
    assert [path.read_bytes() for path in paths] == before
    assert sorted(paths) == sorted(security.iterdir())
    if words != ["stop", "--all"]:  # which stops all that are ours, and those are none
        assert "ipyparallel" in said.err or "foreign" in said.out
    assert "damaged" not in said.err + said.out
    assert "s3cr3t" not in said.err + said.out
    if words == ["start"]:
        assert code == exitcodes.ALREADY_STARTED


@pytest.mark.parametrize("infix", ["", "a"])
def test_a_controller_replaces_only_files_behind_which_nothing_runs(
    security: Path, port: int, free_port: int, infix: str
) -> None:
    paths = write(security, free_port, infix=infix)
    assert in_the_way(security, infix) is None
    refuse_second(security, infix)
    paths[1].write_text(json.dumps(connection(port)))
    assert in_the_way(security, infix) == paths[1]
    with pytest.raises(exitcodes.AlreadyStarted, match="another --profile or --cluster-id"):
        refuse_second(security, infix)
    refuse_second(security, "other")
    with pytest.raises(ClusterRunningError, match="of an ipyparallel cluster"):
        Cluster(n=1, cluster_id=infix).start_cluster_sync()


@pytest.mark.parametrize(
    "odd", [{"registration": "x"}, {"registration": None}, {"registration": 1 << 70},
            {"interface": "tcp://*"}, {"interface": "ipc:///no/such"}, {"interface": 3},
            {"interface": "tcp://0.0.0.0", "location": "no.such.host.invalid"}],
)  # fmt: skip
def test_odd_files_of_ipyparallel_hold_up_nobody(
    security: Path, free_port: int, odd: dict[str, Any]
) -> None:
    for path in write(security, free_port, pid=1 << 70):
        if path.name.startswith("ipcontroller"):
            path.write_text(json.dumps(connection(free_port, **odd)))
    assert in_the_way(security, "") is None
