"""Direct and load-balanced work on the same engines: tasks go where nobody is waited for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp
from support.tasks import let_go

N_ENGINES = 3
SCHEMES = {
    "default": [],
    "lru": ["--scheme=lru", "--hwm=1"],
    "random": ["--scheme=plainrandom", "--hwm=0"],
}


@pytest.fixture(params=SCHEMES)
def rc(request: pytest.FixtureRequest, site: Any) -> Iterator[Any]:
    with ipp.Cluster(n=N_ENGINES, controller_args=SCHEMES[request.param]) as rc:
        yield rc


def waiting() -> Callable[[str], str]:
    """Return a task, sent by value, that waits at a named pipe."""

    def wait_at(path: str) -> str:
        with open(path) as file:
            return file.read()

    return wait_at


def gate(folder: Path, name: str) -> str:
    path = str(folder / name)
    os.mkfifo(path)
    return path


def test_tasks_end_while_engines_are_busy_with_calls_that_name_them(
    rc: Any, tmp_path: Path
) -> None:
    view = rc.load_balanced_view()
    view.map_sync(abs, range(20))
    for busy in ([0], [1, 2]):
        gates = [gate(tmp_path, f"gate {engine}") for engine in busy]
        held = [
            rc[engine].apply_async(waiting(), path)
            for engine, path in zip(busy, gates, strict=True)
        ]
        results = [view.apply_async(abs, number) for number in range(10)]
        assert [result.get(timeout=60) for result in results] == list(range(10))
        assert not any(result.ready() for result in held)
        for path, result in zip(gates, held, strict=True):
            let_go(path)
            result.get(timeout=60)


def test_the_first_engine_that_is_free_does_what_waits_behind_cells(
    rc: Any, tmp_path: Path
) -> None:
    gates = [gate(tmp_path, f"gate {engine}") for engine in range(N_ENGINES)]
    held = [rc[i].execute(f"open({path!r}).read()") for i, path in enumerate(gates)]
    results = [rc.load_balanced_view().apply_async(abs, number) for number in range(10)]
    let_go(gates[1])
    assert [result.get(timeout=60) for result in results] == list(range(10))
    assert [result.ready() for result in held] == [False, True, False]
    for i in (0, 2):
        let_go(gates[i])
        held[i].get(timeout=60)


def test_a_stream_of_short_calls_by_name_keeps_no_task_waiting(rc: Any) -> None:
    stream = [rc[:].push({"x": number}, block=False) for number in range(300)]
    results = [rc.load_balanced_view().apply_async(abs, number) for number in range(10)]
    while not all(result.ready() for result in results):
        stream.append(rc[:].push({"x": 0}, block=False))
        stream.pop(0).get(timeout=60)
    assert [result.get() for result in results] == list(range(10))
    for call in stream:
        call.get(timeout=60)
