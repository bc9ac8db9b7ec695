"""Which cluster a cell has started before, with shells that are made up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hippodrome.cluster import cells
from hippodrome.cluster.cells import note_start, running_cell


def shell(run: int, text: str, cell_id: object = None) -> Any:
    parent = {"metadata": {"cellId": cell_id}}
    return SimpleNamespace(
        execution_count=run, user_ns={"In": ["", text]}, parent_header=parent if cell_id else {}
    )


class FakeCluster:
    def __init__(self, name: str) -> None:
        self.cluster_id, self.cluster_file, self.is_running = name, Path(f"/{name}.json"), True


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(cells, "_started", [])
    return []


def start(name: str, said: list[str], monkeypatch: pytest.MonkeyPatch, shell: Any) -> Any:
    cluster: Any = FakeCluster(name)
    monkeypatch.setattr(cells, "running_shell", lambda: shell)
    note_start(cluster, said.append)
    return cluster


def test_a_cell_that_runs_again_tells_of_the_cluster_it_started(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start("one", said, monkeypatch, shell(1, "Cluster()"))
    assert not said
    second = start("two", said, monkeypatch, shell(2, "Cluster()"))
    assert len(said) == 1
    assert "'one'" in said[0]
    assert "Cluster.from_file('/one.json').stop_cluster_sync()" in said[0]
    first.is_running = second.is_running = False
    start("three", said, monkeypatch, shell(3, "Cluster()"))
    assert len(said) == 1, "what was stopped is not told of"
    assert len(cells._started) == 1


def test_who_has_two_clusters_on_purpose_is_told_nothing(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [
        start("one", said, monkeypatch, shell(1, "a = Cluster(); b = Cluster()")),
        start("two", said, monkeypatch, shell(1, "a = Cluster(); b = Cluster()")),
        start("three", said, monkeypatch, shell(2, "c = Cluster()")),
        start("four", said, monkeypatch, None),
        start("five", said, monkeypatch, None),
    ]
    assert not said
    del kept


def test_an_edited_cell_is_the_same_where_the_notebook_says_so(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start("one", said, monkeypatch, shell(1, "Cluster(n=2)", "c1"))
    second = start("two", said, monkeypatch, shell(2, "Cluster(n=4)", "c1"))
    assert len(said) == 1
    third = start("three", said, monkeypatch, shell(3, "Cluster(n=4)", "c2"))
    assert len(said) == 1
    del first, second, third


@pytest.mark.parametrize(
    "odd",
    [
        None,
        SimpleNamespace(),
        SimpleNamespace(execution_count="1", user_ns={"In": ["a"]}),
        SimpleNamespace(execution_count=1, user_ns={"In": []}),
        SimpleNamespace(execution_count=1, user_ns={"In": [7]}, parent_header={"metadata": 3}),
        SimpleNamespace(execution_count=1, user_ns={"In": ["  "]}, parent_header=None),
    ],
)
def test_a_shell_that_cannot_tell_is_no_cell(odd: Any) -> None:
    assert running_cell(odd) is None
