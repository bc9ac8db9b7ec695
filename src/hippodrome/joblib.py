"""joblib over the engines of a cluster.

    import joblib
    view.register_joblib_backend()
    with joblib.parallel_config("ipyparallel"):
        search.fit(x, y)

Where no number of jobs is given, all engines of the view work, as with ``n_jobs=-1``. An explicit
``n_jobs=1`` means to joblib that nothing is parallel: it makes the calls itself, in this process.

Calls that take microseconds are sent many at a time: joblib measures them, and makes batches.
Results are taken, and further calls dispatched, on a thread of the backend: for that joblib reads
the program's generator of calls, which may itself wait for tasks of the cluster.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from joblib.parallel import (  # type: ignore[import-untyped,unused-ignore]
    AutoBatchingMixin,
    BatchedCalls,
    ParallelBackendBase,
    register_parallel_backend,
)

import hippodrome
from hippodrome.client.elements import Elements, call_arrived
from hippodrome.client.interruption import give_up, interrupt_together, is_ctrl_c
from hippodrome.client.results.call import note_items
from hippodrome.client.results.result import AsyncResult
from hippodrome.errors import ClusterError, ConnectionFileError
from hippodrome.serialize.items import note_item

if TYPE_CHECKING:
    from hippodrome.client.views.balanced import LoadBalancedView

NAME = "ipyparallel"  # the name that scripts use
CONNECT_WITHIN_S: Final = 1.0
LEAST_JOBS: Final = 2  # with one, joblib asks no backend and makes the calls itself


class ClusterBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """A backend that joblib calls.

    Args:
        view: where calls go; by default to the profile's cluster, which is started if it is not
            running.
        **options: those of any joblib backend.
    """

    default_n_jobs = -1  # where none is given; the base class has 1, which needs no backend
    supports_sharedmem = False
    supports_timeout = True
    supports_retrieve_callback = True
    supports_return_generator = True

    def __init__(self, view: LoadBalancedView | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._given = view
        self._made: LoadBalancedView | None = None
        self._outstanding: set[Future[Any]] = set()
        self._n_calls = 0
        self._dispatcher: ThreadPoolExecutor | None = None  # of one thread, while calls are made

    @property
    def view(self) -> LoadBalancedView:
        """Where calls go."""
        if self._given is not None:
            return self._given
        if self._made is None:
            self._made = _default_view()
        return self._made

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many calls may be under way at once.

        Even for a single engine, or none yet, that is two: one runs and the next one is at hand.

        Raises:
            ValueError: *n_jobs* is 0.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 has no meaning")
        if n_jobs == 1:
            return 1
        most = max(LEAST_JOBS, len(self.view))
        return most if n_jobs is None or n_jobs < 0 else min(n_jobs, most)

    def configure(self, n_jobs: int | None = -1, parallel: Any = None, **options: Any) -> int:
        """Get ready for the calls of *parallel*; returns how many may be under way at once."""
        self.terminate()
        self.parallel = parallel
        self._outstanding = set()
        self._n_calls = 0
        self._dispatcher = ThreadPoolExecutor(1, "hippodrome-joblib")
        return self.effective_n_jobs(n_jobs)

    def apply_async(
        self, func: Callable[[], Any], callback: Callable[[Any], None] | None = None
    ) -> Future[Any]:
        """Call *func* on an engine, and *callback* when it has ended.

        Returns:
            A future. That it cannot be sent is the error of the future: whoever dispatches may be a
            thread whose errors nobody sees.
        """
        result: Future[Any]
        try:
            result = self.view.apply_async(batched_calls, _apart(func))
            note_items(result, self._count(func))
        except Exception as error:
            result = Future()
            result.set_exception(error)
        self._outstanding.add(result)
        result.add_done_callback(partial(self._end, callback))
        return result

    submit = apply_async

    def _count(self, func: Any) -> range:
        """Return which calls of the `joblib.Parallel` these are, for their error."""
        first = self._n_calls
        self._n_calls += len(func) if isinstance(func, BatchedCalls) else 1
        return range(first, self._n_calls)

    def _end(self, callback: Callable[[Any], None] | None, result: Future[Any]) -> None:
        """Note that a call has ended; on the client's I/O thread, which must not wait."""
        self._outstanding.discard(result)
        dispatcher = self._dispatcher
        if callback is None or dispatcher is None or result.cancelled():
            return
        with suppress(RuntimeError):  # it has been shut down: all is over
            dispatcher.submit(callback, result)

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """Return what a call returned, or raise its error."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Abort the calls, and interrupt those that run: nobody can get their results any more.

        Args:
            ensure_ready: accepted; engines need nothing to be ready again.
        """
        left = [result for result in self._outstanding if isinstance(result, AsyncResult)]
        self._outstanding = set()
        error = sys.exception()
        if is_ctrl_c(error):
            give_up(self.view.client, left, error)
        for result in left:
            result.cancel()
        interrupt_together(left)

    def terminate(self) -> None:
        """The calls of one `joblib.Parallel` are over; engines stay."""
        if self._dispatcher is not None:
            self._dispatcher.shutdown(wait=False)
            self._dispatcher = None


class Batch:
    """Several of joblib's calls as one; each starts from what was sent.

    Args:
        calls: what joblib made of them.

    Raises:
        SerializationError: one of them cannot be pickled.
    """

    def __init__(self, calls: BatchedCalls) -> None:
        self._context = (calls._backend, calls._n_jobs)
        self._items: Any = Elements(calls.items, "the calls of this batch")

    def __call__(self) -> list[Any]:
        calls, n_begun = BatchedCalls((), self._context), itertools.count()
        turns = zip(self._items, n_begun, strict=False)
        calls.items = ((call_arrived, item, {}) for item, _ in turns)  # each arrives at its turn
        try:
            results: list[Any] = calls()
        except BaseException:
            note_item(next(n_begun) - 1)
            raise
        return results


def batched_calls(calls: Callable[[], Any]) -> Any:
    """Make some calls. They are an argument, so that arrays in them are buffers of their own."""
    return calls()


def _apart(calls: Any) -> Any:
    return Batch(calls) if type(calls) is BatchedCalls and len(calls) > 1 else calls


IPythonParallelBackend = ClusterBackend  # the name that scripts import


def register(
    name: str = NAME, make_default: bool = False, view: LoadBalancedView | None = None
) -> None:
    """Let joblib know the backend by *name*.

    Args:
        name: for `joblib.parallel_config`.
        make_default: whether joblib uses it from now on where no other is named.
        view: see `ClusterBackend`.
    """
    register_parallel_backend(name, partial(ClusterBackend, view), make_default=make_default)


def _default_view() -> LoadBalancedView:
    try:
        client = hippodrome.Client(timeout=CONNECT_WITHIN_S)
    except (ConnectionFileError, ClusterError):
        client = hippodrome.Cluster().start_and_connect_sync()
    client.wait_for_engines()
    return client.load_balanced_view()
