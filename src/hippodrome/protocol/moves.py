"""A thing with states has one table of moves, which its code asks and ARCHITECTURE.md shows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

from hippodrome.errors import ClusterError

State = TypeVar("State", bound=Hashable)  # of an enumeration, or a class, which carries data
Moves = Mapping[State, frozenset[State]]  # where each state leads


class IllegalMove(ClusterError):
    """A thing was told to become what its state does not allow; always a bug of ours."""

    def __init__(self, what: object, state: object) -> None:
        super().__init__(f"{what!r} cannot become {name_of(state)}")


def checked(moves: Moves[State], what: object, before: State, after: State) -> State:
    """Return *after*, where *before* leads there; staying is no move.

    Raises:
        IllegalMove: it does not.
    """
    if after is not before and after not in moves[before]:
        raise IllegalMove(what, after)
    return after


def name_of(state: object) -> str:
    """Return the word for a state."""
    return (
        state.__name__.lower() if isinstance(state, type) else str(getattr(state, "value", state))
    )
