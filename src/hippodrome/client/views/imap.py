"""A map over inputs that may have no end: tasks are submitted as results are taken."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from hippodrome.briefly import brief_methods
from hippodrome.client.hints import check_callable
from hippodrome.client.inputs import check_ends, iterator_of
from hippodrome.client.interruption import ABORT, OwnCalls, give_up, is_ctrl_c
from hippodrome.client.results.result import AsyncResult
from hippodrome.live import Live

if TYPE_CHECKING:
    from hippodrome.client.views.balanced import LoadBalancedView


@brief_methods()
class LazyMapIterator(Live, Iterator[Any]):
    """Iterates over the results of a function.

    Everything happens in the thread that iterates. Not for several threads at once.

    Args:
        view: where the tasks are submitted, with the flags in force now.
        f: the function.
        sequences: read no further than is needed.
        ordered: whether results keep the order of the elements.
        max_outstanding: how many tasks may be under way; ``"auto"`` is one for each engine, 0 is
            no limit.
        return_exceptions: whether errors take the place of results.
    """

    def __init__(
        self,
        view: LoadBalancedView,
        f: Callable[..., Any],
        sequences: tuple[Iterable[Any], ...],
        ordered: bool = True,
        max_outstanding: int | str = "auto",
        return_exceptions: bool = False,
    ) -> None:
        if max_outstanding != "auto" and (
            not isinstance(max_outstanding, int) or max_outstanding < 0
        ):
            raise ValueError(f"max_outstanding must be 'auto' or at least 0: {max_outstanding!r}")
        if not max_outstanding:
            check_ends(sequences, "limit how many tasks are under way")
        check_callable(f)
        self._view = view
        self._flags = view._flags
        self._f = f
        self._inputs = zip(*map(iterator_of, sequences), strict=False)
        self._ordered = ordered
        self._limit = max_outstanding
        self._return_exceptions = return_exceptions
        self._under_way: deque[AsyncResult] | set[AsyncResult] = deque() if ordered else set()
        self._ended: SimpleQueue[AsyncResult] = SimpleQueue()
        self._is_exhausted = False
        self._n_counted = 0

    def _instead(self) -> str:
        return "take its results there, and send these"

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._next(None)

    def until(self, deadline: float | None) -> Iterator[Any]:
        """Yield the results that come until then.

        Args:
            deadline: by the monotonic clock; None is never.

        Raises:
            TimeoutError: a result has not come.
        """
        with suppress(StopIteration):
            while True:
                yield self._next(deadline)

    def _next(self, deadline: float | None) -> Any:
        try:
            return self._taken(deadline)
        except KeyboardInterrupt as error:
            if is_ctrl_c(error):
                self._give_up(error)
            raise

    def _give_up(self, error: BaseException) -> None:
        """Do what Ctrl-C does to the calls of a statement: what is under way is of this one."""
        left, client = self.under_way, self._view.client
        if client.on_interrupt == ABORT:
            self._is_exhausted = True
            self._under_way.clear()
        give_up(client, left, error)

    def _taken(self, deadline: float | None) -> Any:
        self.submit_more()
        if not self._under_way:
            raise StopIteration
        result = self._next_result(None if deadline is None else deadline - time.monotonic())
        error = result.exception()
        if error is None:
            return result.get()
        if self._return_exceptions:
            return error
        raise error.with_traceback(None)

    def cancel(self) -> None:
        """Submit nothing more, and abort what has not started. Iteration ends."""
        self._is_exhausted = True
        waiting = [result for result in self._under_way if not result.done()]
        self._under_way.clear()
        if waiting:
            self._view.client.abort(waiting, block=False)

    @property
    def under_way(self) -> list[AsyncResult]:
        """The tasks whose results have not been taken."""
        return list(self._under_way)

    def begin(self) -> None:
        """Submit the first tasks, before anybody asks for a result."""
        try:
            self.submit_more()
        except KeyboardInterrupt as error:
            if is_ctrl_c(error):
                self._give_up(error)
            raise

    def submit_more(self) -> None:
        """Submit as many tasks as may be under way."""
        limit = self._limit
        if limit == "auto":
            limit = max(1, len(self._view))
        while not self._is_exhausted and (not limit or len(self._under_way) < int(limit)):
            try:
                args = next(self._inputs)
            except StopIteration:
                self._is_exhausted = True
                return
            with OwnCalls(self._view.client) as calls:
                self._add(self._view._submit(self._flags, self._f, args, {}, calls))

    def _add(self, result: AsyncResult) -> None:
        if isinstance(self._under_way, deque):
            self._under_way.append(result)
        else:
            self._under_way.add(result)
            result._about.own_items = self._count()
            result.add_done_callback(lambda _: self._ended.put(result))

    def _count(self) -> range:
        """Return which item this is, for its error: the next of those added, or of those taken."""
        self._n_counted += 1
        return range(self._n_counted - 1, self._n_counted)

    def _next_result(self, timeout: float | None) -> AsyncResult:
        if isinstance(self._under_way, deque):
            result = self._under_way[0]
            if not result.wait(None if timeout is None else max(0.0, timeout)):
                raise _late()
            result._about.own_items = self._count()
            return self._under_way.popleft()
        self._view.client._io.check_may_wait()
        try:
            result = self._ended.get(timeout=None if timeout is None else max(0.0, timeout))
        except Empty:
            raise _late() from None
        self._under_way.discard(result)
        return result


def _late() -> TimeoutError:
    return TimeoutError("a result of this map has not come in time")
