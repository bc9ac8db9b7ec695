"""The result of a map, which is a result for each item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, cast

from hippodrome.briefly import brief_methods, end
from hippodrome.client.chunk import Raised, is_flawed
from hippodrome.client.interruption import give_up, is_ctrl_c
from hippodrome.client.results.described import position
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.results.slots import Outcome, Slot, Value, place_in_map
from hippodrome.client.sources import with_sources
from hippodrome.protocol.messages import MsgId
from hippodrome.serialize import restore_error

if TYPE_CHECKING:
    from hippodrome.client.client import Client


@brief_methods(but=("get",))
class AsyncMapResult(AsyncResult):
    """The result of a map: an item for each call, iterable as results arrive.

    Args:
        sizes: how many items each task has; None if each task is an item.
        ordered: whether iteration keeps the order of submission.
        return_exceptions: whether errors take the place of results.
    """

    def __init__(
        self,
        client: Client,
        msg_ids: list[MsgId],
        fname: str,
        *,
        sizes: Sequence[int] | None = None,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> None:
        self._sizes = sizes
        self._starts: Sequence[int] | None = None  # the first item of each task, once asked for
        self._counted = (0, 0)  # how many of those that arrived, and their items
        self.ordered = ordered
        self.return_exceptions = return_exceptions
        if return_exceptions and sizes is not None:
            self._flaws = _flaws
        self._arrived = []
        super().__init__(client, msg_ids, fname, single=False)

    def __len__(self) -> int:
        return len(self._slots) if self._sizes is None else sum(self._sizes)

    @property
    def progress(self) -> int:
        """How many items have ended."""
        if self._sizes is None:
            return len(self._slots) - self._left
        n_tasks, n_items = self._counted
        new = self._order_of_arrival[n_tasks:]  # a bar asks often, and there may be many
        n_items += sum(map(self._sizes.__getitem__, new))
        self._counted = (n_tasks + len(new), n_items)  # at once: other threads ask too
        return n_items

    def _items_at(self, index: int) -> range | None:
        if self._sizes is None:
            return range(index, index + 1)
        if self._starts is None:
            self._starts = list(accumulate(self._sizes, initial=0))
        return range(self._starts[index], self._starts[index + 1])

    def _part(self, index: int) -> AsyncResult:
        part = super()._part(index)
        part._own_items = self._items_at(index)
        if self._sizes is not None:
            part._items_per_task = self._sizes[index]
        return part

    def get(
        self,
        timeout: float | None = None,
        return_exceptions: bool | None = None,
        return_when: str | None = None,
    ) -> Value:
        """Wait, and return the list of items; see `AsyncResult.get`."""
        if return_exceptions is None:
            return_exceptions = self.return_exceptions
        try:
            return super().get(timeout, return_exceptions, return_when)
        except BaseException as error:
            end(error)
            raise

    def _outcome(self) -> Outcome:
        if not self.return_exceptions:
            return super()._outcome()
        if self.owner:
            self._client._forget(self.msg_ids)
        return self._shape([self._value_or_error(i) for i in range(len(self._slots))]), None

    def _shape(self, values: list[Value]) -> Value:
        if self._sizes is None:
            return values
        return list(chain.from_iterable(map(self._items, range(len(values)), values)))

    def _items(self, index: int, value: Value) -> Sequence[Value]:
        """Return the items of one task; its error stands for each of them."""
        if self._sizes is None:
            return [value]
        if isinstance(value, BaseException):
            return [value] * self._sizes[index]
        if not self.return_exceptions:
            return cast("Sequence[Value]", value)
        return [self._restored(index, at, item) for at, item in enumerate(value)]

    def _restored(self, index: int, at: int, item: Value) -> Value:
        """Return element *at* of a chunk; its error, if its call raised."""
        if not isinstance(item, Raised):
            return item
        slot = self._slots[index]
        info = {} if slot is None else self._engine_info(slot[0], index)
        info.pop("items", None)
        return restore_error(
            with_sources(item.failure), info | place_in_map(self._items_at(index), at)
        )

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) or self._sizes is None:
            return super().__getitem__(key)
        if not isinstance(key, slice):
            key = position(key, len(self))
        return self.get()[key]

    def __iter__(self) -> Iterator[Value]:
        return self.until(None)

    def until(self, deadline: float | None, keeps: bool = True) -> Iterator[Value]:
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
                self._let_go(index)
            while items:
                yield items.pop()

    def own_items(self, deadline: float | None = None, keeps: bool = False) -> Iterator[Value]:
        """Yield the items as `until` does, to who has nothing else of this result.

        Ctrl-C does what it does to the calls of a statement, as nobody could get them any more.
        """
        try:
            yield from self.until(deadline, keeps)
        except KeyboardInterrupt as error:
            if is_ctrl_c(error):
                give_up(self._client, [self], error)
            raise

    def _has_failed(self) -> bool:
        return not self.return_exceptions and super()._has_failed()

    def _settled(self, index: int) -> Value:
        if not self.return_exceptions:
            return super()._settled(index)
        self._check_not_given_up(index)
        return self._value_or_error(index)

    def _arrivals(self, deadline: float | None) -> Iterator[int]:
        """Yield task numbers, each once its result is there: in order, or as they come."""
        if self.ordered:
            yield from range(len(self._slots))
            return
        for number in range(len(self._slots)):
            self._await(partial(self._has_arrived, number), deadline)
            yield self._order_of_arrival[number]

    def _place(self, number: int) -> int | None:
        if self.ordered:
            return super()._place(number)
        return self._order_of_arrival[number] if self._has_arrived(number) else None

    def _has_arrived(self, number: int) -> bool:
        return len(self._order_of_arrival) > number

    @property
    def _order_of_arrival(self) -> list[int]:
        return self._arrived or []


def _flaws(slot: Slot) -> bool:
    result, buffers, _ = slot
    return result.status == "ok" and is_flawed(result.payload, buffers)
