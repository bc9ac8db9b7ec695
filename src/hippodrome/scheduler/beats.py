"""How often peers are told that we are here: the more there are, the less often each.

Pure. A supervisor must hear something within three seconds, and a client would ask; an engine does
not listen for beats. That a connection is closed shows where something is sent over it, so that
each is used now and then; `Doubts` are about those of which ZeroMQ has said that they were closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

LEAST_S: Final = 1.0
MOST_S: Final = 2.0  # for those who listen
PEERS_PER_S: Final = 500.0  # of all, whoever they are: with engines their supervisors say more
ENGINES_PER_S: Final = 25.0
CROWD: Final = 64  # peers, up to which each is looked at in every tick
LOOK_S: Final = 1.0
DOUBTED_LOOKS: Final = 5  # the news of a closed connection may overtake the closing itself


def period_s(role: str, n: int) -> float:
    """Return how far apart beats to a peer of this role are, of *n* peers."""
    if role == "engine":
        return max(LEAST_S, n / ENGINES_PER_S)
    return min(max(LEAST_S, n / PEERS_PER_S), MOST_S)


def look_s(n: int) -> float:
    """Return how far apart looks at a peer are that has no need of any, of *n* peers."""
    return 0.0 if n <= CROWD else LOOK_S


class Doubts:
    """Routes of connections that are said to be closed: each is tried a few times."""

    def __init__(self) -> None:
        self._left: dict[bytes, int] = {}

    def add(self, route: bytes) -> None:
        """There is reason to doubt that this route leads anywhere."""
        self._left[route] = DOUBTED_LOOKS

    def take(self) -> Iterator[bytes]:
        """Yield the routes that are to be tried now."""
        for route, n in list(self._left.items()):
            if n > 1:
                self._left[route] = n - 1
            else:
                del self._left[route]
            yield route
