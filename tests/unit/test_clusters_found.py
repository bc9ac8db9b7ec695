"""What is found of clusters, without any that run, and how programs say it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from hippodrome import paths
from hippodrome.apps import words
from hippodrome.cluster import holder
from hippodrome.cluster.asjson import as_json
from hippodrome.cluster.ending import CannotStop, stop
from hippodrome.cluster.found import ClusterCondition, Found, find_cluster, find_clusters
from hippodrome.security.connection_file import ConnectionInfo, client_file, engine_file, write

NOBODY = "ipc:///nowhere/endpoint"


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    return paths.profile_dir(None, tmp_path / "profile_p")


def connection(profile: Path, cluster_id: str = "", **options: object) -> ConnectionInfo:
    """Write both connection files of a controller."""
    host = socket.gethostname()
    for role, path in (("client", client_file), ("engine", engine_file)):
        told = {"addresses": (NOBODY,), "host": host, "pid": 1 << 30, "created": 100.0} | options
        info = ConnectionInfo(role, cluster_id=cluster_id, **told)  # type: ignore[arg-type]
        write(path(profile / "security", cluster_id), info)
    return info


def only(profile: Path) -> Found:
    [found] = find_clusters([profile])
    return found


def put(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_nothing_is_found_where_nothing_is(profile: Path, tmp_path: Path) -> None:
    assert find_clusters([profile, tmp_path / "profile_none"]) == []
    assert find_cluster(profile, "") is None


@pytest.mark.parametrize("name", ["", "a", "a b", "x-client", "ü", "{", "-", "a'b", "*"])
def test_a_controller_of_any_id_that_is_gone_is_dead(profile: Path, name: str) -> None:
    connection(profile, name)
    found = only(profile)
    assert (found.cluster_id, found.condition) == (name, ClusterCondition.DEAD)
    assert found.is_by_hand
    assert find_cluster(profile, name) is not None


def test_one_of_another_host_is_not_called_dead(profile: Path) -> None:
    connection(profile, host="elsewhere")
    found = only(profile)
    assert found.condition is ClusterCondition.ELSEWHERE
    assert "elsewhere" in found.why
    with pytest.raises(CannotStop, match="on elsewhere"):
        stop(found)
    assert len(list((profile / "security").iterdir())) == 2


@pytest.mark.parametrize("name", ["cluster-a.json", "ipcontroller-a-client.json"])
def test_a_file_that_cannot_be_read_is_damaged(profile: Path, name: str) -> None:
    put(profile / "security" / name, "{")
    found = only(profile)
    assert (found.cluster_id, found.condition) == ("a", ClusterCondition.DAMAGED)
    assert "is damaged" in found.why
    with pytest.raises(CannotStop, match="is damaged"):
        stop(found)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("cluster-a.json", {"cluster": {"cluster_id": "a", "class": "x"}, "controller": None}),
        ("ipcontroller-a-client.json", {"interface": "tcp://*", "signature_scheme": "h"}),
    ],
)
def test_a_file_of_ipyparallel_is_called_so_and_left_alone(
    profile: Path, name: str, state: dict[str, object]
) -> None:
    path = put(profile / "security" / name, json.dumps(state))
    found = only(profile)
    assert found.condition is ClusterCondition.FOREIGN
    with pytest.raises(CannotStop, match="left alone"):
        stop(found)
    assert path.exists()


def test_what_a_dead_controller_has_left_is_removed_by_a_stop(profile: Path) -> None:
    connection(profile, "a b")
    assert not stop(only(profile))
    assert find_clusters([profile]) == []


def test_a_number_that_another_process_has_proves_nothing(profile: Path) -> None:
    info = connection(profile, pid=os.getpid())
    assert holder.holder(info) is None


def test_whoever_has_the_socket_is_the_one(tmp_path: Path, profile: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        info = connection(profile, pid=os.getpid(), addresses=(f"ipc://{path}",))
        process = holder.holder(info)
        assert process is not None
        assert process.pid == os.getpid()
        assert holder.stopped(info) == []


def test_json_has_the_keys_that_programs_for_ipyparallel_read(profile: Path) -> None:
    connection(profile, "a")
    told = as_json(only(profile), 160.0)
    assert told["cluster"]["cluster_id"] == "a"
    assert told["cluster"]["profile_dir"] == str(profile)
    assert told["controller"]["state"]["state"] == "after"
    assert told["engines"]["sets"] == {}
    assert (told["running"], told["condition"], told["age_s"]) == (False, "dead", 60.0)
    json.dumps(told)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "?"),
        (0.0, "0 seconds"),
        (1.9, "1 second"),
        (59.9, "59 seconds"),
        (60, "1 minute"),
        (7200, "2 hours"),
        (86_400 * 400, "400 days"),
    ],
)
def test_a_span_of_time_is_in_words(seconds: float | None, text: str) -> None:
    assert words.span(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(0, "0 bytes"), (1, "1 byte"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB")]
)
def test_a_size_is_in_words(n_bytes: int, text: str) -> None:
    assert words.size(n_bytes) == text


@pytest.mark.parametrize(
    ("name", "text"), [("", "''"), ("a", "a"), ("a b", "'a b'"), ("a\n", r"'a\n'"), ("ü", "ü")]
)
def test_a_name_that_would_be_misread_is_quoted(name: str, text: str) -> None:
    assert words.shown(name) == text


def test_a_table_is_as_wide_as_it_must_be() -> None:
    assert words.table([["A", "B"], ["long", ""]]) == ["A     B", "long"]


def test_options_can_be_copied_into_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    options = words.options_of
    assert options(tmp_path / "profile_default", "", tmp_path) == ""
    assert options(tmp_path / "profile_a b", "x", tmp_path) == " '--profile=a b' --cluster-id=x"
    assert options(Path("/some where"), "", tmp_path) == " '--profile-dir=/some where'"
    other = tmp_path / "other"
    assert options(other / "profile_a", "", other) == f" --ipython-dir={other} --profile=a"
