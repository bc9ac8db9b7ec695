"""Data that tasks publish: seen while they run, complete when they have ended."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hippodrome as ipp
from hippodrome.datapub import publish_data


def wait_for(is_so: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 15
    while not is_so():
        assert time.monotonic() < deadline, "it has not come"
        threading.Event().wait(0.005)


def wait_at(path: str) -> None:
    with open(path) as gate:
        gate.read()


def publish_and_wait(path: str) -> str:
    array = np.arange(3)
    publish_data({"step": 1, "array": array})
    array[:] = 0  # what was published stays as it was
    wait_at(path)
    publish_data({"step": 2})
    publish_data({"step": 3, "last": "words"})
    return "done"


@pytest.fixture
def gate(tmp_path: Path) -> str:
    path = str(tmp_path / "gate")
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("is_balanced", [False, True])
def test_data_are_seen_while_the_task_runs_and_complete_with_the_result(
    client: Any, gate: str, is_balanced: bool
) -> None:
    view = client.load_balanced_view() if is_balanced else client[0]
    result = view.apply_async(publish_and_wait, gate)
    assert result.data == {}
    wait_for(lambda: result.data)
    assert not result.done()
    assert result.data["step"] == 1
    assert result.data["array"].tolist() == [0, 1, 2]
    assert result.data["array"] is result.data["array"], "it is unpickled once"
    with open(gate, "w"):
        pass
    assert result.get(timeout=10) == "done"
    assert result.data.pop("array").tolist() == [0, 1, 2]
    found = result.metadata.data
    assert {name: found[name] for name in ("step", "last")} == {"step": 3, "last": "words"}
    assert list(result["data"]) == ["step", "array", "last"]


def publish_much(n: int) -> int:
    for i in range(n):
        publish_data({"i": i, "square": i * i})
    return n


def test_several_tasks_have_their_own_data(client: Any) -> None:
    result = client[:].apply_async(publish_much, 3)
    parts = result.split()
    result.get(timeout=10)
    assert result.data == [{"i": 2, "square": 4}] * 2
    assert [part.data for part in parts] == result.data
    results = [client.load_balanced_view().apply_async(publish_much, n) for n in range(50)]
    client.wait(results, timeout=20)
    assert [one.data.get("i") for one in results] == [None, *range(49)]
    mapped = client.load_balanced_view().map_async(publish_much, range(1, 9))
    mapped.get(timeout=10)
    assert [one["i"] for one in mapped.data] == list(range(8))


def test_many_values_are_not_a_flood_and_the_last_one_counts(client: Any) -> None:
    result = client[:].apply_async(publish_much, 20_000)
    result.get(timeout=30)
    assert result.data == [{"i": 19_999, "square": 19_999**2}] * 2


def publish_large(n: int) -> None:
    for i in range(n):
        publish_data({"large": np.full(4_000_000, i)})


def test_large_arrays_travel_beside_the_pickle_and_are_not_a_flood(client: Any) -> None:
    result = client[:].apply_async(publish_large, 20)  # 32 MB each
    result.get(timeout=40)
    for data in result.data:
        assert data["large"].shape == (4_000_000,)
        assert (data["large"] == 19).all()


def publish_from_thread() -> None:
    thread = threading.Thread(target=publish_data, args=({"from": "thread"},))
    thread.start()
    thread.join()


def fail_after_publishing() -> None:
    publish_data({"reached": "here"})
    raise ValueError("and no further")


def test_threads_publish_and_so_do_tasks_that_fail(client: Any) -> None:
    result = client[0].apply_async(publish_from_thread)
    result.get(timeout=10)
    assert result.data == {"from": "thread"}
    result = client[0].apply_async(fail_after_publishing)
    with pytest.raises(ipp.RemoteError):
        result.get(timeout=10)
    assert result.data == {"reached": "here"}


def fail_once(path: str) -> int:
    attempt = 1 + os.path.exists(path)
    publish_data({"attempt": attempt, f"only {attempt}": True})
    if attempt == 1:
        open(path, "w").close()
        raise ValueError("once more")
    return attempt


def test_a_retry_begins_anew(client: Any, tmp_path: Path) -> None:
    view = client.load_balanced_view(retries=1)
    result = view.apply_async(fail_once, str(tmp_path / "tried"))
    assert result.get(timeout=10) == 2
    assert result.data == {"attempt": 2, "only 2": True}


def publish_what_only_engines_have() -> None:
    import sys
    import types

    module = types.ModuleType("only_here")
    exec("class Thing: pass", module.__dict__)
    sys.modules["only_here"] = module
    module.Thing.__module__ = "only_here"
    publish_data({"good": 1, "bad": module.Thing()})


def test_a_value_that_cannot_be_unpickled_here_is_an_error_in_its_place(client: Any) -> None:
    result = client[0].apply_async(publish_what_only_engines_have)
    result.get(timeout=10)
    assert result.data["good"] == 1
    error = result.data["bad"]
    assert isinstance(error, ipp.DeserializationError)
    assert "what was published as 'bad' arrived" in str(error)
    assert client[0].apply_sync(len, "abc") == 3


def publish_wrongly() -> list[str]:
    words = []
    for wrong in (["a list"], {1: "no name"}, {"lock": threading.Lock()}):
        try:
            publish_data(wrong)  # type: ignore[arg-type]
        except Exception as error:
            words.append(type(error).__name__)
    return words


def test_what_cannot_be_published_is_an_error_at_the_call(client: Any) -> None:
    result = client[0].apply_async(publish_wrongly)
    assert result.get(timeout=10) == ["TypeError", "TypeError", "SerializationError"]
    assert result.data == {}
    with pytest.raises(RuntimeError, match="for tasks on engines"):
        publish_data({"a": 1})
