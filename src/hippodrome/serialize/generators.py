"""Generators of random numbers, which mean something else when they are copied."""

from __future__ import annotations

from typing import Final

# By module and name of their class: how to make one that differs between tasks.
_SEEDING: Final = {
    ("random", "Random"): "as by random.Random(f'{seed} {i}')",
    ("numpy.random._generator", "Generator"): "as by numpy.random.default_rng([seed, i])",
    ("numpy.random.mtrand", "RandomState"): "as by numpy.random.RandomState([seed, i])",
    ("torch._C", "Generator"): "as by torch.Generator().manual_seed(seed + i)",
}


def is_generator(kind: type) -> bool:
    """Return whether objects of *kind* are such generators."""
    return _seeding(kind) is not None


def how_to_seed(generator: object) -> str:
    """Return how to make one for the element *i* of a map."""
    return f"{_seeding(type(generator))} for element i"


def _seeding(kind: type) -> str | None:
    for base in kind.__mro__:
        found = _SEEDING.get((base.__module__, base.__qualname__))
        if found is not None:
            return found
    return None
