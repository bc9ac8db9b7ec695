"""The result of a map, which is a result for each item."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from hippodrome.briefly import brief_methods
from hippodrome.client.chunk import Raised, is_flawed
from hippodrome.client.results.description import Items
from hippodrome.client.results.details import place_in_map
from hippodrome.client.results.future import T
from hippodrome.client.results.result import AsyncResult, position
from hippodrome.client.results.slot import Slot
from hippodrome.client.sources import with_sources
from hippodrome.protocol.messages import MsgId
from hippodrome.serialize import restore_error

if TYPE_CHECKING:
    from hippodrome.client.results.owner import Owner


@brief_methods(but=("get",))
class AsyncMapResult(AsyncResult[list[T]]):
    """The result of a map: an item for each call, iterable as results arrive.

    Args:
        sizes: how many items each task has; None if each task is an item.
        ordered: whether iteration keeps the order of submission.
        return_exceptions: see the attribute.

    >>> [n for n in lbv.map_async(abs, [-1, -2, -3])]
    [1, 2, 3]
    """

    def __init__(
        self,
        client: Owner,
        msg_ids: list[MsgId],
        fname: str,
        *,
        sizes: Sequence[int] | None = None,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> None:
        self._map = Items(sizes)
        self.ordered = ordered
        self._takes_errors = return_exceptions
        super().__init__(client, msg_ids, fname, single=False)
        self._about.items = self._map
        self._arrived = self._tasks.arrived = []
        if return_exceptions and sizes is not None:
            self._tasks.flaws = _flaws

    @property
    def return_exceptions(self) -> bool:
        """Whether errors take the place of results.

        >>> lbv.map_async(abs, [-1]).return_exceptions
        False
        """
        return self._takes_errors

    @return_exceptions.setter
    def return_exceptions(self, value: bool) -> None:
        self._takes_errors = value

    def __len__(self) -> int:
        sizes = self._map.sizes
        return self._n_tasks if sizes is None else sum(sizes)

    @property
    def progress(self) -> int:
        """How many items have ended.

        >>> ar = lbv.map_async(abs, [-1, -2])
        >>> ar.wait() and ar.progress
        2
        """
        return self._map.n_in(self._arrived)

    def _shape(self, values: list[Any]) -> Any:
        if self._map.sizes is None:
            return values
        return list(chain.from_iterable(map(self._items, range(len(values)), values)))

    def _items(self, index: int, value: Any) -> Sequence[Any]:
        """Return the items of one task; its error stands for each of them."""
        sizes = self._map.sizes
        if sizes is None:
            return [value]
        if isinstance(value, BaseException):
            return [value] * sizes[index]
        if not self.return_exceptions:
            return cast("Sequence[Any]", value)
        return [self._restored(index, at, item) for at, item in enumerate(value)]

    def _restored(self, index: int, at: int, item: Any) -> Any:
        """Return element *at* of a chunk; its error, if its call raised."""
        if not isinstance(item, Raised):
            return item
        result = self._tasks.result_of(index)
        info = {} if result is None else self._details.engine_info(result, index)
        info.pop("items", None)
        place = place_in_map(self._map.of(index), at)
        return restore_error(with_sources(item.failure), info | place)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) or self._map.sizes is None:
            return super().__getitem__(key)
        if not isinstance(key, slice):
            key = position(key, len(self))
        return self.get()[key]

    def __iter__(self) -> Iterator[T]:
        return self._until(None)

    def __aiter__(self) -> AsyncIterator[T]:
        return super().__aiter__()

    def _until(self, deadline: float | None, keeps: bool = True) -> Iterator[T]:
        """Yield the items that come until then.

        Args:
            deadline: by the monotonic clock; None is never.
            keeps: whether items that have been yielded can be had again.

        Raises:
            TimeoutError: an item has not come.
        """
        for index in self._arrivals(deadline):
            items = list(reversed(self._items(index, self._value_of(index, deadline))))
            if not keeps:
                self._details.let_go(index)
            while items:
                yield items.pop()

    def _arrivals(self, deadline: float | None) -> Iterator[int]:
        """Yield task numbers, each once its result is there: in order, or as they come."""
        if self.ordered:
            yield from range(self._n_tasks)
            return
        for number in range(self._n_tasks):
            self._await(partial(self._has_arrived, number), deadline)
            yield self._arrived[number]

    def _place(self, number: int) -> int | None:
        if self.ordered:
            return super()._place(number)
        return self._arrived[number] if self._has_arrived(number) else None

    def _has_arrived(self, number: int) -> bool:
        return len(self._arrived) > number


def _flaws(slot: Slot) -> bool:
    return slot.result.status == "ok" and is_flawed(slot.result.payload, slot.buffers)
