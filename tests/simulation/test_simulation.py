"""Many seeds hold. More of them: ``python -m tests.simulation --seeds 20000``."""

from __future__ import annotations

import pytest

from simulation.run import run_seed
from simulation.scenario import draw

SEEDS = 1500
PARTS = 10


@pytest.mark.parametrize("part", range(PARTS))
def test_seeds_hold(part: int) -> None:
    for seed in range(part, SEEDS, PARTS):
        run_seed(seed)


def test_a_seed_is_always_the_same_story() -> None:
    def story(seed: int) -> list[str]:
        lines: list[str] = []
        run_seed(seed, lines.append)
        return lines

    assert draw(7) == draw(7)
    assert story(7) == story(7)
    assert story(7) != story(8)
