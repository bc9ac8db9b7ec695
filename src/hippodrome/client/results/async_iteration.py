"""Iterating over results in a coroutine, while its event loop does other things."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hippodrome.client.results.result import AsyncResult
    from hippodrome.protocol.messages import Piece


async def iterate(result: AsyncResult) -> AsyncIterator[Any]:  # Any: what tasks returned
    """Yield the items of a result in the order in which it is iterated, once they have come.

    Raises:
        RemoteError: a task failed, and errors do not take the place of results.
        CancelledError: it was cancelled before all had come; asyncio's own, as when it is awaited.
    """
    arrivals = Arrivals()
    result.add_viewer(arrivals)
    result.add_done_callback(arrivals.wake)  # the end may come without a task's
    try:
        for number in range(len(result.msg_ids)):
            index = await _next_place(result, number, arrivals)
            for item in _items(result, index):
                yield item
    finally:
        result.remove_viewer(arrivals)


async def _next_place(result: AsyncResult, number: int, arrivals: Arrivals) -> int:
    """Wait until *number* tasks, and one more, can be had; return which the last one is."""
    await arrivals.until(lambda: result._place(number) is not None or result.done())
    place = result._place(number)
    if place is None:
        raise asyncio.CancelledError
    return place


def _items(result: AsyncResult, index: int) -> Sequence[Any]:
    try:
        return result._items(index, result._settled(index))
    except CancelledError:
        raise asyncio.CancelledError from None  # another class than that of other futures


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

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until *is_so*, which is asked again after each change."""
        while not is_so():
            self._news.clear()
            await self._news.wait()
