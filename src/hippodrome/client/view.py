"""Flags, blocking or not, and history that all views share."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from hippodrome.briefly import brief_methods, end
from hippodrome.client.chunk import Chunk
from hippodrome.client.hints import Hinting, check_options
from hippodrome.client.history import HasHistory, History
from hippodrome.client.interruption import OwnCalls
from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.views.flags import Flags
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

F = TypeVar("F", bound=Flags)
Function = Callable[..., Any]

_changing = threading.Lock()  # what threads share of views; held for moments only


@brief_methods()
class ViewFlag:
    """An attribute of a view that is one of its flags."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, view: View[Any] | None, owner: type) -> Any:
        return self if view is None else getattr(view._flags, self._name)

    def __set__(self, view: View[Any], value: Any) -> None:
        view.set_flags(**{self._name: value})


@brief_methods("__setattr__", but=("spin", "apply_async"))
class View(Hinting, Live, HasHistory, Generic[F]):
    """A way to call functions on engines; made by a client.

    Args:
        client: whose engines.
        flags: see `Flags`.

    Attributes:
        client: the client.
    """

    track: ViewFlag = ViewFlag()
    targets: ViewFlag = ViewFlag()
    label: ViewFlag = ViewFlag()

    def __init__(self, client: Client, flags: F) -> None:
        self.client = client
        self._history = History(f"{client.session}_")
        self._blocks_by_default = bool(client.block)  # later changes are for views to come
        self._shared_flags = flags
        self._own = threading.local()
        self._executor: ViewExecutor | None = None
        self._n_overlays = 0  # in all threads; most of the time none has one
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
        return f"<{type(self).__name__} {self.targets}>"

    def _repr_html_(self) -> str:
        from hippodrome.client.looks.panels import of_view

        return of_view(self)

    def _instead(self) -> str:
        return self.client._instead()

    # ---- flags

    @property
    def block(self) -> bool:
        """Whether calls wait for their results."""
        return self._blocks(self._flags)

    @block.setter
    def block(self, value: bool | None) -> None:
        self.set_flags(block=value)

    def set_flags(self, **flags: Any) -> Self:
        """Change flags for all later calls, in every thread.

        Returns:
            The view itself.

        Raises:
            KeyError: there is no such flag.
            TypeError: a value is of the wrong type.
            ValueError: a value is out of range.
        """
        changed = self._checked(flags)
        if self._overlay is not None:
            self._own.flags = self._overlay.changed(changed)
        with _changing:  # another thread may change another flag
            self._shared_flags = self._shared_flags.changed(changed)
        return self

    def temp_flags(self, **flags: Any) -> AbstractContextManager[Self]:
        """Change flags within a ``with`` block, for calls in this thread only."""
        return self._overlaid(self._with(flags))

    @contextmanager
    def _overlaid(self, flags: F) -> Iterator[Self]:
        before = self._overlay
        self._own.flags = flags
        with _changing:
            self._n_overlays += 1
        try:
            yield self
        finally:
            self._own.flags = before
            with _changing:
                self._n_overlays -= 1

    @property
    def _overlay(self) -> F | None:
        return getattr(self._own, "flags", None)

    @property
    def _flags(self) -> F:
        return (self._overlay if self._n_overlays else None) or self._shared_flags

    def _with(self, changes: dict[str, Any]) -> F:
        """Return the flags in force here, with some changed; for one call."""
        return self._flags.changed(self._checked(changes)) if changes else self._flags

    def _checked(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return *changes* with targets turned into ids."""
        return changes

    def _blocks(self, flags: Flags) -> bool:
        return self._blocks_by_default if flags.block is None else flags.block

    # ---- calls

    def apply(self, f: Function, /, *args: Any, **kwargs: Any) -> Any:
        """Call ``f(*args, **kwargs)``, and wait for the result if `block` says so.

        Returns:
            The result, or an `AsyncResult`.
        """
        return self._apply(self._flags, f, args, kwargs)

    def apply_async(self, f: Function, /, *args: Any, **kwargs: Any) -> AsyncResult:
        """Call ``f(*args, **kwargs)`` and return at once.

        Raises:
            SerializationError: the function or an argument cannot be pickled.
            TypeError: the function cannot be called.
            ControllerLost: there is no controller any more.
        """
        try:
            return self._submit(self._flags, f, args, kwargs)
        except BaseException as error:
            end(error)
            raise

    def apply_sync(self, f: Function, /, *args: Any, **kwargs: Any) -> Any:
        """Call ``f(*args, **kwargs)`` and return the result.

        Raises:
            RemoteError: the call raised.
        """
        with OwnCalls(self.client) as calls:
            return self._submit(self._flags, f, args, kwargs, calls).get()

    def map(
        self, f: Function, /, *sequences: Any, block: bool | None = None, **options: Any
    ) -> Any:
        """Call *f* with the elements of *sequences*, as the built-in ``map`` does.

        Args:
            f: the function.
            *sequences: read together, until the shortest one ends the map. One that is endless
                may be among them; alone it is for `LoadBalancedView.imap`.
            block: whether to wait; None is the view's `block`.
            **options: see the views.

        Returns:
            The list of results, or an `AsyncMapResult`.

        Raises:
            ValueError: it is known that none of the sequences ends.
        """
        flags = self._flags
        return self._map(
            flags, self._blocks(flags) if block is None else block, f, sequences, options
        )

    def map_async(self, f: Function, /, *sequences: Any, **options: Any) -> AsyncMapResult:
        """Call `map` without waiting."""
        _refuse_block(options, "map_async")
        check_options(type(self)._submit_map, options)
        return self._submit_map(self._flags, f, sequences, **options)

    def map_sync(self, f: Function, /, *sequences: Any, **options: Any) -> list[Any]:
        """Call `map` and return the list of results."""
        _refuse_block(options, "map_sync")
        results: list[Any] = self._map(self._flags, True, f, sequences, options)
        return results

    def _apply(self, flags: F, f: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        waits = self._blocks(flags)
        with OwnCalls(self.client, waits) as calls:
            result = self._submit(flags, f, args, kwargs, calls)
            return result.get() if waits else result

    def _map(
        self,
        flags: F,
        waits: bool,
        f: Function,
        sequences: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        check_options(type(self)._submit_map, options)
        with OwnCalls(self.client, waits) as calls:
            result = self._submit_map(flags, f, sequences, calls, **options)
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

    # The options of a map differ between views.
    _submit_map: Callable[..., AsyncMapResult]

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

    # ---- decorators

    def remote(
        self, block: bool | None = None, **flags: Any
    ) -> Callable[[Function], RemoteFunction]:
        """Return a decorator that makes a function run on this view.

        Whether its calls wait is as *block* says, or as the view's `block` is now.
        """
        from hippodrome.client.views.remote import remote

        return remote(self, self.block if block is None else block, **flags)

    def parallel(
        self, dist: str = "b", block: bool | None = None, **flags: Any
    ) -> Callable[[Function], ParallelFunction]:
        """Return a decorator that makes a function work on parts of its sequences here.

        Whether its calls wait is as *block* says, or as the view's `block` is now.
        """
        from hippodrome.client.views.remote import parallel

        return parallel(self, dist, self.block if block is None else block, **flags)

    @property
    def executor(self) -> ViewExecutor:
        """This view as a `concurrent.futures.Executor`; a new one when that has been shut down."""
        from hippodrome.client.views.executor import ViewExecutor

        with _changing:  # threads that come at the same time get the same one
            if self._executor is None or self._executor._is_shut_down:
                self._executor = ViewExecutor(self)
            return self._executor

    # ---- what the client does, for this view

    @property
    def outstanding(self) -> set[MsgId]:
        """The tasks of this view without a result."""
        history = self._history
        return {msg_id for msg_id in self.client.outstanding if msg_id in history}

    @property
    def results(self) -> Any:
        """The client's results by msg_id."""
        return self.client.results

    def spin(self) -> None:
        """Do nothing. Deprecated: results come by themselves."""
        warn_of_spinning("spin")

    def wait(self, jobs: Any = None, timeout: float | None = -1) -> bool:
        """Wait for jobs, by default all that are outstanding; see `Client.wait`."""
        return self.client.wait(self._jobs(jobs), timeout)

    def abort(self, jobs: Any = None, targets: Any = None, block: bool | None = None) -> Any:
        """Keep jobs, by default all of this view's, from starting; see `Client.abort`."""
        return self.client.abort(self._jobs(jobs), targets, block)

    def queue_status(self, targets: Any = None, verbose: bool = False) -> Any:
        """Return how much the engines have to do; see `Client.queue_status`."""
        return self.client.queue_status(self._targets_or(targets), verbose)

    def purge_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Forget tasks, here and in the hub; see `Client.purge_results`.

        Args:
            jobs: as for the client; indices count in this view's `history`.
            targets: as for the client; ``"all"`` is the engines of this view.
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
        """Stop engines; see `Client.shutdown`."""
        return self.client.shutdown(self._targets_or(targets), restart, hub, block)

    def get_result(
        self, indices_or_msg_ids: Any = None, block: bool | None = None, owner: bool = False
    ) -> AsyncResult:
        """Return the `AsyncResult` of tasks of this view; see `Client.get_result`.

        Indices count in this view's `history`.
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


def _refuse_block(options: dict[str, Any], method: str) -> None:
    if "block" in options:
        raise TypeError(f"{method} does not take block: its name says whether it waits")


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
