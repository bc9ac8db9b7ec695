"""Waiting with a progress bar, where there is somebody to see it."""

from __future__ import annotations

import sys
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
from hippodrome.display import write

if TYPE_CHECKING:
    from hippodrome.client.results.owner import Connection

LEAST_INTERVAL_S: Final = 0.02  # nobody sees more, and results come while nobody looks
NAME_LENGTH: Final = 40
_MOST_SILENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Work:
    """The task or tasks that somebody waits for.

    Attributes:
        wait: tells whether it has ended within so many seconds; None is no limit.
        n_done: tells how much of it has ended.
    """

    wait: Callable[[float | None], bool]
    n_done: Callable[[], int]


class Notices:
    """The sentences that somebody who waits for long is told, ever more rarely.

    Args:
        notice: returns one; empty if there is nothing new to say.
    """

    def __init__(self, notice: Callable[[], str]) -> None:
        self._notice = notice
        self._due_s = NOTICE_AFTER_S

    def look(self, past_s: float, bar: Bar | None = None) -> None:
        """Say one if it is time to, after *past_s* seconds of waiting."""
        if past_s < self._due_s:
            return
        self._due_s = past_s + min(2 * self._due_s, _MOST_SILENCE_S)
        if said := self._notice():
            if bar is not None:
                bar.clear()
            write(sys.stderr, f"{said}\n")

    def wait(self, work: Work, timeout: float | None) -> bool:
        """Wait as `wait_showing` does, without a bar."""
        limit_s = inf if timeout is None or timeout < 0 else timeout
        began = time.monotonic()
        while True:
            past_s = time.monotonic() - began
            self.look(past_s)
            left_s = min(limit_s, self._due_s) - past_s
            if work.wait(max(0.0, left_s)):
                return True
            if time.monotonic() - began >= limit_s:
                return False


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
    notices: Notices | None = None,
) -> bool:
    """Wait until *work* has ended, and close *bar* whatever happens.

    Args:
        work: what to wait for.
        bar: shows how far it is.
        interval: seconds between updates.
        timeout: seconds; None or a negative number waits for as long as it takes.
        io: says so if there are no engines that would do the work.
        notices: says now and then why it takes so long.

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
            if notices is not None:
                notices.look(past_s, bar)
