"""What a checker knows of results: read by pyright, never run. A line that is wrong says so."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, assert_type

from hippodrome import AsyncHubResult, AsyncMapResult, AsyncResult


def of_one_task(ar: AsyncResult[int]) -> None:
    assert_type(ar.get(), int)
    assert_type(ar.get(timeout=1.0), int)
    assert_type(ar.result(), int)
    assert_type(ar.r, int)
    assert_type(ar.ready(), bool)
    assert_type(ar.split(), tuple[AsyncResult[Any], ...])
    assert_type(AsyncResult.join(ar, ar).get(), list[Any])
    future: Future[int] = ar
    assert_type(future.result(), int)


def of_a_map(ar: AsyncMapResult[str]) -> None:
    assert_type(ar.get(), list[str])
    assert_type(ar.result(), list[str])
    for item in ar:
        assert_type(item, str)


async def awaited(
    one: AsyncResult[int], several: AsyncMapResult[str], early: AsyncHubResult[float]
) -> None:
    assert_type(await one, int)
    assert_type(await several, list[str])
    assert_type(await early, float)
    assert_type([item async for item in several], list[str])


def of_whatever(ar: AsyncResult, items: AsyncMapResult) -> None:
    assert_type(ar.get(), Any)
    assert_type(items.get(), list[Any])


def wrong(ar: AsyncResult[int]) -> None:
    text: str = ar.get()  # pyright: ignore[reportAssignmentType]
    ar.get("soon")  # pyright: ignore[reportArgumentType]
    ar.get(time=1)  # pyright: ignore[reportCallIssue]
    print(text)
