"""What the hub knows of tasks: anybody may fetch, query, repeat and purge it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hippodrome as ipp
from hippodrome.client.results.hubresult import AsyncHubResult
from hippodrome.scheduler.held_queries import PATIENCE_S


def double(x: int) -> int:
    return 2 * x


def fail(x: object = None) -> None:
    raise ValueError(x)


def wait_for_file(path: str) -> str:
    import os
    import time

    while not os.path.exists(path):
        time.sleep(0.005)
    return path


def count_a_run(path: str) -> int:
    with open(path, "a") as file:
        file.write(".")
    with open(path) as file:
        n = len(file.read())
    if n < 3:
        raise RuntimeError(n)
    return n


def begin_and_sleep(path: Any) -> None:
    import time

    path.touch()
    time.sleep(60)


@pytest.fixture
def other(cluster: Any, client: Any) -> Iterator[Any]:
    """A client that has submitted nothing."""
    with ipp.Client(str(cluster.client_file)) as rc:
        rc.wait_for_engines(2, timeout=10)
        yield rc


@pytest.fixture
def lv(client: Any) -> Any:
    return client.load_balanced_view()


@pytest.fixture
def busy(client: Any, tmp_path: Any) -> Iterator[Any]:
    """A view of an engine that begins nothing else for now."""
    path = tmp_path / "go"
    view = client.load_balanced_view(targets=0)
    first = view.apply_async(wait_for_file, str(path))
    yield view
    path.touch()
    first.wait(10)


def test_results_of_another_client_can_be_fetched(client: Any, other: Any, lv: Any) -> None:
    mapped = lv.map_async(double, range(40))
    single = lv.apply_async(double, 21)
    array = lv.apply_async(np.arange, 5000)
    direct = client[:].apply_async(double, 4)
    client.wait(timeout=20)
    found = other.get_result(mapped.msg_ids)
    assert isinstance(found, AsyncHubResult)
    assert found.get(timeout=10) == [2 * x for x in range(40)]
    assert other.get_result(single.msg_ids[0]).get(timeout=10) == 42
    assert other.get_result(direct.msg_ids).get(timeout=10) == [8, 8]
    came = other.get_result(array.msg_ids[0]).get(timeout=10)
    assert came.sum() == 4999 * 2500
    came[0] = 1  # it can be written to


def test_a_result_can_be_fetched_again(client: Any, lv: Any) -> None:
    result = lv.apply_async(double, 3)
    assert result.get(timeout=10) == 6
    assert client.get_result(result.msg_ids[0]).get(timeout=10) == 6
    assert client.get_result(-1).get(timeout=10) == 6


def test_failures_can_be_fetched_with_their_metadata(other: Any, lv: Any) -> None:
    failed = lv.apply_async(fail, "so")
    failed.wait(10)
    found = other.get_result(failed.msg_ids[0])
    with pytest.raises(ipp.RemoteError, match="so") as caught:
        found.get(timeout=10)
    assert caught.value.ename == "ValueError"
    assert found.metadata.status == "error"
    assert found.metadata.engine_id in (0, 1)
    assert found.metadata.started <= found.metadata.completed


def test_tasks_that_never_ran_can_be_asked_for(other: Any, lv: Any, client: Any) -> None:
    with lv.temp_flags(after=["nobody"]):
        impossible = lv.apply_async(double, 1)
    impossible.wait(10)
    with pytest.raises(ipp.InvalidDependency):
        other.get_result(impossible.msg_ids[0]).get(timeout=10)


def test_what_has_not_ended_is_waited_for(other: Any, lv: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "go")
    waiting = [lv.apply_async(wait_for_file, path) for _ in range(3)]
    found = [other.get_result(one.msg_ids[0]) for one in waiting]
    assert not any(one.done() for one in found)
    assert not found[0].wait(0.05)
    status = other.result_status([one.msg_ids[0] for one in waiting])
    assert len(status["pending"]) == 3
    threading.Timer(0.05, lambda: open(path, "w").close()).start()
    done, _ = concurrent.futures.wait(found, timeout=20)
    assert {one.result() for one in done} == {path}
    assert asyncio.run(_awaited(other.get_result(waiting[0].msg_ids[0]))) == path


async def _awaited(result: Any) -> Any:
    return await result


def test_an_abort_is_an_outcome_for_everybody(other: Any, client: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "go")
    view = client.load_balanced_view(targets=0)
    first = view.apply_async(wait_for_file, path)
    second = view.apply_async(double, 1)
    second.abort()
    open(path, "w").close()
    client.wait([first, second], timeout=20)
    assert first.get() == path
    with pytest.raises(ipp.TaskAborted):
        other.get_result(second.msg_ids[0]).get(timeout=10)


def test_tasks_of_a_client_that_has_left_can_be_given_up(
    other: Any, cluster: Any, tmp_path: Path
) -> None:
    begun = [tmp_path / "direct", tmp_path / "balanced"]
    with ipp.Client(str(cluster.client_file)) as gone:
        direct, balanced = gone[0], gone.load_balanced_view(targets=1)
        results = [direct.apply_async(begin_and_sleep, begun[0]), direct.apply_async(abs, 1)]
        results += [balanced.apply_async(begin_and_sleep, begun[1]), balanced.apply_async(abs, 1)]
        while not all(path.exists() for path in begun):
            pass
    msg_ids = [ar.msg_ids[0] for ar in results]
    found = other.get_result(msg_ids, block=False)
    other.abort(msg_ids, block=True)
    for idle in (1, 3):
        with pytest.raises(ipp.TaskAborted):
            other.get_result(msg_ids[idle]).get(timeout=10)
    found.interrupt()
    errors = found.get(timeout=10, return_exceptions=True)
    assert [error.ename for error in errors] == ["KeyboardInterrupt", "TaskAborted"] * 2


def test_what_there_is_not_is_a_key_error_of_the_hub(other: Any) -> None:
    for ask in (other.get_result, other.result_status, other.resubmit):
        for asked in ("nobody", ["nobody"]):
            for kind in (KeyError, ipp.RemoteError):
                with pytest.raises(
                    kind, match=r"^KeyError: there is no record of: nobody"
                ) as raised:
                    ask(asked)
                assert raised.value.ename == "KeyError"
            again = pickle.loads(pickle.dumps(raised.value))
            assert isinstance(again, KeyError)
            assert isinstance(again, ipp.RemoteError)
    other.purge_results("nobody")
    other.abort("nobody", block=True)
    assert other.db_query({"msg_id": "nobody"}) == []


def test_results_that_were_fetched_without_owning_them_are_kept(
    client: Any, other: Any, lv: Any
) -> None:
    good, bad = lv.apply_async(double, 21), lv.apply_async(fail)
    client.wait(timeout=20)
    assert good.get() == 42
    with pytest.raises(ValueError, match="None"):
        bad.get()
    ids = good.msg_ids + bad.msg_ids
    for rc in (client, other):
        assert not any(msg_id in rc.results for msg_id in ids)
        assert rc.get_result(good.msg_ids[0], owner=False).get(10) == 42
        assert rc.get_result(bad.msg_ids[0], owner=False).wait(10)
        assert rc.results[good.msg_ids[0]] == 42
        assert isinstance(rc.results[bad.msg_ids[0]], ValueError)
        assert rc.metadata[good.msg_ids[0]].status == "ok"
        assert rc.get_result(good.msg_ids[0]).get(10) == 42
        assert list(rc.results) == bad.msg_ids
        rc.results.clear()
        assert rc.get_result(ids, owner=False).wait(10)
        rc.purge_local_results(ids)
        assert not rc.results
    status = other.result_status(good, status_only=False)
    assert status[good.msg_ids[0]] == 42
    assert not other.results


def test_a_result_outlives_the_client_that_asked_for_it(cluster: Any, other: Any) -> None:
    code = (
        "import hippodrome as ipp, os, sys, signal\n"
        f"rc = ipp.Client({str(cluster.client_file)!r})\n"
        "ar = rc.load_balanced_view().apply_async(pow, 3, 4)\n"
        "ar.wait()\n"
        "print(ar.msg_ids[0], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, text=True)
    assert done.returncode == -9, done.stderr
    assert other.get_result(done.stdout.strip()).get(timeout=10) == 81


def test_what_was_shown_outlives_the_client_that_asked_for_it(
    cluster: Any, other: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = "from IPython.display import display\ndisplay(1)\nprint('text')\n2"
    code = (
        "import hippodrome as ipp, os, sys, signal\n"
        f"rc = ipp.Client({str(cluster.client_file)!r})\n"
        "rc.wait_for_engines(1)\n"
        f"ar = rc[0].execute({cell!r}, silent=False, block=True)\n"
        "print(ar.msg_ids[0], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, text=True)
    assert done.returncode == -9, done.stderr
    found = other.get_result(done.stdout.strip())
    assert [one["data"] for one in found.metadata.outputs] == [{"text/plain": "1"}]
    assert found.execute_result["data"] == {"text/plain": "2"}
    found.display_outputs()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["text", "1"]
    assert lines[2].endswith("]: 2")
    (record,) = other.db_query({"msg_id": found.msg_ids[0]}, keys=["execute_result", "stdout"])
    assert record["execute_result"]["data"] == {"text/plain": "2"}
    assert record["stdout"] == "text\n"


def test_what_is_large_is_kept_for_other_clients_too(other: Any, lv: Any) -> None:
    large = lv.apply_async(np.ones, 1 << 20)
    large.wait(20)
    fetched = other.get_result(large.msg_ids[0]).get(timeout=10)
    assert fetched.sum() == 1 << 20
    fetched[0] = 2.0  # and it is its own
    assert large.get()[0] == 1.0


# ---------------------------------------------------------------- once more


def test_a_task_is_submitted_again_as_it_was(other: Any, lv: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "runs")
    with lv.temp_flags(retries=2, label="thrice"):
        first = lv.apply_async(count_a_run, path)
    assert first.get(timeout=10) == 3
    os.unlink(path)
    again = other.resubmit(first.msg_ids[0])
    assert again.get(timeout=10) == 3, "its retries are kept"
    assert again.msg_ids != first.msg_ids
    assert again.metadata["label"] == "thrice"
    assert other.history[-1] == again.msg_ids[0]
    (record,) = other.db_query({"msg_id": first.msg_ids[0]}, keys=["resubmitted", "label"])
    assert (record["resubmitted"], record["label"]) == (again.msg_ids[0], "thrice")
    os.unlink(path)
    with pytest.raises(ipp.RemoteError):
        other.resubmit(first.msg_ids[0], metadata={"retries": 0}).get(timeout=10)


def test_tasks_with_buffers_and_direct_calls_are_submitted_again(other: Any, client: Any) -> None:
    balanced = client.load_balanced_view().apply_async(np.sum, np.ones(2000))
    direct = client[1].apply_async(os.getpid)
    client.wait([balanced, direct], timeout=20)
    assert other.resubmit(balanced.msg_ids).get(timeout=10) == [2000.0]
    assert other.resubmit(direct.msg_ids[0]).get(timeout=10) == direct.get()


def test_what_cannot_be_submitted_again_is_told(
    other: Any, client: Any, lv: Any, tmp_path: Any
) -> None:
    path = str(tmp_path / "go")
    running = lv.apply_async(wait_for_file, path)
    with pytest.raises(RuntimeError):
        other.resubmit(running.msg_ids[0])
    open(path, "w").close()
    running.wait(10)
    with pytest.raises(KeyError, match="no flag 'retry'"):
        other.resubmit(running.msg_ids[0], metadata={"retry": 1})
    with pytest.raises(KeyError):
        other.resubmit("nobody")


# ---------------------------------------------------------------- asked at once


def is_refused(method: Any, msg_id: str) -> bool:
    with pytest.raises(RuntimeError, match=msg_id):
        method(msg_id)
    return True


ASKS: dict[str, Callable[[Any, str], bool]] = {
    "resubmit": lambda rc, msg_id: is_refused(rc.resubmit, msg_id),
    "purge": lambda rc, msg_id: is_refused(rc.purge_hub_results, msg_id),
    "result_status": lambda rc, msg_id: rc.result_status(msg_id)["pending"] == [msg_id],
    "history": lambda rc, msg_id: rc.hub_history()[-1] == msg_id,
    "db_query": lambda rc, msg_id: len(rc.db_query({"msg_id": msg_id})) == 1,
    "queue_status": lambda rc, msg_id: msg_id in str(rc.queue_status(verbose=True)),
}


@pytest.mark.parametrize("ask", ASKS)
def test_a_client_may_ask_about_what_it_has_just_submitted(
    client: Any, busy: Any, ask: str
) -> None:
    for n in range(30):
        view = busy if n % 2 else client[0]
        assert ASKS[ask](client, view.apply_async(double, n).msg_ids[0])


def test_another_client_may_ask_as_soon_as_it_is_told_the_id(
    client: Any, other: Any, busy: Any
) -> None:
    asked = []
    for n in range(100):
        view = busy if n % 2 else client[0]
        result = view.map_async(double, range(n)) if n % 10 == 9 else view.apply_async(double, n)
        if n % 3 == 0:
            with pytest.raises(RuntimeError):
                other.resubmit(result.msg_ids[0])
        elif n % 3 == 1:
            assert other.result_status(result.msg_ids)["pending"] == list(result.msg_ids)
        else:
            asked.append((result, other.get_result(result)))
    assert not any(found.done() for _, found in asked)
    client.abort()
    for result, found in asked:
        result.wait(20)
        assert isinstance(found.exception(20), ipp.TaskAborted | ipp.CompositeError)


def test_what_nobody_submitted_is_told_at_once(client: Any, other: Any) -> None:
    for name in (f"{client.session}_999999", f"{other.session}_999999", "nobody_1"):
        begun = time.monotonic()
        with pytest.raises(KeyError, match=name):
            other.get_result(name)
        assert time.monotonic() - begun < PATIENCE_S, "its client has said so"


# ---------------------------------------------------------------- queries and purges


def test_records_are_found_by_what_is_in_them(other: Any, lv: Any) -> None:
    before = datetime.datetime.now(datetime.UTC)
    with lv.temp_flags(label="to be found"):
        tasks = [lv.apply_async(double, 1), lv.apply_async(fail)]
    for task in tasks:
        task.wait(10)
    assert [task.msg_ids[0] for task in tasks] == other.hub_history()[-2:]
    found = other.db_query({"label": "to be found", "submitted": {"$gte": before}})
    assert sorted(r["status"] for r in found) == ["error", "ok"]
    assert all("result_buffers" not in record for record in found)
    (ok,) = other.db_query({"label": "to be found", "status": "ok"}, keys="result_buffers")
    assert ok["msg_id"] == tasks[0].msg_ids[0]
    assert ok["result_buffers"]
    assert other.db_query({"completed": {"$lt": before}, "label": "to be found"}) == []
    with pytest.raises(ipp.RemoteError, match="almost"):
        other.db_query({"submitted": {"$almost": 1}})
    with pytest.raises(ValueError, match=r"no operator 'gt'; did you mean '\$gt'"):
        other.db_query({"submitted": {"gt": before}})
    with pytest.raises(ValueError, match="'yesterday' is no time"):
        other.db_query({"submitted": {"$gt": "yesterday"}})
    with pytest.raises(TypeError, match="a list is wanted"):
        other.db_query({"msg_id": {"$in": 3}})
    with pytest.raises(TypeError):
        other.db_query(["msg_id"])


def test_a_purge_is_for_everybody(other: Any, client: Any, lv: Any) -> None:
    tasks = [lv.apply_async(double, n) for n in range(3)]
    client.wait(timeout=10)
    other.purge_hub_results(tasks[0].msg_ids)
    with pytest.raises(KeyError):
        other.get_result(tasks[0].msg_ids[0])
    assert tasks[0].get() == 0, "a client keeps what it has"
    client.purge_results(tasks[1])
    with pytest.raises(KeyError):
        client.get_result(tasks[1].msg_ids[0])
    with pytest.raises(ValueError, match="give jobs"):
        client.purge_hub_results()
    client.purge_everything()
    assert client.hub_history() == []
    assert client.history == []
    assert not client.results


def test_a_view_purges_what_its_own_history_says(client: Any) -> None:
    view = client.load_balanced_view()
    client[:].apply_sync(abs, -1)
    tasks = [view.apply_async(abs, n) for n in range(3)]
    client.wait(tasks)
    view.purge_results(0)
    view.purge_results([-1])
    with pytest.raises(KeyError):
        client.result_status(tasks[0])
    assert client.result_status(tasks[1])["completed"] == tasks[1].msg_ids
    view.purge_results(targets="all")
    assert client.hub_history() == []


def test_what_is_outstanding_is_not_purged(client: Any, lv: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "go")
    running = lv.apply_async(wait_for_file, path)
    for purge in (client.purge_results, client.purge_local_results, client.purge_hub_results):
        with pytest.raises(RuntimeError):
            purge(running)
    with pytest.raises(RuntimeError):
        client.purge_everything()
    open(path, "w").close()
    assert running.get(timeout=10) == path


def test_those_who_wait_for_what_is_purged_are_told(
    client: Any, other: Any, lv: Any, tmp_path: Any
) -> None:
    path = str(tmp_path / "go")
    running = lv.apply_async(wait_for_file, path)
    found = other.get_result(running.msg_ids[0])
    other._watch._serve = lambda waiting: 0  # it asks no more, until the record is gone
    open(path, "w").close()
    running.wait(10)
    client.purge_hub_results(running)
    del other._watch._serve
    with pytest.raises(ipp.ResultExpired, match="no record"):
        found.get(timeout=10)
