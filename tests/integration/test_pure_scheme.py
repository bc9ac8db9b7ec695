"""A controller with the scheme ``pure``: what it does not serve is an error at the call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import hippodrome as ipp


def double(x: int) -> int:
    return 2 * x


def is_engine(number: int) -> bool:
    from hippodrome.engine.namespace import engine_id

    return engine_id() == number


@pytest.fixture
def rc(site: Any) -> Iterator[Any]:
    with ipp.Cluster(n=2, controller_args=["--scheme=pure"]) as rc:
        yield rc


def test_calls_with_flags_that_need_decisions_fail_at_once(rc: Any) -> None:
    first = rc.load_balanced_view().apply_async(double, 1)
    assert first.get(timeout=10) == 2
    before = len(rc.history)
    for flags in ({"after": first}, {"follow": first}, {"timeout": 9}, {"retries": 1}):
        for more in ({}, {"targets": 0}):
            view = rc.load_balanced_view(**flags, **more)
            for call in (view.apply_async, view.apply_sync):
                with pytest.raises(RuntimeError, match=", ".join([*flags])):
                    call(double, 1)
            with pytest.raises(RuntimeError, match="pure"):
                view.map_async(double, range(3), chunksize=2)
            with pytest.raises(RuntimeError, match="pure"):
                list(view.imap(double, range(3)))
            with pytest.raises(RuntimeError, match="pure"):
                view.executor.submit(double, 1).result(10)
    with pytest.raises(RuntimeError, match="retries"):
        rc.resubmit(first.msg_ids, metadata={"retries": 1})
    with pytest.raises(RuntimeError, match="retries"):
        rc.send_apply_request(None, double, [1], metadata={"retries": 1})
    assert len(rc.history) == before
    assert rc.outstanding == set()


def test_the_rest_works(rc: Any) -> None:
    view = rc.load_balanced_view(label="so")
    assert view.map_sync(double, range(5)) == [0, 2, 4, 6, 8]
    assert rc.resubmit(view.history[-1]).get(timeout=10) == 8
    assert rc.send_apply_request(None, double, [4], ident=1).get(timeout=10) == 8
    for number in (0, 1):  # refused by the other engine, if that is asked first
        assert view.apply_sync(ipp.dependent(double, is_engine, number), 4) == 8
