"""The simulator is to be trusted: it finds each of fifteen planted defects."""

from __future__ import annotations

import pytest

from simulation.mutants import MUTANTS
from simulation.run import first_failure

SEEDS = range(2000)  # found by the 384th at the latest; all of them take less than a timeout


def test_there_are_fifteen() -> None:
    assert len(MUTANTS) == 15


@pytest.mark.parametrize("name", MUTANTS)
def test_the_simulator_finds(name: str) -> None:
    with MUTANTS[name]():
        found = first_failure(SEEDS)
    assert found is not None, f"{len(SEEDS)} seeds hold in spite of a {name.replace('_', ' ')}"
    print(found)
