"""ipyparallel's name for `hippodrome.client.views.partition`: distributions as classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from hippodrome.client.views.partition import BLOCK, ROUND_ROBIN, join, part
from hippodrome.lazy import lister

__all__ = ["Map", "RoundRobinMap", "dists", "mappable"]
__dir__: Callable[[], list[str]] = lister(__name__)


class Map:
    """Contiguous parts of a sequence."""

    dist: ClassVar[str] = BLOCK

    def getPartition(self, seq: Any, p: int, q: int, n: int | None = None) -> Any:
        """Return part *p* of *q*.

        Args:
            seq: anything that has a length and slices.
            p: which part, ``0 <= p < q``.
            q: how many parts.
            n: how many elements of *seq* count; by default all.

        Raises:
            ValueError: there is no such part.
        """
        if not 0 <= p < q:
            raise ValueError(f"no part {p} of {q}: there are parts 0 to {q - 1}")
        return part(seq if n is None else seq[:n], p, q, self.dist)

    def joinPartitions(self, listOfPartitions: Sequence[Any]) -> Any:
        """Return the whole: an array if the parts are arrays, else a list."""
        return join(listOfPartitions, self.dist)


class RoundRobinMap(Map):
    """Parts that take turns: every q-th element."""

    dist = ROUND_ROBIN


dists: Final[dict[str, type[Map]]] = {BLOCK: Map, ROUND_ROBIN: RoundRobinMap}


def mappable(obj: object) -> bool:
    """Whether *obj* can be cut into parts."""
    return hasattr(obj, "__len__") and hasattr(obj, "__getitem__") and not isinstance(obj, dict)
