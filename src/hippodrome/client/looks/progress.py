"""Waiting with a progress bar, where there is somebody to see it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from hippodrome.client.link.presence import NOTICE_AFTER_S
from hippodrome.client.looks.bars import Bar, make_bar
from hippodrome.client.looks.words import shortened
from hippodrome.client.results.future import check_seconds

if TYPE_CHECKING:
    from hippodrome.client.results.owner import Connection

LEAST_INTERVAL_S: Final = 0.02  # nobody sees more, and results come while nobody looks
NAME_LENGTH: Final = 40


@dataclass(frozen=True, slots=True)
class Work:
    """The task or tasks that somebody waits for.

    Attributes:
        wait: tells whether it has ended within so many seconds; None is no limit.
        n_done: tells how much of it has ended.
    """

    wait: Callable[[float | None], bool]
    n_done: Callable[[], int]


def bar_of_items(name: str, work: Work, total: int, widget: bool | None = None) -> Bar | None:
    """Return a bar that counts items; None if there are none, or nobody sees it."""
    if not total:
        return None
    name = shortened(name, NAME_LENGTH)
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
    io: Connection | None = None,
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
