"""Futures that cost little: what the standard library's own functions rely on."""

from __future__ import annotations

import threading
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, wait
from typing import Any

import pytest

from hippodrome.client.results.future import LazyFuture


def pending() -> LazyFuture[Any]:
    return LazyFuture()


def test_the_first_end_counts() -> None:
    future = pending()
    future.set_result(1)
    future.set_result(2)
    future.set_exception(OSError())
    assert future.result() == 1
    assert future.exception() is None
    assert not future.cancel()


def test_an_end_by_error_is_not_changed_by_a_late_result() -> None:
    future = pending()
    future.set_exception(OSError("lost"))
    future.set_result(2)
    with pytest.raises(OSError, match="lost"):
        future.result()


@pytest.mark.parametrize("when", [FIRST_COMPLETED, FIRST_EXCEPTION])
def test_an_error_ends_a_wait_for_the_first_one(when: str) -> None:
    failing, other = pending(), pending()
    threading.Timer(0.05, failing.set_exception, [OSError()]).start()
    too_late = threading.Timer(10, other.set_result, [1])
    too_late.start()
    done, not_done = wait([failing, other], return_when=when)
    too_late.cancel()
    assert (done, not_done) == ({failing}, {other})


@pytest.mark.parametrize("when", [FIRST_EXCEPTION, ALL_COMPLETED])
def test_a_result_does_not_end_a_wait_for_an_error(when: str) -> None:
    first, second = pending(), pending()
    threading.Timer(0.05, first.set_result, [1]).start()
    done, not_done = wait([first, second], timeout=0.2, return_when=when)
    assert (done, not_done) == ({first}, {second})
