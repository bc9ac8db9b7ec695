"""Decorators that make a function run on a view."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, Literal, Unpack, overload

from hippodrome.briefly import brief, brief_methods
from hippodrome.client.hints import check_callable
from hippodrome.client.inputs import same_length
from hippodrome.client.interruption import OwnCalls
from hippodrome.client.results.gathered import AsyncGatherResult
from hippodrome.client.view import Function, P, R, View, function_name
from hippodrome.client.views.flags import MapValues, OtherFlagValues, PartValues
from hippodrome.client.views.partition import check_chunksize, check_dist, part
from hippodrome.errors import LeftBehindError
from hippodrome.live import StandIn

if TYPE_CHECKING:
    from hippodrome.client.results.result import AsyncResult
    from hippodrome.client.views.balanced import LoadBalancedView


@brief_methods()
class RemoteFunction(Generic[P, R]):
    """A function that runs on a view when it is called.

    Args:
        view: where.
        f: the function.
        block: whether to wait for the result; None is the view's `block`.
        **flags: flags of the view that are changed for the calls.

    Raises:
        TypeError: *f* cannot be called, or the value of a flag is of the wrong type.
        ValueError: the value of a flag is out of range.
        KeyError: there is no such flag.

    >>> root = ipp.remote(lbv, block=True)(lambda x: x**0.5)
    >>> root(16)
    4.0
    """

    def __init__(
        self,
        view: View[Any],
        f: Callable[P, Any],
        block: bool | None = None,
        **flags: Unpack[OtherFlagValues],
    ) -> None:
        check_callable(f)
        functools.update_wrapper(self, f)
        self.view = view
        self.func = f
        self.block = block
        self.flags: dict[str, Any] = dict(flags) if block is None else {**flags, "block": block}
        self._check_flags()

    def __repr__(self) -> str:
        about = "".join(f", {name}={value!r:.60}" for name, value in self.flags.items())
        return f"<{type(self).__name__} {function_name(self.func)} on {self.view!r}{about}>"

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the result, or an `AsyncResult`."""
        flags = self._flags()
        found: R = self.view._apply(flags, self.func, args, kwargs)
        return found

    def map(
        self,
        *sequences: Iterable[Any],
        block: bool | None = None,
        **options: Unpack[MapValues],
    ) -> Any:
        """Call the function for each element of the sequences; see `View.map`.

        >>> @lbv.remote(block=True)
        ... def square(x):
        ...     return x * x
        >>> square.map(range(4))
        [0, 1, 4, 9]
        """
        with self.view._overlaid(self._flags()):
            return self.view.map(self.func, *sequences, block=block, **options)

    def _check_flags(self) -> None:
        """Raise what calls would; which engines there are is asked at each of them."""
        view: object = self.view
        if not isinstance(view, StandIn):
            known = {name: value for name, value in self.flags.items() if name != "targets"}
            self.view._flags.changed(known)

    def _flags(self) -> Any:
        """Return the flags of a call.

        Raises:
            LeftBehindError: this is an engine, which has the function but not the view.
        """
        view: object = self.view
        if isinstance(view, StandIn):
            name = function_name(self.func)
            raise LeftBehindError(
                f"{name} is a {type(self).__name__} of a view, which stayed in the program that "
                f"made it: call what it wraps, as {name}.func(...)"
            )
        return self.view._with(self.flags)


@brief_methods()
class ParallelFunction(RemoteFunction[..., Any]):
    """A function that gets parts of its sequences, each on another engine.

    Args:
        view: where.
        f: called with a part of each sequence; returns a sequence.
        dist: ``"b"`` for contiguous parts, ``"r"`` for every n-th element.
        block: whether to wait for the result; None is the view's `block`.
        chunksize: how many elements a part has; by default one with a load-balanced view, and
            otherwise as many as make one part for each engine.
        ordered: whether iteration over the result keeps the order of the parts.
        return_exceptions: whether errors take the place of results.
        **flags: flags of the view that are changed for the calls.

    >>> total = ipp.parallel(view, block=True)(lambda part: [sum(part)])
    >>> total(range(6))
    [3, 12]
    """

    def __init__(
        self,
        view: View[Any],
        f: Function,
        dist: str = "b",
        block: bool | None = None,
        chunksize: int | None = None,
        ordered: bool = True,
        return_exceptions: bool = False,
        **flags: Unpack[OtherFlagValues],
    ) -> None:
        super().__init__(view, f, block, **flags)
        check_dist(dist)
        if chunksize is not None:
            check_chunksize(chunksize)
        self.dist = dist
        self.chunksize = chunksize
        self.ordered = ordered
        self.return_exceptions = return_exceptions

    def __call__(self, /, *sequences: Any) -> Any:
        """Return the results of the parts put together, or an `AsyncMapResult` of that.

        Raises:
            ValueError: the sequences differ in length; those that are known to be endless, as
                ``itertools.repeat(x)`` is, are as long as the others, but one of them must end.
        """
        flags = self._flags()
        cut = same_length(sequences)
        length = len(cut[0]) if cut else 0
        if not length:
            return []
        n = max(1, min(length, self._n_parts(length)))
        calls = [tuple(part(s, i, n, self.dist) for s in cut) for i in range(n)]
        client, waits = self.view.client, self.view._blocks(flags)
        with OwnCalls(client, waits) as own:
            result = AsyncGatherResult(
                client,
                client._submissions.new_ids(len(calls)),
                function_name(self.func),
                dist=self.dist,
                ordered=self.ordered,
                return_exceptions=self.return_exceptions,
            )
            self.view._post_all(flags, self.func, calls, result, own)
            return result.get() if waits else result

    def map(
        self,
        *sequences: Iterable[Any],
        block: bool | None = None,
        **options: Unpack[MapValues],
    ) -> Any:
        """Call the function for each element of the sequences; see `View.map`.

        >>> @view.parallel(block=True)
        ... def square(x):
        ...     return x * x
        >>> square.map(range(4))
        [0, 1, 4, 9]
        """
        own: MapValues = {"ordered": self.ordered, "return_exceptions": self.return_exceptions}
        if self.chunksize is not None and self._is_balanced:
            own["chunksize"] = self.chunksize
        own.update(options)
        return super().map(*sequences, block=block, **own)

    @property
    def _is_balanced(self) -> bool:
        return hasattr(self.view, "retries")

    def _n_parts(self, length: int) -> int:
        if self.chunksize is not None:
            return -(-length // self.chunksize)
        return length if self._is_balanced else len(self.view)


@overload
def remote(
    view: LoadBalancedView, block: Literal[True], **flags: Unpack[OtherFlagValues]
) -> Callable[[Callable[P, R]], RemoteFunction[P, R]]: ...
@overload
def remote(
    view: LoadBalancedView, block: Literal[False], **flags: Unpack[OtherFlagValues]
) -> Callable[[Callable[P, R]], RemoteFunction[P, AsyncResult[R]]]: ...
@overload
def remote(
    view: View[Any], block: bool | None = None, **flags: Unpack[OtherFlagValues]
) -> Callable[[Callable[P, Any]], RemoteFunction[P, Any]]: ...
def remote(
    view: View[Any], block: bool | None = None, **flags: Unpack[OtherFlagValues]
) -> Callable[[Function], RemoteFunction[..., Any]]:
    """Return a decorator that makes a function run on *view*; see `RemoteFunction`.

    Args:
        view: where.
        block: whether calls wait; None is the view's `block` at each of them.
        **flags: as for the view's ``set_flags``, for these calls.

    Raises:
        KeyError, TypeError, ValueError: raised by the decorator; see `RemoteFunction`.

    >>> @ipp.remote(lbv, block=True, retries=2)
    ... def square(x):
    ...     return x * x
    >>> square(7)
    49
    """
    return brief(lambda f: RemoteFunction(view, f, block, **flags))


def parallel(
    view: View[Any],
    dist: str = "b",
    block: bool | None = None,
    ordered: bool = True,
    **flags: Unpack[PartValues],
) -> Callable[[Function], ParallelFunction]:
    """Return a decorator for functions of sequences.

    Args:
        view: where.
        dist: as for `ParallelFunction`, as the others.
        block: whether calls wait.
        ordered: whether iteration over a result keeps the order of the parts.
        **flags: ``chunksize``, ``return_exceptions``, and flags of the view.

    Raises:
        KeyError, TypeError: raised by the decorator, as from `remote`.
        ValueError: the same, also if *dist* or a chunksize makes no sense.

    >>> @ipp.parallel(view, block=True)
    ... def squares(part):
    ...     return [x * x for x in part]
    >>> squares(range(4))
    [0, 1, 4, 9]
    """
    return brief(lambda f: ParallelFunction(view, f, dist, block, ordered=ordered, **flags))
