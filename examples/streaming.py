"""Results as they come: the slow ones do not hold up the fast ones, and none is lost.

    ipcluster start -n 4
    python examples/streaming.py --tasks 20

Tasks of random length are submitted one by one; whichever ends first is shown first. The same
loop serves tasks that are submitted meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from concurrent.futures import as_completed

import hippodrome as ipp


def sleep_here(seconds: float) -> tuple[float, int]:
    """On an engine: sleep, and tell for how long and in which process."""
    import os
    import time

    time.sleep(seconds)
    return seconds, os.getpid()


def lengths(n: int) -> list[float]:
    rng = random.Random(0)
    return [rng.expovariate(20) for _ in range(n)]


def one_by_one(view: ipp.LoadBalancedView, n: int) -> None:
    """Show the results of *n* tasks in the order in which they end."""
    pending = [view.apply_async(sleep_here, seconds) for seconds in lengths(n)]
    for result in as_completed(pending):
        seconds, pid = result.get()
        print(f"{result.msg_ids[0][-6:]:>8} slept {seconds:.3f} s in process {pid}")


async def awaited(view: ipp.LoadBalancedView, n: int) -> None:
    """Do the same with asyncio, each result in a coroutine of its own."""

    async def show(seconds: float) -> None:
        slept, pid = await view.apply_async(sleep_here, seconds)
        print(f" awaited {slept:.3f} s in process {pid}")

    await asyncio.gather(*map(show, lengths(n)))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tasks", type=int, default=20)
    options.add_argument("--url-file", help="a client's connection file")
    given = options.parse_args()

    with ipp.Client(given.url_file) as rc:
        rc.wait_for_engines()
        view = rc.load_balanced_view()
        one_by_one(view, given.tasks)
        asyncio.run(awaited(view, given.tasks))
        n = sum(1 for _ in view.imap(sleep_here, lengths(given.tasks), ordered=False))
        print(f"{n} more came from an iterator that reads no further than it needs")


if __name__ == "__main__":
    main()
