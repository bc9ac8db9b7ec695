"""Waiting for engines to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from hippodrome.client.looks.bars import make_bar
from hippodrome.client.looks.progress import Notices, Work, wait_showing
from hippodrome.client.results.future import LazyFuture
from hippodrome.client.results.owner import Connection
from hippodrome.errors import ClusterError, EngineError
from hippodrome.protocol.messages import START_UP, STARTING, EngineId, EngineInfo
from hippodrome.protocol.reading import one_line

INTERVAL_S: Final = 0.2  # between updates of a progress bar
_ANSWER_S: Final = 1.0
_MOST_NAMED: Final = 3
_MOST_REASON: Final = 200
_LINES: Final = "; its last lines of stderr:"  # that follow in a reason, and are no sentence


class EngineWait(LazyFuture[None]):
    """Ends when there are *n* engines, or with an error when one leaves.

    Args:
        io: tells of engines.
        n: how many there have to be.
        launched: says how far those who start engines are; nothing if nobody does that elsewhere.
    """

    def __init__(self, io: Connection, n: int, launched: Callable[[], str] = str) -> None:
        if isinstance(n, bool) or not hasattr(n, "__index__"):
            raise TypeError(f"n is a number of engines, an int, not {n!r:.60}")
        self._io = io
        self._n = n
        self._launched = launched
        self._said = ""
        io.watch_engines(self._on_change)
        self._on_change(io.engines, {})

    def wait_showing(
        self, timeout: float | None, interactive: bool | None, widget: bool | None
    ) -> None:
        """Wait; see `Client.wait_for_engines`."""
        bar = None
        if not self.done():
            bar = make_bar(
                self._n,
                "engines",
                "engines",
                initial=self.n_done(),
                interactive=interactive,
                widget=widget,
            )
        try:
            work = Work(self.wait, self.n_done)
            notices = Notices(self._notice)
            if bar is None:
                in_time = notices.wait(work, timeout)
            else:
                in_time = wait_showing(work, bar, INTERVAL_S, timeout, notices=notices)
        finally:
            self._io.unwatch_engines(self._on_change)
        if not in_time:
            raise TimeoutError(
                f"{len(self._io.engines)} of {self._n} engines are there after {timeout:g} s"
                f"{self._what_is_missing()}{self._what_is_launched()}"
            )
        self.result()

    def wait(self, timeout: float | None) -> bool:
        """Wait, and return whether it has ended; see `Work`."""
        return self._wait_until(self.done, timeout)

    def n_done(self) -> int:
        """Return how many of the engines are there; all, once they have been."""
        has_succeeded = self.done() and self._exception is None
        return self._n if has_succeeded else min(self._n, len(self._io.engines))

    def _what_is_missing(self) -> str:
        """Return what the hub knows of those that are not there; empty if it does not answer."""
        with suppress(TimeoutError, ClusterError):
            return what_is_missing(self._io.ask("engine_states", targets=None).result(_ANSWER_S))
        return ""

    def _what_is_launched(self) -> str:
        told = self._launched()
        return f"; {told}" if told else ""

    def _notice(self) -> str:
        """Return what to say to somebody who waits; empty if there is nothing new."""
        told = self._what_is_launched()
        said = f"{len(self._io.engines)} of {self._n} engines are there{told}" if told else ""
        is_new = said != self._said
        self._said = said
        return said if is_new else ""

    def _on_change(
        self, present: Mapping[EngineId, EngineInfo], left: Mapping[EngineId, str]
    ) -> None:
        if self._io.is_lost:
            self.set_exception(self._io.why_lost())
        elif len(present) >= self._n:
            self.set_result(None)
        elif left:
            engine, reason = next(iter(left.items()))
            self.set_exception(EngineError(f"engine {engine} left: {reason}"))
        if self.done():
            self._io.unwatch_engines(self._on_change)

    def _check_may_wait(self) -> None:
        self._io.check_may_wait()


def what_is_missing(states: Mapping[str, Any]) -> str:
    """Return which engines are not there yet, and which failed and why, as the end of a sentence.

    Args:
        states: as `Client.engine_states` returns them.
    """
    starting = [engine for engine in states["engines"] if engine["state"] == STARTING]
    firsts = [gone["reason"].partition("\n")[0].removesuffix(_LINES) for gone in states["gone"]]
    reasons = [first[first.index(START_UP) :] for first in firsts if START_UP in first]
    parts = []
    if starting:
        where = [f"{one['engine_id']} on {one['host']}" for one in starting[:_MOST_NAMED]]
        more = ["..."] if len(starting) > _MOST_NAMED else []
        verb = "is" if len(starting) == 1 else "are"
        parts.append(f"{len(starting):,} {verb} in the start-up ({', '.join([*where, *more])})")
    for reason, n in Counter(reasons).most_common(_MOST_NAMED):
        parts.append(f"{n:,} left in the {one_line(reason, _MOST_REASON)}")
    return "".join(f"; {part}" for part in parts)
