"""A view as a `concurrent.futures.Executor`, for programs that know nothing of clusters."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, Unpack

from hippodrome.briefly import brief, brief_methods, end
from hippodrome.client.interruption import give_up, is_ctrl_c, own_items
from hippodrome.client.results.future import check_seconds
from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.views.balanced import LoadBalancedView
from hippodrome.client.views.flags import LazyMapValues
from hippodrome.errors import ClusterError
from hippodrome.live import Live

if TYPE_CHECKING:
    from hippodrome.client.view import P, R, View
    from hippodrome.client.views.imap import LazyMapIterator


@brief_methods(but=("submit",))
class ViewExecutor(Live, ProcessPoolExecutor):
    """Runs functions on the engines of a view; for any number of threads.

    It is a pool of processes, if not of this host alone, and has of the standard library's one no
    more than the type: by that, libraries such as adaptive know where to read how many workers.

    Args:
        view: where; with the flags in force at each call.

    Attributes:
        view: the view.

    >>> from concurrent.futures import as_completed
    >>> with rc.executor() as executor:
    ...     futures = [executor.submit(pow, 2, n) for n in range(4)]
    ...     sorted(future.result() for future in as_completed(futures))
    [1, 2, 4, 8]
    """

    def __init__(self, view: View[Any]) -> None:
        self.view = view
        self._is_shut_down = False
        self._noting = threading.Condition()
        self._n_submitting = 0  # threads in `submit`
        # weakly: the client keeps those that are not done, and no one needs the others
        self._submitted: weakref.WeakSet[AsyncResult] = weakref.WeakSet()
        self._earlier: weakref.WeakSet[AsyncResult] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"<ViewExecutor of {self.view!r}>"

    def __enter__(self) -> Self:
        with self._noting:  # what was submitted before is of other statements
            self._earlier = weakref.WeakSet(self._submitted)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Shut down; Ctrl-C in the block, or while waiting, does what it does to a statement."""
        try:
            self.shutdown(wait=not is_ctrl_c(error))
        except KeyboardInterrupt as late:
            self._give_up(late)
            raise
        if is_ctrl_c(error):
            self._give_up(error)

    def _give_up(self, error: BaseException | None) -> None:
        with self._noting:
            own = [result for result in self._submitted if result not in self._earlier]
        give_up(self.view.client, own, error)

    def _instead(self) -> str:
        return self.view._instead()

    @property
    def _max_workers(self) -> int:
        """How many engines there are now, for libraries that ask an executor so."""
        return len(self.view)

    def submit(
        self, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncResult[Any]:
        """Call ``fn(*args, **kwargs)``; the same as `View.apply_async`.

        Raises:
            RuntimeError: the executor has been shut down.

        >>> lbv.executor.submit(pow, 2, 5).result()
        32
        """
        try:
            with self._noting:
                self._check_is_open()
                self._n_submitting += 1
            result = None
            try:
                result = self.view.apply_async(fn, *args, **kwargs)
            finally:
                with self._noting:
                    self._n_submitting -= 1
                    if result is not None:
                        self._submitted.add(result)
                    self._noting.notify_all()
        except BaseException as error:
            end(error)
            raise
        return result

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        **options: Unpack[LazyMapValues],
    ) -> Iterator[R]:
        """Call *fn* with the elements of *iterables*, and return a generator of the results.

        All calls are submitted at once, as by any executor, unless *buffersize* limits them.

        Args:
            fn: the function.
            *iterables: the shortest one ends the map.
            timeout: seconds from now, within which each result must be there.
            chunksize: how many elements are one task, without a *buffersize*; in direct views each
                engine has one task.
            buffersize: how many tasks may be under way, in load-balanced views; the iterables are
                read no further, and may be endless.
            **options: of the view's `map`; with a *buffersize* of its `imap`.

        Raises:
            RuntimeError: the executor has been shut down.
            TypeError: *buffersize* is no int.
            ValueError: *buffersize* is less than 1, or nothing limits an endless map.
            TimeoutError: raised by the generator, as all errors of calls. However it ends, what has
                not started is aborted then.

        >>> list(lbv.executor.map(pow, [2, 3], [5, 2], timeout=10))
        [32, 9]
        """
        check_seconds(timeout)
        _check_buffersize(buffersize)
        self._check_is_open()
        deadline = None if timeout is None else time.monotonic() + timeout
        given: dict[str, Any] = dict(options)
        if isinstance(self.view, LoadBalancedView):
            if buffersize is not None or "max_outstanding" in given:
                given.setdefault("max_outstanding", buffersize)
                lazy = self.view.imap(fn, *iterables, **given)
                lazy.begin()
                self._note(*lazy.under_way)
                return _lazy_items(lazy, deadline)
            given["chunksize"] = chunksize
        result = self.view.map_async(fn, *iterables, **given)
        self._note(result)
        return _items(result, deadline)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. Engines are not stopped.

        Args:
            wait: whether to wait for what has been submitted.
            cancel_futures: whether to abort what has not started; that is cancelled then.

        >>> executor = lbv.executor
        >>> future = executor.submit(pow, 2, 5)
        >>> executor.shutdown()
        >>> future.done()
        True
        """
        with self._noting:
            self._is_shut_down = True
            if wait:  # also for what other threads are submitting
                self._noting.wait_for(lambda: not self._n_submitting)
            pending = [result for result in self._submitted if not result.done()]
        if cancel_futures and pending:
            for result in pending:
                result._tasks.is_given_up = True
            with suppress(ClusterError):  # without a controller there is nothing to abort
                self.view.client.abort(pending, block=False)
        if wait:
            self.view.client.wait(pending)

    def _note(self, *results: AsyncResult) -> None:
        with self._noting:
            self._submitted.update(results)

    def _check_is_open(self) -> None:
        if self._is_shut_down:
            raise RuntimeError("this executor has been shut down; its view has a new one")


def _check_buffersize(size: object) -> None:
    if size is None:
        return
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(f"buffersize must be an int or None, not {size!r}")
    if size < 1:
        raise ValueError(f"buffersize must be at least 1, not {size}")


@brief
def _items(result: AsyncMapResult, deadline: float | None) -> Iterator[Any]:
    try:
        yield from own_items(result, deadline)
    finally:
        if not result.done():
            result.cancel()


@brief
def _lazy_items(lazy: LazyMapIterator, deadline: float | None) -> Iterator[Any]:
    try:
        yield from lazy.until(deadline)
    finally:
        lazy.cancel()
