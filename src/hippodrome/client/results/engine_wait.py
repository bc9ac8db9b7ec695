"""Waiting for engines to come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hippodrome.client.looks.bars import make_bar
from hippodrome.client.looks.progress import Work, wait_showing
from hippodrome.client.results.future import LazyFuture
from hippodrome.client.results.owner import Connection
from hippodrome.errors import EngineError
from hippodrome.protocol.messages import EngineId, EngineInfo

INTERVAL_S: Final = 0.2  # between updates of a progress bar


class EngineWait(LazyFuture[None]):
    """Ends when there are *n* engines, or with an error when one leaves."""

    def __init__(self, io: Connection, n: int) -> None:
        if isinstance(n, bool) or not hasattr(n, "__index__"):
            raise TypeError(f"n is a number of engines, an int, not {n!r:.60}")
        self._io = io
        self._n = n
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
            in_time = wait_showing(Work(self.wait, self.n_done), bar, INTERVAL_S, timeout)
        finally:
            self._io.unwatch_engines(self._on_change)
        if not in_time:
            raise TimeoutError(
                f"{len(self._io.engines)} of {self._n} engines are there after {timeout:g} s"
            )
        self.result()

    def wait(self, timeout: float | None) -> bool:
        """Wait, and return whether it has ended; see `Work`."""
        return self._wait_until(self.done, timeout)

    def n_done(self) -> int:
        """Return how many of the engines are there; all, once they have been."""
        has_succeeded = self.done() and self._exception is None
        return self._n if has_succeeded else min(self._n, len(self._io.engines))

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
