"""What a checker knows of calls: read by pyright, never run. A line that is wrong says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_type

import hippodrome as ipp


def scaled(x: float, *, by: int = 2) -> float:
    return x * by


client = ipp.Client()
view = client.load_balanced_view(targets=[0, 1], retries=2, label="sweep")
direct = client[:]

assert_type(view.apply_async(scaled, 1.0, by=3), ipp.AsyncResult[float])
assert_type(view.apply_async(scaled, 1.0).get(), float)
assert_type(view.apply_async(scaled, 1.0).result(timeout=3), float)
assert_type(view.apply_sync(scaled, 1.0), float)
assert_type(view.map_async(scaled, [1.0, 2.0]).get(), list[float])
assert_type(view.map_sync(scaled, [1.0, 2.0], chunksize=10), list[float])
assert_type(direct.apply_sync(scaled, 1.0), Any)
assert_type(direct.map_sync(scaled, [1.0, 2.0]), list[float])
for item in view.map_async(scaled, [1.0, 2.0], ordered=False):
    assert_type(item, float)
view.apply_async(ipp.Reference("f"), 1, 2, z=3)
with view.temp_flags(after=[view.apply_async(scaled, 1.0)], timeout=2.5):
    pass


async def awaiting() -> None:
    assert_type(await view.apply_async(scaled, 1.0), float)
    assert_type(await view.map_async(scaled, [1.0]), list[float])
    async for one in view.map_async(scaled, [1.0]):
        assert_type(one, float)


@view.remote(block=True, retries=2)
def now(x: float, *, by: int = 2) -> float:
    return x * by


@view.remote(block=False)
def later(x: float) -> float:
    return x


@ipp.remote(view, block=True, label="sweep")
def labelled(x: float) -> float:
    return x


@direct.remote()
def on_each(x: float) -> float:
    return x


@direct.parallel(ordered=False, chunksize=3)
def of_part(xs: list[float]) -> list[float]:
    return xs


@ipp.depend(scaled, 1.0, by=3)
def somewhere(x: float) -> str:
    return str(x)


@ipp.require("math", scaled, table=3)
def needing(x: float) -> str:
    return str(x)


assert_type(now(1.0, by=3), float)
assert_type(later(1.0), ipp.AsyncResult[float])
assert_type(labelled(1.0), float)
assert_type(on_each(1.0), Any)
assert_type(of_part(range(3)), Any)
assert_type(view.apply_sync(somewhere, 1.0), str)
assert_type(needing(1.0), str)
now.map([1.0], block=True, chunksize=3)
assert_type(view.apply_sync(scaled, ipp.Reference("x"), by=ipp.Reference("y")), float)
assert_type(view.apply_sync(scaled, ipp.PrePickled(1.0)), float)
assert_type(client.executor().map(scaled, [1.0], max_outstanding=3), Iterator[float])
assert_type(direct.imap(scaled, [1.0], ordered=False), Iterator[float])

view.apply_async(scaled, "1")  # pyright: ignore
view.apply_async(scaled, 1.0, b=3)  # pyright: ignore
view.apply_sync(scaled)  # pyright: ignore
view.map_async(scaled, [1.0], chunksise=3)  # pyright: ignore
view.map_sync(scaled, 3)  # pyright: ignore
client.load_balanced_view(retrys=3)  # pyright: ignore
client.direct_view(0, retries=3)  # pyright: ignore
view.set_flags(retries="3")  # pyright: ignore
ipp.Cluster(4)  # pyright: ignore
now("1")  # pyright: ignore
now(1.0, b=3)  # pyright: ignore
now.map([1.0], chunksise=3)  # pyright: ignore
on_each("1")  # pyright: ignore
somewhere("1")  # pyright: ignore
view.remote(retrys=3)  # pyright: ignore
view.remote(retries="3")  # pyright: ignore
view.parallel(dists="b")  # pyright: ignore
ipp.remote(view, lable="x")  # pyright: ignore
ipp.parallel(view, lable="x")  # pyright: ignore
ipp.depend(scaled, "1")  # pyright: ignore
client.executor().submit(scaled, "1")  # pyright: ignore
client.executor().map(scaled, [1.0], chunksise=3)  # pyright: ignore
direct.imap(scaled, [1.0], chunksise=3)  # pyright: ignore
ipp.Reference(3)  # pyright: ignore
