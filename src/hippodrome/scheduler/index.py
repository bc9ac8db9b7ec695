"""Engines that can take one more task, kept so that a scheme's choice needs no scan.

`schemes` defines what each scheme chooses; the classes here make the same choice in O(1) or
O(log n) for n engines. That they agree is a property test. An index holds only engines that have
room: the core adds, updates and removes them as loads change.
"""

from __future__ import annotations

import heapq
import random
from typing import Protocol

from hippodrome.protocol.messages import EngineId
from hippodrome.scheduler.schemes import SCHEME_NAMES, weight_of


class EngineIndex(Protocol):
    """The questions that the core asks of an index."""

    def put(self, engine: EngineId, load: int, last_used: int) -> None:
        """Add *engine*, or note its new load and when it was last used (any rising count)."""

    def remove(self, engine: EngineId) -> None:
        """Forget *engine*; nothing happens if it is not here."""

    def choose(self) -> EngineId | None:
        """Return the engine for the next task, or None if there is none."""

    def __contains__(self, engine: object) -> bool: ...

    def __len__(self) -> int: ...


def make_index(scheme: str, rng: random.Random) -> EngineIndex:
    """Return the index of a scheme.

    Raises:
        ValueError: there is no such scheme.
    """
    match scheme:
        case "leastload":
            return LeastLoadIndex()
        case "lru" | "pure":
            return LruIndex()
        case "plainrandom":
            return RandomIndex(rng)
        case "twobin":
            return TwoBinIndex(rng)
        case "weighted":
            return WeightedIndex(rng)
    raise ValueError(f"no scheme {scheme!r}; there are {', '.join(SCHEME_NAMES)}")


class LeastLoadIndex:
    """`leastload`: a heap by load and last use, whose outdated entries are dropped on sight.

    Each `put` adds an entry, so that the heap has a true one for every engine. An entry is true if
    it says what `_rank` says, also when it is an older one that says the same.
    """

    def __init__(self) -> None:
        self._rank: dict[EngineId, tuple[int, int]] = {}
        self._heap: list[tuple[tuple[int, int], EngineId]] = []

    def put(self, engine: EngineId, load: int, last_used: int) -> None:
        rank = self._rank[engine] = self._rank_of(load, last_used)
        heapq.heappush(self._heap, (rank, engine))
        if len(self._heap) > 64 + 4 * len(self._rank):
            # So rarely that it costs O(1) per call.
            self._heap = [(rank, engine) for engine, rank in self._rank.items()]
            heapq.heapify(self._heap)

    def _rank_of(self, load: int, last_used: int) -> tuple[int, int]:
        return load, last_used

    def remove(self, engine: EngineId) -> None:
        self._rank.pop(engine, None)

    def choose(self) -> EngineId | None:
        while self._heap:
            rank, engine = self._heap[0]
            if self._rank.get(engine) == rank:
                return engine
            heapq.heappop(self._heap)
        return None

    def __contains__(self, engine: object) -> bool:
        return engine in self._rank

    def __len__(self) -> int:
        return len(self._rank)


class LruIndex(LeastLoadIndex):
    """``lru`` and ``pure``: the same heap, by last use alone."""

    def _rank_of(self, load: int, last_used: int) -> tuple[int, int]:
        return 0, last_used


class RandomIndex:
    """`plainrandom`: an array, in which a removed place is filled by the last one."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._engines: list[EngineId] = []
        self._place: dict[EngineId, int] = {}

    def put(self, engine: EngineId, load: int, last_used: int) -> None:
        if engine not in self._place:
            self._place[engine] = len(self._engines)
            self._engines.append(engine)

    def remove(self, engine: EngineId) -> None:
        place = self._place.pop(engine, None)
        if place is None:
            return
        last = self._engines.pop()
        if last != engine:
            self._engines[place] = last
            self._place[last] = place

    def choose(self) -> EngineId | None:
        return self._draw() if self._engines else None

    def _draw(self) -> EngineId:
        return self._engines[self._rng.randrange(len(self._engines))]

    def __contains__(self, engine: object) -> bool:
        return engine in self._place

    def __len__(self) -> int:
        return len(self._engines)


class TwoBinIndex(RandomIndex):
    """`twobin`: of two drawn engines, the one used less recently."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._last_used: dict[EngineId, int] = {}

    def put(self, engine: EngineId, load: int, last_used: int) -> None:
        super().put(engine, load, last_used)
        self._last_used[engine] = last_used

    def remove(self, engine: EngineId) -> None:
        super().remove(engine)
        self._last_used.pop(engine, None)

    def choose(self) -> EngineId | None:
        if not self._engines:
            return None
        return min(self._draw(), self._draw(), key=self._last_used.__getitem__)


class WeightedIndex(RandomIndex):
    """`weighted`: draws by weight from a tree of partial sums (Fenwick tree).

    Source:
        P. M. Fenwick, "A New Data Structure for Cumulative Frequency Tables", Software: Practice
        and Experience 24(3), 1994.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._load: dict[EngineId, int] = {}
        self._sums: list[float] = [0.0]

    def put(self, engine: EngineId, load: int, last_used: int) -> None:
        if engine not in self._place:
            super().put(engine, load, last_used)
            self._load[engine] = load
            self._append(weight_of(load))
            return
        self._add(self._place[engine], weight_of(load) - weight_of(self._load[engine]))
        self._load[engine] = load

    def remove(self, engine: EngineId) -> None:
        if engine not in self._place:
            return
        place, last = self._place[engine], self._engines[-1]
        moved = weight_of(self._load[last]) - weight_of(self._load[engine])
        self._add(place, moved)
        self._add(len(self._engines) - 1, -weight_of(self._load[last]))
        self._sums.pop()
        del self._load[engine]
        super().remove(engine)

    def choose(self) -> EngineId | None:
        if not self._engines:
            return None
        first, second = self._draw(), self._draw()
        return first if self._load[first] <= self._load[second] else second

    def _append(self, weight: float) -> None:
        at = len(self._sums)
        covered = self._prefix(at - 1) - self._prefix(at - (at & -at))
        self._sums.append(covered + weight)

    def _add(self, place: int, weight: float) -> None:
        at = place + 1
        while at < len(self._sums):
            self._sums[at] += weight
            at += at & -at

    def _prefix(self, at: int) -> float:
        total = 0.0
        while at:
            total += self._sums[at]
            at -= at & -at
        return total

    def _draw(self) -> EngineId:
        n = len(self._engines)
        rest = self._rng.random() * self._prefix(n)
        at = 0
        step = 1 << (n.bit_length() - 1)
        while step:
            if at + step <= n and self._sums[at + step] <= rest:
                at += step
                rest -= self._sums[at]
            step >>= 1
        return self._engines[min(at, n - 1)]  # rounding may point one past the end
