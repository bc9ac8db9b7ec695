"""Waiting with a progress bar, where there is somebody to see it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, Future
from concurrent.futures import wait as wait_for_futures
from contextlib import closing
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol  # Any: what tasks return

from hippodrome.client.jobs import n_done, n_items
from hippodrome.client.link.presence import NOTICE_AFTER_S
from hippodrome.client.looks.bars import Bar, make_bar
from hippodrome.client.looks.words import shortened
from hippodrome.client.results.future import check_seconds

if TYPE_CHECKING:
    from hippodrome.client.link.presence import Presence
    from hippodrome.client.results.result import AsyncResult

LEAST_INTERVAL_S: Final = 0.02  # nobody sees more, and results come while nobody looks
NAME_LENGTH: Final = 40


class Work(Protocol):
    """The task or tasks that somebody waits for."""

    def wait(self, timeout: float | None) -> bool:
        """Return whether it has ended within *timeout* seconds; None is no limit."""

    def n_done(self) -> int:
        """Return how much of it has ended."""


class Call:
    """The work of one call.

    Args:
        result: of the call.
        return_when: as for `concurrent.futures.wait`.

    Raises:
        ValueError: *return_when* is none of its constants.
    """

    def __init__(self, result: AsyncResult, return_when: str) -> None:
        self._result = result
        self._is_enough = self._stops_early(return_when)

    def wait(self, timeout: float | None) -> bool:
        if self._is_enough is None:
            return bool(self._result.wait(timeout))
        return self._result._wait_watching(self._is_enough, timeout)

    def n_done(self) -> int:
        return self._result.progress

    def _stops_early(self, return_when: str) -> Callable[[], bool] | None:
        result = self._result
        if return_when == FIRST_EXCEPTION:
            return lambda: result._n_failed > 0
        if return_when == FIRST_COMPLETED:
            return lambda: result._left < len(result.msg_ids)
        if return_when == ALL_COMPLETED:
            return None
        raise ValueError(f"return_when must be one of concurrent.futures', not {return_when!r}")


class SeveralCalls:
    """The work of several calls.

    Args:
        futures: of the calls; some may be somebody else's futures.
    """

    def __init__(self, futures: Collection[Future[Any]]) -> None:
        self._futures = list(futures)
        self._n_over = 0  # of these, from the front, have ended
        self._left = self._futures  # have not ended when last counted
        self._n_done = 0  # items of the others
        self.n_items: int = sum(map(n_items, futures))

    def wait(self, timeout: float | None) -> bool:
        # One after the other: to listen to all would cost something for each that ends.
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._n_over < len(self._futures):
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not _wait_for_one(self._futures[self._n_over], left_s):
                return False
            self._n_over += 1
        return True

    def n_done(self) -> int:
        ended = {future for future in self._left if future.done()}
        self._n_done += sum(map(n_done, ended))
        self._left = [future for future in self._left if future not in ended]
        return self._n_done + sum(map(n_done, self._left))


def _wait_for_one(future: Future[Any], timeout: float | None) -> bool:
    return future.done() or not wait_for_futures([future], timeout).not_done


def wait_for_result(
    result: AsyncResult,
    interval: float,
    timeout: float | None,
    widget: bool | None,
    return_when: str,
) -> bool:
    """Wait for *result* and show how far it is; see `AsyncResult.wait_interactive`."""
    call = Call(result, return_when)
    check_times(interval, timeout)
    result._check_may_wait()
    name = shortened(result._label or result._fname, NAME_LENGTH)
    bar = _bar_of_items(name, call, len(result), widget)
    return wait_showing(call, bar, interval, timeout, result._client._io)


def wait_for_jobs(
    io: Presence, futures: Collection[Future[Any]], interval: float, timeout: float | None
) -> bool:
    """Wait for *futures* and show how far they are; see `Client.wait_interactive`."""
    jobs = SeveralCalls(futures)
    return wait_showing(jobs, _bar_of_items("tasks", jobs, jobs.n_items), interval, timeout, io)


def _bar_of_items(name: str, work: Work, total: int, widget: bool | None = None) -> Bar | None:
    if not total:
        return None
    return make_bar(total, name, "items", initial=work.n_done(), widget=widget)


def check_times(interval: object, timeout: object) -> None:
    """Raise TypeError unless both are numbers of seconds; *timeout* may be None."""
    check_seconds(timeout)
    if interval is None:
        raise TypeError("interval must be a number of seconds, not None")
    check_seconds(interval, "interval")


def wait_showing(
    work: Work,
    bar: Bar | None,
    interval: float,
    timeout: float | None,
    io: Presence | None = None,
) -> bool:
    """Wait until *work* has ended, and close *bar* whatever happens.

    Args:
        work: what to wait for.
        bar: shows how far it is.
        interval: seconds between updates.
        timeout: seconds; None or a negative number waits for as long as it takes.
        io: says so if there are no engines that would do the work.

    Returns:
        Whether it has ended.
    """
    limit_s = inf if timeout is None or timeout < 0 else timeout
    if bar is None:
        return work.wait(None if limit_s == inf else limit_s)
    step_s = max(interval, LEAST_INTERVAL_S)
    began, past_s = time.monotonic(), 0.0
    with closing(bar):
        while True:
            has_ended = work.wait(max(0.0, min(step_s, limit_s - past_s)))
            bar.show(work.n_done())
            past_s = time.monotonic() - began
            if has_ended or past_s >= limit_s:
                return has_ended
            if io is not None and past_s >= NOTICE_AFTER_S and io.may_notice(None):
                bar.clear()
                io.notice()
