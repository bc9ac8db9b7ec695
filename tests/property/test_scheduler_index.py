"""The indexes choose what the schemes' definitions choose, without looking at every engine."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hippodrome.protocol.messages import EngineId
from hippodrome.scheduler.index import EngineIndex, make_index
from hippodrome.scheduler.schemes import SCHEMES, lru, twobin, weight_of

Engines = dict[int, tuple[int, int]]  # engine -> load, last use

STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "remove"]), st.integers(0, 7), st.integers(0, 5)),
    max_size=60,
)


class Draws(random.Random):
    """Chance that was decided beforehand: two draws of an index."""

    def __init__(self, draws: Iterable[int]) -> None:
        super().__init__(0)
        self._draws = list(draws)

    def randrange(self, *args: int) -> int:  # type: ignore[override]
        return self._draws.pop(0)


def play(index: EngineIndex, steps: list[tuple[str, int, int]]) -> Engines:
    """Do *steps* to an index and to a plain dict."""
    engines: Engines = {}
    for use, (what, engine, load) in enumerate(steps):
        if what == "put":
            index.put(EngineId(engine), load, use)
            engines[engine] = (load, use)
        else:
            index.remove(EngineId(engine))
            engines.pop(engine, None)
    return engines


def in_line(engines: Engines) -> list[int]:
    return sorted(engines, key=lambda engine: engines[engine][1])


@given(steps=STEPS)
@pytest.mark.parametrize("scheme", ["leastload", "lru"])
def test_a_scheme_without_chance_and_its_index_agree(
    scheme: str, steps: list[tuple[str, int, int]]
) -> None:
    index = make_index(scheme, random.Random(0))
    engines = play(index, steps)
    line = in_line(engines)
    loads = [engines[engine][0] for engine in line]
    assert index.choose() == (line[SCHEMES[scheme](loads)] if line else None)
    assert len(index) == len(engines)


@given(steps=STEPS)
def test_over_all_pairs_that_can_be_drawn_twobin_and_its_index_choose_alike(
    steps: list[tuple[str, int, int]],
) -> None:
    engines = play(make_index("twobin", random.Random(0)), steps)
    line = in_line(engines)
    pairs = list(itertools.product(range(len(line)), repeat=2))
    wanted = Counter(line[twobin([0] * len(line), Draws(pair))] for pair in pairs)
    found: Counter[int] = Counter()
    for pair in pairs:
        index = make_index("twobin", Draws(pair))
        play(index, steps)
        found[index.choose()] += 1
    assert found == wanted


@given(steps=STEPS, seed=st.integers(0, 1000))
def test_plainrandom_chooses_only_engines_that_are_there(
    steps: list[tuple[str, int, int]], seed: int
) -> None:
    index = make_index("plainrandom", random.Random(seed))
    engines = play(index, steps)
    assert index.choose() in (set(engines) or {None})


@given(steps=STEPS)
def test_weighted_draws_each_engine_by_the_inverse_of_its_load(
    steps: list[tuple[str, int, int]],
) -> None:
    index = make_index("weighted", random.Random(0))
    engines = play(index, steps)
    total = sum(weight_of(load) for load, _ in engines.values())
    n = 400
    drawn: Counter[int] = Counter()
    for i in range(n if engines else 0):
        index._rng = Fraction((i + 0.5) / n)
        drawn[index._draw()] += 1
    for engine, (load, _) in engines.items():
        assert drawn[engine] / n == pytest.approx(weight_of(load) / total, abs=2 / n)


class Fraction(random.Random):
    """Chance that always comes out at the same fraction."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self._value = value

    def random(self) -> float:
        return self._value


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_no_scheme_chooses_from_nothing(scheme: str) -> None:
    assert make_index(scheme, random.Random(0)).choose() is None
    with pytest.raises(ValueError, match="zero engines"):
        SCHEMES[scheme]([])


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_no_scheme_changes_the_loads(scheme: str) -> None:
    loads = [3, 1, 2]
    assert SCHEMES[scheme](loads) in range(3)
    assert loads == [3, 1, 2]


def test_lru_always_takes_the_front_of_the_line() -> None:
    assert lru([5, 0, 0]) == 0


def test_an_unknown_scheme_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="leastload"):
        make_index("best", random.Random(0))
