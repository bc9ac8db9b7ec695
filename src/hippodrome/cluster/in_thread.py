"""Coroutines made from methods that block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from asyncio import Future

R = TypeVar("R")


async def in_thread(work: Callable[[], R], undo: Callable[[R], object] | None = None) -> R:
    """Do *work* in a thread, and return what it returns.

    A thread cannot be interrupted. So if this is cancelled, it ends only when *work* has, however
    often it is cancelled meanwhile; and what that has done is undone, if *undo* says how.

    Args:
        work: blocks.
        undo: takes what *work* returned; run in a thread too.
    """
    from asyncio import CancelledError, get_running_loop  # a blocking program does without

    # Futures rather than tasks: a loop that ends cancels all tasks, and would not wait for these.
    start = get_running_loop().run_in_executor
    working = start(None, work)
    if not await _outlast(working):
        return working.result()
    if undo is not None and working.exception() is None:
        undoing = start(None, undo, working.result())
        await _outlast(undoing)
        undoing.result()
    raise CancelledError


async def _outlast(future: Future[Any]) -> bool:  # Any: it is not asked for its result
    """Wait until *future* has ended; return whether this was cancelled meanwhile."""
    from asyncio import CancelledError, wait

    is_cancelled = False
    while not future.done():
        try:
            await wait([future])
        except CancelledError:
            is_cancelled = True
    return is_cancelled
