"""Views whose tasks go to whichever engine the scheduler chooses."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from hippodrome.briefly import brief_methods
from hippodrome.client.chunk import Chunk
from hippodrome.client.elements import apart
from hippodrome.client.hints import check_callable, check_sequences, takes_options
from hippodrome.client.inputs import check_ends, iterator_of
from hippodrome.client.integrations import register_joblib_backend
from hippodrome.client.interruption import OwnCalls
from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.view import (
    Function,
    View,
    function_name,
)
from hippodrome.client.views.flagged import ViewFlag
from hippodrome.client.views.flags import MapOptions, OtherFlagValues, TaskFlags, TaskFlagValues
from hippodrome.client.views.partition import check_chunksize
from hippodrome.serialize import dumps_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from hippodrome.client.client import Client
    from hippodrome.client.view import P, R
    from hippodrome.client.views.imap import LazyMapIterator
    from hippodrome.client.views.remote import RemoteFunction


@brief_methods()
class LoadBalancedView(View[TaskFlags]):
    """Calls functions on engines that the scheduler chooses.

    Args:
        client: whose engines.
        targets: ids of the engines that may be chosen; by default any.
        **flags: all others of `set_flags`.

    >>> lbv = rc.load_balanced_view(retries=2, label="sweep")
    >>> lbv.map_sync(pow, [2, 3], [5, 2])
    [32, 9]
    """

    after: ViewFlag = ViewFlag()
    follow: ViewFlag = ViewFlag()
    timeout: ViewFlag = ViewFlag()
    retries: ViewFlag = ViewFlag()

    def __init__(
        self, client: Client, targets: Any = None, **flags: Unpack[TaskFlagValues]
    ) -> None:
        super().__init__(client, TaskFlags())
        self.set_flags(targets=targets, **flags)

    def __len__(self) -> int:
        targets = self.targets
        return len(self.client) if targets is None else len(targets)

    if TYPE_CHECKING:  # what is known of a result that comes from one engine

        def apply_async(
            self, f: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
        ) -> AsyncResult[R]: ...

        def apply_sync(self, f: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

        @overload
        def remote(
            self, block: Literal[True], **flags: Unpack[OtherFlagValues]
        ) -> Callable[[Callable[P, R]], RemoteFunction[P, R]]: ...
        @overload
        def remote(
            self, block: Literal[False], **flags: Unpack[OtherFlagValues]
        ) -> Callable[[Callable[P, R]], RemoteFunction[P, AsyncResult[R]]]: ...
        @overload
        def remote(
            self, block: bool | None = None, **flags: Unpack[OtherFlagValues]
        ) -> Callable[[Callable[P, Any]], RemoteFunction[P, Any]]: ...
        def remote(self, block: bool | None = None, **flags: Any) -> Any: ...

    @takes_options
    def imap(
        self,
        f: Function,
        /,
        *sequences: Iterable[Any],
        ordered: bool = True,
        max_outstanding: int | str = "auto",
        return_exceptions: bool = False,
    ) -> LazyMapIterator:
        """Call *f* with the elements of *sequences*, which may be endless, as results are taken.

        Args:
            f: the function.
            *sequences: read no further than is needed.
            ordered: whether results keep the order of the elements, or come first come.
            max_outstanding: how many tasks may be under way; ``"auto"`` is one for each engine,
                0 is no limit.
            return_exceptions: whether errors take the place of results.

        Returns:
            An iterator over the results, which has a ``cancel`` method.

        Raises:
            TypeError: *f* cannot be called.
            ValueError: *max_outstanding* makes no sense.

        >>> import itertools
        >>> roots = lbv.imap(pow, itertools.count(1), itertools.repeat(0.5))
        >>> next(roots)
        1.0
        >>> roots.cancel()
        """
        from hippodrome.client.views.imap import LazyMapIterator

        return LazyMapIterator(self, f, sequences, ordered, max_outstanding, return_exceptions)

    def register_joblib_backend(
        self, name: str = "ipyparallel", make_default: bool = False
    ) -> None:
        """Let joblib run calls on this view; see `hippodrome.register_joblib_backend`.

        >>> import joblib
        >>> lbv.register_joblib_backend("cluster")
        >>> with joblib.parallel_config("cluster"):
        ...     joblib.Parallel()(joblib.delayed(abs)(n) for n in (-1, -2))
        [1, 2]
        """
        register_joblib_backend(name, make_default, self)

    def _checked(self, changes: dict[str, Any]) -> dict[str, Any]:
        if changes.get("targets") is None:
            return changes
        targets = changes["targets"]
        if isinstance(targets, str) and targets == "all":
            return changes | {"targets": None}
        return changes | {"targets": self.client._ids_of(targets)}

    def _submit(
        self,
        flags: TaskFlags,
        f: Function,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        calls: OwnCalls | None = None,
    ) -> AsyncResult:
        client = self.client
        out = client._submissions
        function, call = out.pickle(f), dumps_call(args, kwargs)
        options = flags.options(client._io.scheme)
        return out.one(client, function, call, options, (client._history, self._history), calls)

    def _submit_map(
        self,
        flags: TaskFlags,
        f: Function,
        sequences: tuple[Any, ...],
        options: MapOptions,
        calls: OwnCalls | None = None,
    ) -> AsyncMapResult:
        """Submit a task for each chunk."""
        check_sequences(sequences)
        check_callable(f)
        check_chunksize(options.chunksize)
        check_ends(sequences)
        elements = zip(*map(iterator_of, sequences), strict=False)
        if options.chunksize == 1:
            return self._submit_tasks(flags, f, list(elements), None, options, calls)
        chunks = [list(zip(*chunk, strict=True)) for chunk in _chunks(elements, options.chunksize)]
        sizes = [len(chunk[0]) for chunk in chunks]
        f = Chunk(f, options.return_exceptions)
        return self._submit_tasks(flags, f, [apart(c) for c in chunks], sizes, options, calls)

    def _submit_tasks(
        self,
        flags: TaskFlags,
        f: Function,
        calls: list[Any],
        sizes: list[int] | None,
        options: MapOptions,
        own: OwnCalls | None = None,
    ) -> AsyncMapResult:
        result = AsyncMapResult(
            self.client,
            self.client._submissions.new_ids(len(calls)),
            function_name(f),
            sizes=sizes,
            ordered=options.ordered,
            return_exceptions=options.return_exceptions,
        )
        return self._post_all(options.labelled(flags), f, calls, result, own)

    def _post_all(
        self,
        flags: TaskFlags,
        f: Function,
        calls: list[Any],
        result: AsyncMapResult,
        own: OwnCalls | None,
    ) -> AsyncMapResult:
        out, options = self.client._submissions, flags.options(self.client._io.scheme)
        function, pickled = out.pickle(f), [dumps_call(tuple(args), {}) for args in calls]
        out.to_any(result, function, pickled, options, self._books, own)
        return result


def _chunks(elements: Iterable[Any], size: int) -> Iterable[list[Any]]:
    return iter(functools.partial(_take, iter(elements), size), [])


def _take(elements: Any, size: int) -> list[Any]:
    return list(islice(elements, size))
