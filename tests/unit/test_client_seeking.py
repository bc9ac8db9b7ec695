"""What is said to who waits for a cluster, without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hippodrome.client.link import seeking
from hippodrome.client.link.seeking import Seeking, others
from hippodrome.security.connection_file import ConnectionInfo, client_file, write


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(seeking, "SAY_AFTER_S", 0.0)
    return []


def look(path: Path | None, said: list[str]) -> str:
    found = Seeking(path, 10.0, said.append)
    found.look()
    found.look()
    assert len(said) == 1, "it is said once"
    return said[0]


def test_it_is_not_said_before_a_second_has_passed(tmp_path: Path) -> None:
    told: list[str] = []
    Seeking(tmp_path / "f.json", 10.0, told.append).look()
    assert not told


def test_a_short_wait_says_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    found = Seeking(tmp_path / "f.json", 0.5, told.append)
    found._due = 0.0
    found.look()
    assert not told


def test_where_there_is_no_file_its_path_is_told(tmp_path: Path, said: list[str]) -> None:
    path = client_file(tmp_path)
    text = look(path, said)
    assert text.startswith(f"waiting up to 10 s for a cluster: there is no {path} yet")
    assert "cluster_id" not in text


def test_a_file_whose_controller_is_silent_is_told_with_its_process(
    tmp_path: Path, said: list[str]
) -> None:
    path = client_file(tmp_path)
    write(path, ConnectionInfo("client", ("ipc:///nowhere",), pid=77, host="far"))
    text = look(path, said)
    assert f"{path} is there, and its controller (process 77 on far) does not answer yet" in text


def test_a_file_that_cannot_be_read_is_no_trouble_of_who_tells(
    tmp_path: Path, said: list[str]
) -> None:
    path = client_file(tmp_path)
    path.write_text("{")
    path.chmod(0o600)
    assert "is damaged" in look(path, said)


def test_given_addresses_have_no_path(said: list[str]) -> None:
    assert "the controller does not answer yet" in look(None, said)


def test_other_clusters_of_the_profile_are_named(tmp_path: Path, said: list[str]) -> None:
    assert others(client_file(tmp_path / "nowhere")) == ""
    client_file(tmp_path, "mine").touch()
    assert others(client_file(tmp_path, "mine")) == ""
    assert others(client_file(tmp_path)).endswith("a cluster with cluster_id='mine'")
    for i in range(9):
        client_file(tmp_path, f"a{i}").touch()
    text = look(client_file(tmp_path), said)
    assert "clusters with cluster_id='a0', 'a1', 'a2', 'a3', 'a4', 5 more" in text
