"""Runs seeds and says how to replay one that failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hippodrome.store.base import Store
from simulation.scenario import draw
from simulation.world import START, World


class SeedFailed(AssertionError):
    """One seed broke a promise."""


def run_seed(
    seed: int, trace: Callable[[str], None] | None = None, store: Store | None = None
) -> World:
    """Run one seed to its end, and return its world.

    Raises:
        SeedFailed: a promise was broken; the message tells how to replay it.
    """
    scenario = draw(seed)
    world: World | None = None
    try:
        world = World(scenario, trace, store)
        world.run()
    except Exception as error:
        when = world.clock.now - START if world is not None else 0.0
        raise SeedFailed(
            f"seed {seed} at {when:.4f} s: {type(error).__name__}: {error}\n"
            f"  {scenario}\n"
            f"  replay with: python -m tests.simulation --seed {seed}"
        ) from error
    return world


def first_failure(seeds: Iterable[int]) -> SeedFailed | None:
    """Return how the first failing seed failed; None if all hold."""
    for seed in seeds:
        try:
            run_seed(seed)
        except SeedFailed as error:
            return error
    return None
