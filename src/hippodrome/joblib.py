"""joblib over the engines of a cluster.

    import joblib
    view.register_joblib_backend()
    with joblib.parallel_config("ipyparallel"):
        search.fit(x, y)

Calls that take microseconds are sent many at a time: joblib measures them, and makes batches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from joblib.parallel import (  # type: ignore[import-untyped,unused-ignore]
    AutoBatchingMixin,
    ParallelBackendBase,
    register_parallel_backend,
)

import hippodrome
from hippodrome.errors import ClusterError, ConnectionFileError

if TYPE_CHECKING:
    from hippodrome.client.balanced import LoadBalancedView
    from hippodrome.client.result import AsyncResult

NAME = "ipyparallel"  # the name that scripts use
CONNECT_WITHIN_S = 1.0


class ClusterBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """What joblib asks of a backend.

    Args:
        view: where calls go; by default to the profile's cluster, which is started if it is not
            running.
        **options: those of any joblib backend.
    """

    supports_sharedmem = False
    supports_timeout = True

    def __init__(self, view: LoadBalancedView | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._given = view
        self._made: LoadBalancedView | None = None
        self._outstanding: set[AsyncResult] = set()

    @property
    def view(self) -> LoadBalancedView:
        """Where calls go."""
        if self._given is not None:
            return self._given
        if self._made is None:
            self._made = _default_view()
        return self._made

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many calls may run at once.

        Raises:
            ValueError: *n_jobs* is 0.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 has no meaning")
        n_engines = max(1, len(self.view))
        if n_jobs is None or n_jobs < 0:
            return n_engines
        return min(n_jobs, n_engines)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """Get ready for the calls of *parallel*; returns how many may run at once."""
        self.parallel = parallel
        self._outstanding = set()
        return self.effective_n_jobs(n_jobs)

    def apply_async(
        self, func: Callable[[], Any], callback: Callable[[Any], None] | None = None
    ) -> AsyncResult:
        """Call *func* on an engine, and *callback* when it has ended."""
        result = self.view.apply_async(func)
        self._outstanding.add(result)
        result.add_done_callback(partial(self._end, callback))
        return result

    submit = apply_async

    def _end(self, callback: Callable[[Any], None] | None, result: Any) -> None:
        self._outstanding.discard(result)
        if callback is not None and not result.cancelled():
            callback(result)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Keep the calls from starting that have not.

        Args:
            ensure_ready: accepted; engines need nothing to be ready again.
        """
        for result in list(self._outstanding):
            result.cancel()
        self._outstanding = set()

    def terminate(self) -> None:
        """The calls of one `Parallel` are over; engines stay."""


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
