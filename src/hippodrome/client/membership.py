"""Waiting for engines to come."""

from __future__ import annotations

from collections.abc import Mapping

from hippodrome.client.future import LazyFuture
from hippodrome.client.io import IOThread
from hippodrome.client.progress import make_bar, wait_showing
from hippodrome.errors import EngineError
from hippodrome.protocol.messages import EngineId, EngineInfo


class EngineWait(LazyFuture[None]):
    """Ends when there are *n* engines, or with an error when one leaves."""

    def __init__(self, io: IOThread, n: int) -> None:
        self._io = io
        self._n = n
        io.watch_engines(self._on_change)
        self._on_change(io.engines, {})

    def wait(self, timeout: float | None, interactive: bool | None, widget: bool | None) -> None:
        """Wait; see `Client.wait_for_engines`."""
        n_missing = self._n - len(self._io.engines)
        bar = None
        if not self.done() and interactive is not False and n_missing > 0:
            bar = make_bar(self._n, "engines", "engines", widget)
        if bar is None:
            in_time = self._wait_until(self.done, timeout)
        else:
            in_time = wait_showing(
                lambda step: self._wait_until(self.done, step),
                lambda: min(self._n, len(self._io.engines)),
                bar,
                0.2,
                timeout,
            )
        if not in_time:
            self._io.unwatch_engines(self._on_change)
            raise TimeoutError(
                f"{len(self._io.engines)} of {self._n} engines are there after {timeout:g} s"
            )
        self.result()

    def _on_change(
        self, present: Mapping[EngineId, EngineInfo], left: Mapping[EngineId, str]
    ) -> None:
        if self._io.is_over:
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
