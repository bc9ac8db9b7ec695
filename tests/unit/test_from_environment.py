"""A connection that an environment variable tells of."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hippodrome.client.link.connecting import find_source
from hippodrome.cluster.blocking import reached_by
from hippodrome.errors import ConnectionFileError
from hippodrome.security.connection_file import ConnectionInfo, read
from hippodrome.security.from_environment import VARIABLE, as_file, connection_told


def content(role: str) -> str:
    return json.dumps(ConnectionInfo(role, ("ipc:///tmp/x",)).to_dict())


def test_what_is_for_the_other_role_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connection_told("client") is None
    monkeypatch.setenv(VARIABLE, content("engine"))
    assert connection_told("client") is None
    told: Any = connection_told("engine")
    assert told["addresses"] == ["ipc:///tmp/x"]


def test_a_path_is_one_and_nonsense_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, " /some/file.json ")
    assert connection_told("client") == "/some/file.json"
    monkeypatch.setenv(VARIABLE, "{")
    with pytest.raises(ConnectionFileError, match=r"\$IPP_CONNECTION_INFO is damaged"):
        connection_told("client")


def test_a_file_in_memory_is_as_good_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_file(json.loads(content("engine")))
    assert read(path).addresses == ("ipc:///tmp/x",)
    os.close(int(path.name))


def test_a_client_goes_by_what_names_less_only_if_nothing_names_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "/some/file.json")
    assert find_source(None).path == Path("/some/file.json")
    assert find_source("other.json").path == Path("other.json")
    for named in ({"profile": "p"}, {"cluster_id": "x"}, {"profile_dir": "/p"}):
        assert find_source(None, **named).path != Path("/some/file.json")  # type: ignore[arg-type]
    monkeypatch.setenv("IPP_PROFILE_DIR", "/p")
    assert find_source(None).path == Path("/p/security/ipcontroller-client.json")


@pytest.mark.parametrize(
    ("address", "hosts", "told"),
    [
        ("auto", {"a": 4, "b": "auto"}, ["--reached-by=a,b"]),
        ("auto", ["a", "me@b:22"], ["--reached-by=a,me@b:22"]),
        ("10.0.0.5,auto", "a, b", ["--reached-by=a,b"]),
        ("auto", None, []),
        ("*", ["a"], []),
        ("", ["a"], []),
    ],
)
def test_auto_is_told_which_hosts_are_meant(address: str, hosts: Any, told: list[str]) -> None:
    assert reached_by(address, hosts) == told
