"""Errors of maps say which item it was, of those that the user gave."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest

import hippodrome as ipp

N = 23
BAD = 17


def fail_at_17(x: int) -> int:
    if x == 17:
        raise ValueError("seventeen")
    return x


async def fail_later_at_17(x: int) -> int:
    return fail_at_17(x)


def exit_at_17(x: int) -> int:
    if x == 17:
        raise SystemExit(x)
    return x


MAPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "direct": lambda dv, lv, f: dv.map_sync(f, range(N)),
    "direct, iterated": lambda dv, lv, f: list(dv.map_async(f, range(N))),
    "direct, unordered": lambda dv, lv, f: list(dv.map_async(f, range(N), ordered=False)),
    "direct, of a generator": lambda dv, lv, f: dv.map_sync(f, (x for x in range(N))),
    "direct, executor": lambda dv, lv, f: list(dv.executor.map(f, range(N))),
    "direct, parallel": lambda dv, lv, f: dv.parallel(block=True)(f).map(range(N)),
    "balanced": lambda dv, lv, f: lv.map_sync(f, range(N)),
    "balanced, unordered": lambda dv, lv, f: list(lv.map_async(f, range(N), ordered=False)),
    "balanced, chunks": lambda dv, lv, f: lv.map_sync(f, range(N), chunksize=5),
    "balanced, last of a chunk": lambda dv, lv, f: lv.map_sync(f, range(N), chunksize=6),
    "balanced, first of a chunk": lambda dv, lv, f: lv.map_sync(f, range(N), chunksize=17),
    "balanced, unordered chunks": lambda dv, lv, f: list(
        lv.map_async(f, range(N), chunksize=5, ordered=False)
    ),
    "balanced, executor": lambda dv, lv, f: list(lv.executor.map(f, range(N), chunksize=4)),
    "balanced, executor with a buffer": lambda dv, lv, f: list(
        lv.executor.map(f, range(N), buffersize=3)
    ),
    "imap": lambda dv, lv, f: list(lv.imap(f, range(N))),
    "imap, unordered": lambda dv, lv, f: list(lv.imap(f, range(N), ordered=False)),
    "split": lambda dv, lv, f: [one.get() for one in dv.map_async(f, range(N)).split()],
    "by index": lambda dv, lv, f: lv.map_async(f, range(N))[BAD],
}


def the_one(error: BaseException) -> ipp.RemoteError:
    if isinstance(error, ipp.CompositeError):
        (error,) = error.errors
    assert isinstance(error, ipp.RemoteError)
    return error


@pytest.mark.parametrize("f", [fail_at_17, fail_later_at_17, exit_at_17])
@pytest.mark.parametrize("how", MAPS)
def test_an_error_names_the_item(client: Any, how: str, f: Callable[[int], Any]) -> None:
    with pytest.raises(ipp.RemoteError) as caught:
        MAPS[how](client[:], client.load_balanced_view(), f)
    error = the_one(caught.value)
    assert error.engine_info["item"] == BAD
    assert f":{f.__name__}, item 17]" in str(caught.value)
    assert f":{f.__name__}, item 17" in "\n".join(caught.value._render_traceback_())
    assert f":{f.__name__}, item 17" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("chunksize", [1, 5])
def test_errors_in_the_place_of_results_name_theirs(client: Any, chunksize: int) -> None:
    lv = client.load_balanced_view()
    found = lv.map_async(
        lambda x: 1 // (x % 5), range(N), chunksize=chunksize, return_exceptions=True
    ).get()
    items = [one.engine_info["item"] for one in found if isinstance(one, ipp.RemoteError)]
    assert items == [0, 5, 10, 15, 20]
    found = client[:].map_async(lambda x: 1 // (x % 5), range(N), return_exceptions=True).get()
    assert items == [o.engine_info["item"] for o in found if isinstance(o, ipp.RemoteError)]


def test_a_call_after_a_failing_map_has_no_item(client: Any) -> None:
    with pytest.raises(ipp.CompositeError):
        client[:].map_sync(fail_at_17, range(N))
    with pytest.raises(ipp.RemoteError) as caught:
        client[0].apply_sync(fail_at_17, 17)
    assert "item" not in str(caught.value)
