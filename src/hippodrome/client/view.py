"""Flags, blocking or not, and history that all views share."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack

from hippodrome.briefly import brief_methods, end
from hippodrome.client.chunk import Chunk
from hippodrome.client.hints import Hinting, takes_options
from hippodrome.client.history import HasHistory, History
from hippodrome.client.interruption import OwnCalls
from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.submitting import Books
from hippodrome.client.views.flagged import F, Flagged
from hippodrome.client.views.flags import MapOptions, OtherFlagValues, PartValues
from hippodrome.headings import shown
from hippodrome.lazy import loader
from hippodrome.live import Live
from hippodrome.protocol.messages import MsgId

if TYPE_CHECKING:
    from hippodrome.client.client import Client
    from hippodrome.client.views.balanced import LoadBalancedView as LoadBalancedView
    from hippodrome.client.views.broadcast import BroadcastView as BroadcastView
    from hippodrome.client.views.direct import DirectView as DirectView
    from hippodrome.client.views.executor import ViewExecutor as ViewExecutor
    from hippodrome.client.views.remote import ParallelFunction, RemoteFunction

P = ParamSpec("P")
R = TypeVar("R")
Function = Callable[..., Any]

_making = threading.Lock()  # of executors; held for moments only


@brief_methods(but=("spin", "apply_async"))
class View(Hinting, Live, HasHistory, Flagged[F]):
    """A way to call functions on engines; made by a client.

    Args:
        client: whose engines.
        flags: see `Flags`.

    Attributes:
        client: the client.
    """

    def __init__(self, client: Client, flags: F) -> None:
        super().__init__(flags, bool(client.block))  # later changes are for views to come
        self.client = client
        self._history = History(f"{client.session}_")
        self._executor: ViewExecutor | None = None
        self._is_made = True

    def __copy__(self) -> Self:
        """Return a view with flags of its own."""
        made = object.__new__(type(self))
        vars(made).update(vars(self), _own=threading.local(), _n_overlays=0, _executor=None)
        return made

    def __len__(self) -> int:
        """Return the number of engines that calls may go to now."""
        raise NotImplementedError

    def __bool__(self) -> bool:
        return True  # also without engines

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self.targets)}>"

    def _repr_html_(self) -> str:
        from hippodrome.client.looks.panels import of_view

        return of_view(self)

    def _instead(self) -> str:
        return self.client._instead()

    @property
    def _books(self) -> Books:
        """The histories that have its tasks."""
        return self.client._history, self._history

    # ---- calls

    def apply(self, f: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call ``f(*args, **kwargs)``, and wait for the result if `block` says so.

        Returns:
            The result, or an `AsyncResult`.

        Raises:
            RemoteError: the call raised, and was waited for; the others as from `apply_async`.

        >>> view.block = True
        >>> view.apply(pow, 2, 5)
        [32, 32]
        """
        return self._apply(self._flags, f, args, kwargs)

    def apply_async(
        self, f: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncResult[Any]:
        """Call ``f(*args, **kwargs)`` and return at once.

        Raises:
            SerializationError: the function or an argument cannot be pickled.
            TypeError: the function cannot be called.
            ControllerLost: there is no controller any more.
            NoEnginesRegistered: there is nowhere to call it.

        >>> ar = lbv.apply_async(pow, 2, 5)
        >>> ar.get()
        32
        """
        try:
            return self._submit(self._flags, f, args, kwargs)
        except BaseException as error:
            end(error)
            raise

    def apply_sync(self, f: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call ``f(*args, **kwargs)`` and return the result.

        Raises:
            RemoteError: the call raised.
            CompositeError: it raised on several engines; the others as from `apply_async`.

        >>> lbv.apply_sync(pow, 2, 5)
        32
        >>> view.apply_sync(pow, 2, 5)
        [32, 32]
        """
        with OwnCalls(self.client) as calls:
            return self._submit(self._flags, f, args, kwargs, calls).get()

    @takes_options
    def map(
        self,
        f: Callable[..., R],
        /,
        *sequences: Iterable[Any],
        block: bool | None = None,
        chunksize: int = 1,
        ordered: bool = True,
        return_exceptions: bool = False,
        label: str | None = None,
        track: bool = False,
    ) -> Any:
        """Call *f* with the elements of *sequences*, as the built-in ``map`` does.

        Args:
            f: the function.
            *sequences: read together, until the shortest one ends the map. One that is endless
                may be among them; alone it is for `LoadBalancedView.imap`.
            block: whether to wait; None is the view's `block`.
            chunksize: how many elements are one task, in load-balanced views; in direct views each
                engine has one task, with its part of the sequences.
            ordered: whether iteration over the result keeps the order of the elements.
            return_exceptions: whether errors take the place of results.
            label: a name for the tasks; None is the view's `label`.
            track: accepted; see `AsyncResult.sent`.

        Returns:
            The list of results, or an `AsyncMapResult`.

        Raises:
            ValueError: it is known that none of the sequences ends.
            TypeError: there is no function, or something that is no sequence.
            CompositeError: calls raised, and were waited for; each of them is in it.

        >>> lbv.map(pow, [2, 3], [5, 2], block=True)
        [32, 9]
        """
        flags = self._flags
        waits = self._blocks(flags) if block is None else block
        options = MapOptions(chunksize, ordered, return_exceptions, label)
        with OwnCalls(self.client, waits) as calls:
            result = self._submit_map(flags, f, sequences, options, calls)
            return result.get() if waits else result

    @takes_options
    def map_async(
        self,
        f: Callable[..., R],
        /,
        *sequences: Iterable[Any],
        chunksize: int = 1,
        ordered: bool = True,
        return_exceptions: bool = False,
        label: str | None = None,
        track: bool = False,
    ) -> AsyncMapResult[R]:
        """Call `map` without waiting.

        Raises:
            TypeError: as from `map`.

        >>> for power in lbv.map_async(pow, [2, 3], [5, 2]):
        ...     print(power)
        32
        9
        """
        options = MapOptions(chunksize, ordered, return_exceptions, label)
        return self._submit_map(self._flags, f, sequences, options)

    @takes_options
    def map_sync(
        self,
        f: Callable[..., R],
        /,
        *sequences: Iterable[Any],
        chunksize: int = 1,
        ordered: bool = True,
        return_exceptions: bool = False,
        label: str | None = None,
        track: bool = False,
    ) -> list[R]:
        """Call `map` and return the list of results.

        Raises:
            CompositeError: calls raised; the others as from `map`.

        >>> lbv.map_sync(abs, range(-1000, 0), chunksize=100)[:3]
        [1000, 999, 998]
        """
        options = MapOptions(chunksize, ordered, return_exceptions, label)
        with OwnCalls(self.client) as calls:
            results: list[R] = self._submit_map(self._flags, f, sequences, options, calls).get()
            return results

    def _apply(self, flags: F, f: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        waits = self._blocks(flags)
        with OwnCalls(self.client, waits) as calls:
            result = self._submit(flags, f, args, kwargs, calls)
            return result.get() if waits else result

    def _submit(
        self,
        flags: F,
        f: Function,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        calls: OwnCalls | None = None,
    ) -> AsyncResult:
        """Submit a call; *calls* is told of it first, if there is somebody who waits."""
        raise NotImplementedError

    def _submit_map(
        self,
        flags: F,
        f: Function,
        sequences: tuple[Any, ...],
        options: MapOptions,
        calls: OwnCalls | None = None,
    ) -> AsyncMapResult:
        """Submit the tasks of a map; *calls* as for `_submit`."""
        raise NotImplementedError

    def _post_all(
        self,
        flags: F,
        f: Function,
        calls: list[Any],
        result: AsyncMapResult,
        own: OwnCalls | None,
    ) -> AsyncMapResult:
        """Submit one task for each of *calls*, all of them or, if one is unfit, none."""
        raise NotImplementedError

    def remote(
        self, block: bool | None = None, **flags: Unpack[OtherFlagValues]
    ) -> Callable[[Callable[P, Any]], RemoteFunction[P, Any]]:
        """Return a decorator that makes a function run on this view.

        Args:
            block: whether its calls wait; None is the view's `block` as it is now.
            **flags: as for `set_flags`, for its calls.

        Raises:
            KeyError, TypeError, ValueError: raised by the decorator; see `RemoteFunction`.

        >>> @lbv.remote(block=True)
        ... def square(x):
        ...     return x * x
        >>> square(7)
        49
        """
        from hippodrome.client.views.remote import remote

        return remote(self, self.block if block is None else block, **flags)

    def parallel(
        self,
        dist: str = "b",
        block: bool | None = None,
        ordered: bool = True,
        **flags: Unpack[PartValues],
    ) -> Callable[[Function], ParallelFunction]:
        """Return a decorator that makes a function work on parts of its sequences here.

        Args:
            dist: ``"b"`` for contiguous parts, ``"r"`` for every n-th element.
            block: whether its calls wait; None is the view's `block` as it is now.
            ordered: whether iteration over a result keeps the order of the parts.
            **flags: as for `set_flags`, and all others of `ParallelFunction`.

        Raises:
            KeyError, TypeError, ValueError: raised by the decorator; see `hippodrome.parallel`.

        >>> @view.parallel(block=True)
        ... def squares(part):
        ...     return [x * x for x in part]
        >>> squares(range(4))
        [0, 1, 4, 9]
        """
        from hippodrome.client.views.remote import parallel

        return parallel(self, dist, self.block if block is None else block, ordered, **flags)

    @property
    def executor(self) -> ViewExecutor:
        """This view as a `concurrent.futures.Executor`; a new one when that has been shut down.

        >>> lbv.executor.submit(pow, 2, 5).result()
        32
        """
        from hippodrome.client.views.executor import ViewExecutor

        with _making:  # threads that come at the same time get the same one
            if self._executor is None or self._executor._is_shut_down:
                self._executor = ViewExecutor(self)
            return self._executor

    # ---- what the client does, for this view

    @property
    def outstanding(self) -> set[MsgId]:
        """The tasks of this view without a result.

        >>> ar = lbv.apply_async(pow, 2, 5)
        >>> ar.wait() and lbv.outstanding
        set()
        """
        results = self.client._io.outstanding_results()
        return self._history._among((msg_id, result._era) for msg_id, result in results.items())

    @property
    def results(self) -> Any:
        """The client's results by msg_id.

        >>> ar = lbv.apply_async(pow, 2, 5)
        >>> lbv.wait()
        True
        >>> lbv.results[ar.msg_ids[0]]
        32
        """
        return self.client.results

    def spin(self) -> None:
        """Do nothing. Deprecated: results come by themselves."""
        warn_of_spinning("spin")

    def wait(self, jobs: Any = None, timeout: float | None = -1) -> bool:
        """Wait for jobs, by default all that are outstanding; see `Client.wait`.

        >>> ar = lbv.map_async(abs, [-1, -2])
        >>> lbv.wait(timeout=10)
        True
        """
        return self.client.wait(self._jobs(jobs), timeout)

    def abort(self, jobs: Any = None, targets: Any = None, block: bool | None = None) -> Any:
        """Keep jobs, by default all of this view's, from starting; see `Client.abort`.

        >>> import time
        >>> busy, idle = [rc[0].apply_async(time.sleep, 60) for _ in range(2)]
        >>> rc[0].abort(idle, block=True)
        >>> idle.exception()
        <TaskAborted[0]:...>
        >>> busy.interrupt()
        """
        return self.client.abort(self._jobs(jobs), targets, block)

    def queue_status(self, targets: Any = None, verbose: bool = False) -> Any:
        """Return how much the engines have to do; see `Client.queue_status`.

        >>> rc[0].queue_status()
        {'queue': ..., 'completed': ..., 'tasks': 0}
        """
        return self.client.queue_status(self._targets_or(targets), verbose)

    def purge_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Forget tasks, here and in the hub; see `Client.purge_results`.

        Args:
            jobs: as for the client; indices count in this view's `history`.
            targets: as for the client; ``"all"`` is the engines of this view.

        >>> lbv.apply_sync(abs, -2)
        2
        >>> lbv.purge_results(-1)
        """
        if isinstance(targets, str) and targets == "all":
            targets = self._targets_or(None)
        self.client.purge_results(self._jobs(jobs), targets)

    def shutdown(
        self,
        targets: Any = None,
        restart: bool = False,
        hub: bool = False,
        block: bool | None = None,
    ) -> Any:
        """Stop engines; see `Client.shutdown`.

        >>> with ipp.Cluster(n=2) as rc:
        ...     rc[0].shutdown(block=True)
        """
        return self.client.shutdown(self._targets_or(targets), restart, hub, block)

    def get_result(
        self, indices_or_msg_ids: Any = None, block: bool | None = None, owner: bool = False
    ) -> AsyncResult:
        """Return the `AsyncResult` of tasks of this view; see `Client.get_result`.

        Indices count in this view's `history`.

        >>> ar = lbv.apply_async(abs, -2)
        >>> lbv.get_result(-1).get()
        2
        """
        jobs = -1 if indices_or_msg_ids is None else indices_or_msg_ids
        return self.client.get_result(self._jobs(jobs), block, owner)

    def _jobs(self, jobs: Any) -> Any:
        """Return *jobs* with indices looked up in this view's history."""
        if jobs is None:
            return list(self.outstanding)
        if isinstance(jobs, int):
            return self.history[jobs]
        if isinstance(jobs, list | tuple | set):
            return [self.history[job] if isinstance(job, int) else job for job in jobs]
        return jobs

    def _targets_or(self, targets: Any) -> Any:
        if targets is not None:
            return targets
        return "all" if self.targets is None else self.targets


def function_name(f: Function) -> str:
    """Return what people call *f*."""
    inner = f.function if isinstance(f, Chunk) else f
    name = getattr(inner, "__name__", None)
    return name if isinstance(name, str) else type(inner).__name__


def warn_of_spinning(method: str) -> None:
    """Warn the caller of *method*, one of those that do nothing any more."""
    warnings.warn(
        f"{method}() does nothing: results come by themselves. Leave it out",
        DeprecationWarning,
        stacklevel=3,
    )


# The views, which import this module, under ipyparallel's name for theirs
__getattr__: Callable[[str], Any] = loader(
    __name__,
    {
        "BroadcastView": "hippodrome.client.views.broadcast",
        "DirectView": "hippodrome.client.views.direct",
        "LoadBalancedView": "hippodrome.client.views.balanced",
        "ViewExecutor": "hippodrome.client.views.executor",
    },
)
