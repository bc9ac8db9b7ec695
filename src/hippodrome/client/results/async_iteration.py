"""Iterating over results in a coroutine, while its event loop does other things."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any  # Any: what tasks return

if TYPE_CHECKING:
    from hippodrome.client.results.slots import TaskSlots
    from hippodrome.protocol.messages import Piece


async def iterate(
    result: Future[Any],
    tasks: TaskSlots,
    place: Callable[[int], int | None],
    items: Callable[[int], Sequence[Any]],
) -> AsyncIterator[Any]:
    """Yield the items of a result in the order in which it is iterated, once they have come.

    Args:
        result: ends with the last of them.
        tasks: of the result.
        place: tells which task is number so-and-so of those iterated over; None if it has not come.
        items: returns those of a task that has ended.

    Raises:
        RemoteError: a task failed, and errors do not take the place of results.
        CancelledError: it was cancelled before all had come; asyncio's own, as when it is awaited.
    """
    arrivals = Arrivals()
    tasks.add_viewer(arrivals)
    result.add_done_callback(arrivals.wake)  # the end may come without a task's
    try:
        for number in range(len(tasks.slots)):
            while (index := place(number)) is None and not result.done():
                await arrivals.news()
            if index is None and (index := place(number)) is None:
                raise asyncio.CancelledError
            try:
                found = items(index)
            except CancelledError:
                raise asyncio.CancelledError from None  # another class than that of other futures
            for item in found:
                yield item
    finally:
        tasks.remove_viewer(arrivals)


class Arrivals:
    """Wakes a coroutine of the running loop whenever a task has ended; see `slots.Viewer`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._is_telling = False  # the loop has been told, and has not come to it yet

    def put(self, index: int, piece: Piece) -> None:
        """Not of interest: a task shows something."""

    def end(self, index: int) -> None:
        """A task has ended. On the I/O thread."""
        self.wake()

    def wake(self, _: object = None) -> None:
        """Something has changed; on any thread."""
        if not self._is_telling:
            self._is_telling = True
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._is_telling = False  # first: what changes from here on is told again
        self._news.set()

    async def news(self) -> None:
        """Wait for a change; one that came since the last wait counts."""
        await self._news.wait()
        self._news.clear()
