"""A cluster in a program that has an event loop: nothing here blocks it.

    python examples/async_tasks.py --engines 2

A cluster is started, tasks are awaited alone, together, one by one and with a time limit, and a
clock goes on ticking in the same loop. In a notebook the body of ``main`` works as it is.
"""

from __future__ import annotations

import argparse
import asyncio

import hippodrome as ipp


def collatz(n: int) -> int:
    """Return how many steps of 3n + 1, or n / 2, lead from *n* to 1."""
    steps = 0
    while n != 1:
        n = 3 * n + 1 if n % 2 else n // 2
        steps += 1
    return steps


def sleep_here(seconds: float) -> float:
    """On an engine: take some time."""
    import time

    time.sleep(seconds)
    return seconds


async def tick(ticks: list[float]) -> None:
    """Show that the loop is never held up."""
    loop = asyncio.get_running_loop()
    while True:
        ticks.append(loop.time())
        await asyncio.sleep(0.01)


async def work(rc: ipp.Client) -> None:
    view = rc.load_balanced_view()
    print("alone:", await view.apply_async(collatz, 27))

    together = await asyncio.gather(*(view.apply_async(collatz, n) for n in range(1, 8)))
    print("together:", *together)

    print("one by one:", end="")
    async for steps in view.map_async(collatz, range(1, 8)):
        print("", steps, end="")
    print()

    print("on each engine:", *await rc[:].apply_async(sum, [1, 2, 3]))

    try:
        await asyncio.wait_for(view.apply_async(sleep_here, 0.5), timeout=0.05)
    except TimeoutError:
        print("late: given up")

    loop = asyncio.get_running_loop()
    print("as an executor:", await loop.run_in_executor(view.executor, collatz, 97))


async def main(url_file: str | None, n_engines: int) -> None:
    ticks: list[float] = []
    clock = asyncio.create_task(tick(ticks))
    if url_file is None:
        async with ipp.Cluster(n=n_engines) as rc:
            await work(rc)
    else:
        with ipp.Client(url_file) as rc:
            await work(rc)
    clock.cancel()
    print(f"the clock ticked {len(ticks)} times meanwhile")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--engines", type=int, default=2)
    options.add_argument("--url-file", help="a client's connection file, of a cluster that runs")
    given = options.parse_args()
    asyncio.run(main(given.url_file, given.engines))
