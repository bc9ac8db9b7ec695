"""What scripts written for ipyparallel do beyond the obvious, after one line was changed."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from IPython.lib.pretty import pretty

import hippodrome as ipp


@pytest.fixture
def dv(client: Any) -> Any:
    return client[:]


@pytest.fixture
def lv(client: Any) -> Any:
    return client.load_balanced_view()


def fail(x: object = None) -> None:
    raise ValueError(x)


@pytest.mark.parametrize("kind", ["direct", "balanced"])
def test_a_decorated_function_blocks_as_its_view_did_then(client: Any, kind: str) -> None:
    view = client[0] if kind == "direct" else client.load_balanced_view()

    @view.remote()
    def later() -> int:
        return 1

    @view.parallel()
    def parts_later(part: Any) -> Any:
        return part

    view.block = True

    @view.remote()
    def now() -> int:
        return 1

    @view.parallel()
    def parts_now(part: Any) -> Any:
        return part

    view.block = False
    assert (later.block, now.block, now()) == (False, True, 1)
    assert later().get(10) == 1
    assert parts_now(range(3)) == [0, 1, 2]
    assert parts_later(range(3)).get(10) == [0, 1, 2]


def test_a_balanced_parallel_function_gets_its_elements_one_by_one(lv: Any, dv: Any) -> None:
    assert lv.parallel(block=True)(lambda part: [len(part)])(range(5)) == [1] * 5
    assert lv.parallel(block=True, chunksize=2)(lambda part: [len(part)])(range(5)) == [2, 2, 1]
    assert dv.parallel(block=True)(lambda part: [len(part)])(range(5)) == [3, 2]


def test_a_map_of_nothing_at_all_is_a_type_error(lv: Any, dv: Any) -> None:
    for view in (lv, dv):
        with pytest.raises(TypeError, match="at least one sequence"):
            view.map_async(len)


def test_memory_is_freed_as_scripts_do_it(client: Any, lv: Any, dv: Any) -> None:
    waiting = [lv.apply_async(abs, -1), *(dv.apply_async(abs, -1) for _ in range(2))]
    client.wait(waiting, timeout=10)
    msg_id = waiting[0].msg_ids[0]
    assert client.results.pop(msg_id) == 1
    assert msg_id not in client.results
    for view in (client, dv):
        view.results.clear()
    client.metadata.clear()
    client.history, lv.history, dv.history = [], [], []
    assert not any([client.results, client.metadata, client.history, lv.history])
    with pytest.raises(TypeError, match="not assigned"):
        client.results["x"] = 1
    last = lv.apply_async(abs, -2)
    assert last.get(10) == 2
    assert client.history == lv.history == last.msg_ids


def test_what_is_gone_can_be_purged_again(client: Any, lv: Any) -> None:
    ar = lv.apply_async(abs, -1)
    ar.get(10)
    for _ in range(2):
        client.purge_results(ar)
    client.purge_hub_results(["never heard of"])


def test_metadata_of_plain_tasks_says_so(lv: Any) -> None:
    first = lv.apply_async(abs, -1)
    with lv.temp_flags(after=first, label="second"):
        second = lv.apply_async(abs, -2)
    second.get(10)
    assert (first.metadata.label, first.metadata.after, first.metadata.follow) == (None, [], [])
    assert (second.metadata.label, second.metadata.after) == ("second", first.msg_ids)


def test_a_reply_of_a_cell_knows_its_task(client: Any) -> None:
    reply = client[0].execute("print('told'); 6 * 7", silent=False, block=True).get()
    assert reply.metadata["stdout"] == reply.stdout == reply["stdout"] == "told\n"
    assert reply.metadata["engine_id"] == 0
    assert repr(pickle.loads(pickle.dumps(reply))) == repr(reply)
    silent = client[0].execute("pass", block=True).get()
    assert pretty([reply, silent]) == f"[{reply}, {silent!r}]"


def test_errors_among_results_are_shown_without_their_tracebacks(lv: Any, dv: Any) -> None:
    (error,) = lv.map_sync(fail, [7], return_exceptions=True)
    engine = error.engine_info["engine_id"]
    assert repr(error) == f"<RemoteError[{engine}]:ValueError(7)>"
    with pytest.raises(ipp.CompositeError) as caught:
        dv.apply_sync(fail)
    assert repr(caught.value) == "CompositeError(2)"


def test_a_client_knows_its_profile(client: Any) -> None:
    assert client.profile == "default"
