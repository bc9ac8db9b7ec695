"""A thing with states has one table of moves, which its code asks and ARCHITECTURE.md shows."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeVar

from hippodrome.errors import ClusterError

State = TypeVar("State", bound=enum.Enum)
Moves = Mapping[State, frozenset[State]]  # where each state leads


class IllegalMove(ClusterError):
    """A thing was told to become what its state does not allow; always a bug of ours."""

    def __init__(self, what: object, state: enum.Enum) -> None:
        super().__init__(f"{what!r} cannot become {state.value}")


def checked(moves: Moves[State], what: object, before: State, after: State) -> State:
    """Return *after*, where *before* leads there; staying is no move.

    Raises:
        IllegalMove: it does not.
    """
    if after is not before and after not in moves[before]:
        raise IllegalMove(what, after)
    return after
