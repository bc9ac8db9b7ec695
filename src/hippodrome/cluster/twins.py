"""Coroutines made from methods that block."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def in_thread(method: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:  # Any: as asyncio
    """Return a coroutine function that runs *method* in a thread.

    Args:
        method: a method whose name ends with ``_sync``; the coroutine's is without it.
    """

    @functools.wraps(method)
    async def coroutine(*args: P.args, **kwargs: P.kwargs) -> R:
        import asyncio  # a blocking program does without

        return await asyncio.to_thread(method, *args, **kwargs)

    coroutine.__name__ = method.__name__.removesuffix("_sync")
    coroutine.__qualname__ = method.__qualname__.removesuffix("_sync")
    return coroutine
