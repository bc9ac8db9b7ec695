"""Tasks wait by msg_id for others, of which the ends are known here."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec

from hippodrome.protocol.messages import Dependencies, EngineId, MsgId

REMEMBERED = 65_536


class TaskEnd(msgspec.Struct, frozen=True, gc=False):
    """How and where a task ended; ``engine`` is None if it never ran."""

    ok: bool
    engine: EngineId | None


class Prospect(enum.Enum):
    """Whether dependencies hold."""

    MET = "met"
    OPEN = "open"
    UNREACHABLE = "unreachable"


class Endings:
    """The endings of the latest tasks; older ones are forgotten, so that memory is bounded.

    They are forgotten by the generation, which costs less than one by one: when *limit* are
    remembered, the older half goes.
    """

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._generation = limit // 2
        self._young: dict[MsgId, TaskEnd] = {}
        self._old: dict[MsgId, TaskEnd] = {}

    def add(self, msg_ids: Sequence[MsgId], ending: TaskEnd) -> None:
        """Remember how some tasks ended."""
        if len(msg_ids) == 1:
            self._young[msg_ids[0]] = ending
        else:
            self._young.update(dict.fromkeys(msg_ids, ending))
        if len(self._young) >= self._generation:
            self._young, self._old = {}, self._young

    def get(self, msg_id: MsgId) -> TaskEnd | None:
        return self._young.get(msg_id) or self._old.get(msg_id)

    def __contains__(self, msg_id: object) -> bool:
        return msg_id in self._young or msg_id in self._old

    def has_none_of(self, msg_ids: Iterable[MsgId]) -> bool:
        return self._young.keys().isdisjoint(msg_ids) and self._old.keys().isdisjoint(msg_ids)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


def counts(dependencies: Dependencies, ending: TaskEnd) -> bool:
    """Tell whether an ending is one of those that *dependencies* ask for."""
    return dependencies.success if ending.ok else dependencies.failure


def prospect(dependencies: Dependencies | None, endings: Endings) -> Prospect:
    """Judge *dependencies* by what has ended so far; O(number of them)."""
    if dependencies is None or not dependencies.msg_ids:
        return Prospect.MET
    known = [endings.get(msg_id) for msg_id in dependencies.msg_ids]
    found = {ending and counts(dependencies, ending) for ending in known}  # None: not over yet
    if dependencies.all and False in found:
        return Prospect.UNREACHABLE
    if True in found and not dependencies.all:
        return Prospect.MET
    if None in found:
        return Prospect.OPEN
    return Prospect.MET if dependencies.all else Prospect.UNREACHABLE


def on_ending(dependencies: Dependencies, ending: TaskEnd, n_left: int) -> Prospect:
    """Judge again after one more of *dependencies* ended, in O(1).

    Args:
        dependencies: what the task waits for.
        ending: the ending that came.
        n_left: how many of them have not ended now.
    """
    if counts(dependencies, ending):
        met = not dependencies.all or n_left == 0
        return Prospect.MET if met else Prospect.OPEN
    unreachable = dependencies.all or n_left == 0
    return Prospect.UNREACHABLE if unreachable else Prospect.OPEN


def ruling_out(dependencies: Dependencies | None, endings: Endings) -> list[tuple[MsgId, TaskEnd]]:
    """Return the tasks that keep *dependencies* from ever being met; none if nothing does."""
    if dependencies is None or prospect(dependencies, endings) is not Prospect.UNREACHABLE:
        return []
    known = ((msg_id, endings.get(msg_id)) for msg_id in dependencies.msg_ids)
    return [(id_, ending) for id_, ending in known if ending and not counts(dependencies, ending)]


def places(dependencies: Dependencies, endings: Endings) -> frozenset[EngineId]:
    """Return the engines where a task that follows *dependencies* may run.

    With ``all`` that is the one engine where every one of them ran, so none if they ran on
    several; without, each engine where one that counts ran.
    """
    ran = _engines_of(dependencies, endings)
    if not dependencies.all:
        return frozenset(ran)
    return frozenset(ran) if len(set(ran)) == 1 else frozenset()


def _engines_of(dependencies: Dependencies, endings: Endings) -> list[EngineId]:
    known: Iterable[TaskEnd | None] = (endings.get(msg_id) for msg_id in dependencies.msg_ids)
    return [
        ending.engine
        for ending in known
        if ending is not None and ending.engine is not None and counts(dependencies, ending)
    ]
