"""Dependencies held by the client, for peers that know none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from benchmarks import calls


class CallbackDag:
    """Each task is submitted by the callback of the last one that it waits for."""

    submit: Callable[..., Any]

    def dag(self, layers: int, width: int) -> list[Any]:
        return _Dag(self.submit, layers, width).run()


class _Dag:
    def __init__(self, submit: Callable[..., Future[Any]], layers: int, width: int) -> None:
        self._submit = submit
        self._layers = layers
        self._width = width
        self._values: list[list[Any]] = [[None] * width for _ in range(layers)]
        self._missing = [[2] * width for _ in range(layers)]
        self._left = layers * width
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> list[Any]:
        for i in range(self._width):
            self._watch(self._submit(calls.noop, i), 0, i)
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._values[-1]

    def _watch(self, future: Future[Any], layer: int, i: int) -> None:
        future.add_done_callback(lambda done: self._on_done(done, layer, i))

    def _on_done(self, future: Future[Any], layer: int, i: int) -> None:
        try:
            for j in self._note(future.result(), layer, i):
                values = self._values[layer]
                after = self._submit(calls.add, values[j], values[(j + 1) % self._width])
                self._watch(after, layer + 1, j)
        except BaseException as error:
            self._error = error
            self._done.set()

    def _note(self, value: Any, layer: int, i: int) -> list[int]:
        """Store one value; return which tasks of the next layer have both of theirs now."""
        with self._lock:
            self._values[layer][i] = value
            self._left -= 1
            if self._left == 0:
                self._done.set()
            if layer + 1 == self._layers:
                return []
            missing = self._missing[layer + 1]
            waiting = (i, (i - 1) % self._width)
            for j in waiting:
                missing[j] -= 1
            return [j for j in waiting if missing[j] == 0]
