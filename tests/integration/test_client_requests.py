"""Single requests, sent by programs that have no views."""

from __future__ import annotations

import asyncio
import os
import queue
from typing import Any

import numpy as np
import pytest

import hippodrome as ipp


def add(a: int, b: int = 0) -> int:
    return a + b


def fail_at_first(path: str) -> int:
    with open(path, "a") as file:
        file.write(".")
    n = os.path.getsize(path)
    if n < 2:
        raise RuntimeError(n)
    return n


def test_an_engine_is_named_by_its_id_or_its_uuid(client: Any) -> None:
    pids = client[:].apply_sync(os.getpid)
    uuid = client._io.engines[1].uuid
    for ident in (1, -1, uuid, uuid.encode()):
        result = client.send_apply_request(None, os.getpid, ident=ident)
        assert result.get(timeout=10) == pids[1]
        assert result.metadata.engine_id == 1
        (record,) = client.db_query({"msg_id": result.msg_id}, keys=["queue"])
        assert record["queue"] == "mux", "it does not ask the scheduler to choose"
    targets = {"targets": [uuid.encode()]}
    assert client.send_apply_request(None, os.getpid, metadata=targets).get(timeout=10) == pids[1]
    assert client.send_apply_request(None, os.getpid).get(timeout=10) in pids


def test_a_request_is_a_future_that_is_known_to_the_client(client: Any) -> None:
    result = client.send_apply_request(object(), add, [1], {"b": 2}, {"label": "mine"}, True)
    assert result.msg_id == result.msg_ids[0] == client.history[-1]
    assert asyncio.run(awaited(result)) == 3
    assert result.metadata.label == "mine"
    assert client.get_result(result.msg_id).get(timeout=10) == 3
    assert client.db_query({"label": "mine"}, keys=["msg_id"])[-1]["msg_id"] == result.msg_id


async def awaited(result: Any) -> Any:
    return await result


def test_large_arguments_and_references_travel(client: Any) -> None:
    for ident in (0, None):
        result = client.send_apply_request(None, np.sum, (np.ones(100_000),), ident=ident)
        assert result.get(timeout=10) == 100_000
    client[0].push({"name": add}, block=True)
    result = client.send_apply_request(None, ipp.Reference("name"), (1, 5), ident=0)
    assert result.get(timeout=10) == 6


@pytest.mark.parametrize("ident", [None, 0])
def test_metadata_says_what_the_scheduler_is_to_do(client: Any, tmp_path: Any, ident: Any) -> None:
    first = client.send_apply_request(None, add, [1])
    path = str(tmp_path / "runs")
    flags = {"retries": 1, "after": first, "label": "twice"}
    result = client.send_apply_request(None, fail_at_first, [path], None, flags, ident=ident)
    assert result.get(timeout=10) == 2
    assert result.metadata.after == [first.msg_id]
    assert result.metadata.label == "twice"
    assert ident is None or result.metadata.engine_id == ident


def test_cells_can_be_sent_to_one_engine_or_to_any(client: Any) -> None:
    for ident in (1, None):
        result = client.send_execute_request(None, "1 + 2", False, {"label": "cell"}, ident)
        assert result.get(timeout=20).data["text/plain"] == "3"
        assert result.metadata.execute_input == "1 + 2"
        assert result.metadata.label == "cell"
    with pytest.raises(ipp.RemoteError, match="ZeroDivisionError"):
        client.send_execute_request(None, "1 / 0", ident=0).get(timeout=10)


def test_the_hook_comes_before_the_end_and_the_end_comes_always(cluster: Any, client: Any) -> None:
    states: list[tuple[str, bool]] = []
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def note(result: Any) -> None:
        states.append((result.msg_id, result.done()))
        result.add_done_callback(ended.put)

    result = client.send_apply_request(None, add, [1], message_future_hook=note)
    assert result.get(timeout=10) == 1
    assert states == [(result.msg_id, False)]
    assert ended.get(timeout=10) is result
    with ipp.Client(str(cluster.client_file)) as other:
        pass
    with pytest.raises(ipp.ControllerLost):
        other.send_execute_request(None, "1", message_future_hook=note)
    assert ended.get(timeout=10).cancelled()


def test_what_makes_no_request_is_told(client: Any) -> None:
    bad: list[tuple[Any, type[Exception]]] = [
        ({"f": 1}, TypeError),
        ({"args": 1}, TypeError),
        ({"args": "text"}, TypeError),
        ({"kwargs": [1]}, TypeError),
        ({"metadata": [1]}, TypeError),
        ({"metadata": {"retry": 1}}, KeyError),
        ({"metadata": {"retries": -1}}, ValueError),
        ({"metadata": {"targets": 0}, "ident": 1}, ValueError),
        ({"ident": 7}, IndexError),
        ({"ident": b"nobody"}, IndexError),
        ({"ident": 1.5}, TypeError),
    ]
    before = len(client.history)
    for arguments, kind in bad:
        with pytest.raises(kind):
            client.send_apply_request(**{"socket": None, "f": add} | arguments)
    with pytest.raises(TypeError):
        client.send_execute_request(None, b"1")
    assert len(client.history) == before
