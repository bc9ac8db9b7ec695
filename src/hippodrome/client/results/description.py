"""What a call is, and when it was submitted."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import accumulate
from typing import Final, Self

import msgspec

from hippodrome.protocol.messages import EngineId, Options

JUMP_S: Final = 1.0  # a clock that has moved by more than time did was set meanwhile
# by a clock that nobody sets, and that goes on while the machine sleeps
steady_s: Final = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Items:
    """The items of a map, by task.

    Args:
        sizes: how many items each task has; None if each task is an item.
    """

    def __init__(self, sizes: Sequence[int] | None) -> None:
        self.sizes = sizes
        self._starts: Sequence[int] | None = None  # the first item of each task, once asked for
        self._counted = (0, 0)  # how many of those that arrived, and their items

    def of(self, index: int) -> range:
        """Return which items task *index* has."""
        if self.sizes is None:
            return range(index, index + 1)
        if self._starts is None:
            self._starts = list(accumulate(self.sizes, initial=0))
        return range(self._starts[index], self._starts[index + 1])

    def n_in(self, arrived: Sequence[int]) -> int:
        """Return how many items the tasks have that *arrived*, which only grows."""
        if self.sizes is None:
            return len(arrived)
        n_tasks, n_items = self._counted
        new = arrived[n_tasks:]  # a bar asks often, and there may be many
        n_items += sum(map(self.sizes.__getitem__, new))
        self._counted = (n_tasks + len(new), n_items)  # at once: other threads ask too
        return n_items


class Description(msgspec.Struct, eq=False, gc=False):
    """What people and errors are told of a call.

    Attributes:
        fname: the name of the function.
        submitted: when it was.
        clock: how the wall clock went then, as compared to `steady_s`.
        method: what engines were asked to do, if that is not what the call is named by.
        label: a name for the tasks.
        options: what the scheduler is told.
        targets: the engines to which its tasks were sent by name.
        execute_input: the code that they run.
        items: of a map.
        own_items: of a map, if this is one of its tasks.
        items_per_task: how many items each task has, unless that differs between tasks.
        has_parts: whether it is of the parts of a sequence, which are no items.
    """

    fname: str
    submitted: float
    clock: float
    method: str = ""
    label: str = ""
    options: Options | None = None
    targets: Sequence[EngineId] | None = None
    execute_input: str | None = None
    items: Items | None = None
    own_items: range | None = None
    items_per_task: int = 1
    has_parts: bool = False

    @property
    def name(self) -> str:
        """What people call it."""
        return self.label or self.fname

    def passed_s(self) -> float:
        """Return how many seconds have passed since submission, whatever clocks say."""
        return steady_s() + self.clock - self.submitted

    def came_at(self, received: float) -> float:
        """Return when something came that came just now, by the clock as it was at submission."""
        by_now = steady_s() + self.clock
        return received if abs(received - by_now) < JUMP_S else by_now

    def begin_with(self, others: Iterable[Description]) -> None:
        """Be submitted when the first of *others* was, if there are any."""
        for first in sorted(others, key=lambda one: (one.submitted, one.clock))[:1]:
            self.submitted, self.clock = first.submitted, first.clock

    def items_at(self, index: int) -> range | None:
        """Return which items of a map task *index* has; None if that is not known."""
        return self.own_items if self.items is None else self.items.of(index)

    def of_task(self, index: int) -> Self:
        """Return the description of one task of the call."""
        part = copy.copy(self)
        part.method, part.has_parts = "", False
        if self.targets is not None:
            part.targets = [self.targets[index]]
        if self.items is not None:
            part.items, part.own_items = None, self.items.of(index)
            part.items_per_task = len(part.own_items)
        return part


class HubDescription(Description):
    """What the hub tells of tasks that were submitted elsewhere, or long ago."""

    is_dated: bool = False  # whether it is known when they were submitted

    def begin_at(self, submitted: float) -> None:
        """Be submitted then, by a clock that may differ from this one, if that is earlier."""
        # that this was made just now does not count
        self.submitted: float = min([submitted, *([self.submitted] if self.is_dated else [])])
        self.is_dated = True

    def passed_s(self) -> float:
        return max(0.0, time.time() - self.submitted)

    def came_at(self, received: float) -> float:
        return received  # by the clock that says when it was submitted
