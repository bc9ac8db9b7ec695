"""The schemes: which engine gets the next task.

A scheme is a function from loads to an index. *loads* holds the unfinished tasks of each engine
that may take one more, least recently used engine first; none of the functions changes it. They
are the definition of each scheme; `hippodrome.scheduler.index` makes the same choices without
looking at every engine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

Scheme = Callable[..., int]

_default_rng = random.Random()


def plainrandom(loads: Sequence[int], rng: random.Random = _default_rng) -> int:
    """Pick any engine, each with the same probability.

    Args:
        loads: unfinished tasks per engine; only their number matters.
        rng: source of randomness. Seed it to replay a run.

    Returns:
        An index into *loads*.

    Raises:
        ValueError: *loads* is empty.
    """
    return rng.randrange(_count(loads))


def lru(loads: Sequence[int], rng: random.Random = _default_rng) -> int:
    """Pick the least recently used engine: always the front of the line.

    Args:
        loads: unfinished tasks per engine, least recently used first; values do not matter.
        rng: not used; every scheme is called alike.

    Returns:
        0.

    Raises:
        ValueError: *loads* is empty.
    """
    _count(loads)
    return 0


def twobin(loads: Sequence[int], rng: random.Random = _default_rng) -> int:
    """Pick two engines at random, return the one used less recently.

    Args:
        loads: unfinished tasks per engine, least recently used first; values do not matter.
        rng: source of randomness.

    Returns:
        An index into *loads*.

    Raises:
        ValueError: *loads* is empty.
    """
    n = _count(loads)
    return min(rng.randrange(n), rng.randrange(n))


def weighted(loads: Sequence[int], rng: random.Random = _default_rng) -> int:
    """Pick two engines at random, idle ones more often, return the less loaded of the two.

    The weight of an engine is ``1 / (1 + load)``. Of two engines with the same load the first
    one drawn is returned.

    Args:
        loads: unfinished tasks per engine, any order.
        rng: source of randomness.

    Returns:
        An index into *loads*.

    Raises:
        ValueError: *loads* is empty.

    Source:
        Two choices instead of one: M. Mitzenmacher, "The Power of Two Choices in Randomized Load
        Balancing", IEEE TPDS 12(10), 2001.
    """
    _count(loads)
    weights = [weight_of(load) for load in loads]
    first, second = rng.choices(range(len(loads)), weights, k=2)
    return first if loads[first] <= loads[second] else second


def leastload(loads: Sequence[int], rng: random.Random = _default_rng) -> int:
    """Pick the engine with the lowest load, of several the least recently used one.

    Args:
        loads: unfinished tasks per engine, least recently used first.
        rng: not used; every scheme is called alike.

    Returns:
        The first index of the lowest load.

    Raises:
        ValueError: *loads* is empty.

    Complexity:
        O(n) here, O(log n) in the index.
    """
    _count(loads)
    return min(range(len(loads)), key=loads.__getitem__)


def weight_of(load: int) -> float:
    """Return how likely `weighted` is to draw an engine with this load, up to a factor."""
    return 1.0 / (1.0 + load)


SCHEMES: Final[dict[str, Scheme]] = {
    "leastload": leastload,
    "lru": lru,
    "plainrandom": plainrandom,
    "twobin": twobin,
    "weighted": weighted,
}
PURE: Final = "pure"  # lru, and nothing that has to be decided per task
SCHEME_NAMES: Final = (*SCHEMES, PURE)


def _count(loads: Sequence[int]) -> int:
    if not loads:
        raise ValueError("cannot choose from zero engines")
    return len(loads)
