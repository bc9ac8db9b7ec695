"""Which engines exist and how they are: the only home of membership.

An engine has an integer id, given once and never to another, unless one asks for it, as ranks of
MPI do, and the former is gone. An engine that is lost and comes
back with the same uuid is the same engine and gets its id back.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hippodrome.protocol.messages import START_UP, STARTING, EngineId, EngineInfo, PeerId
from hippodrome.protocol.moves import Moves, checked
from hippodrome.protocol.reading import one_line

MOST_GONE: Final = 1_000
MOST_HOST: Final = 255  # characters
MOST_PATH: Final = 1_000
MOST_VERSION: Final = 40
MOST_ENGAGED: Final = 40
MOST_WHY: Final = 2_000
MOST_WANTED: Final = 1 << 20  # of numbers that engines may ask for


class EngineStatus(enum.Enum):
    """How an engine is."""

    ALIVE = "alive"
    SUSPECT = "suspect"  # silent for a while: no new work
    LOST = "lost"  # silent for too long: given up, but may come back
    LEFT = "left"  # its process has ended


MOVES: Final[Moves[EngineStatus]] = {
    EngineStatus.ALIVE: frozenset({EngineStatus.SUSPECT, EngineStatus.LOST, EngineStatus.LEFT}),
    EngineStatus.SUSPECT: frozenset({EngineStatus.ALIVE, EngineStatus.LOST, EngineStatus.LEFT}),
    EngineStatus.LOST: frozenset({EngineStatus.ALIVE, EngineStatus.LEFT}),
    EngineStatus.LEFT: frozenset(),
}


@dataclass(slots=True)
class Engine:
    """One engine, present or past."""

    engine: EngineId
    uuid: PeerId
    node: PeerId
    host: str
    pid: int
    status: EngineStatus
    python: str = ""
    n_completed: int = 0
    must_arrive: bool = False  # it has no connection: to come back it has to introduce itself
    engaged: str = ""  # what it does beside tasks
    why_gone: str = ""
    is_closing: bool = False  # it will leave soon
    log: str = ""  # where its own output goes on its host
    version: str = ""  # of this package
    ranks: int = 0  # how many MPI has, one of which it is; 0 if it is none
    n_beside: int = 0  # how many engines its supervisor starts; 0 if it does not say

    @property
    def is_here(self) -> bool:
        return self.status in (EngineStatus.ALIVE, EngineStatus.SUSPECT)

    @property
    def is_starting(self) -> bool:
        """Whether it is in its start-up: it has a number, and gets no work."""
        return self.engaged == START_UP

    @property
    def is_member(self) -> bool:
        return self.is_here and not self.is_starting

    def become(self, status: EngineStatus, why: str = "") -> None:
        """Let it be so from now on, for this reason.

        Raises:
            IllegalMove: its present status does not lead there.
        """
        self.status = checked(MOVES, self, self.status, status)
        self.why_gone = why[:MOST_WHY]

    def info(self) -> EngineInfo:
        status = STARTING if self.is_starting else self.status.value
        return EngineInfo(
            self.engine, self.uuid, self.node, self.host, self.pid, status, self.python,
            self.version, self.ranks,
        )  # fmt: skip

    def __str__(self) -> str:
        return f"engine {self.engine} on {self.host} (pid {self.pid})"


class Registry:
    """The engines that are here, and the latest that are gone."""

    def __init__(self) -> None:
        self._gone: dict[EngineId, None] = {}  # in the order in which they went; some are back
        self._by_id: dict[EngineId, Engine] = {}
        self._by_uuid: dict[PeerId, Engine] = {}
        self._next_id = 0

    def register(self, uuid: PeerId, info: Mapping[str, str | int]) -> Engine | None:
        """Make an engine a member, if it is none yet; None if it has left for good."""
        engine = self._by_uuid.get(uuid)
        if engine is None:
            return self._new(uuid, info)
        if engine.status is EngineStatus.LEFT:
            return None
        if engine.status is EngineStatus.LOST:
            engine.become(EngineStatus.ALIVE)
        engine.must_arrive = False
        return engine

    def holder_of(self, uuid: PeerId, info: Mapping[str, str | int]) -> Engine | None:
        """Return the engine that is here under the number which a new one asks for."""
        holder = None if uuid in self._by_uuid else self._by_id.get(EngineId(_wanted(info)))
        return holder if holder is not None and holder.is_here else None

    def _choose(self, info: Mapping[str, str | int]) -> EngineId:
        """Return the number that an engine asks for, as a rank of MPI does, else the next one."""
        wanted = EngineId(_wanted(info))
        if wanted < 0:
            while self._next_id in self._by_id:
                self._next_id += 1
            self._next_id += 1
            return EngineId(self._next_id - 1)
        former = self._by_id.pop(wanted, None)
        if former is not None:
            del self._by_uuid[former.uuid]
            self._gone.pop(wanted, None)
        return wanted

    def _new(self, uuid: PeerId, info: Mapping[str, str | int]) -> Engine:
        engine = Engine(
            self._choose(info),
            uuid,
            PeerId(str(info.get("node", ""))),
            one_line(str(info.get("host", "?")), MOST_HOST),
            _number(info, "pid"),
            EngineStatus.ALIVE,
            str(info.get("python", ""))[:MOST_VERSION],
            engaged=str(info.get("engaged", ""))[:MOST_ENGAGED],
            log=one_line(str(info.get("log", "")), MOST_PATH),
            version=one_line(str(info.get("version", "")), MOST_VERSION),
            ranks=_number(info, "ranks"),
            n_beside=_number(info, "beside"),
        )
        self._by_id[engine.engine] = self._by_uuid[uuid] = engine
        return engine

    def note_gone(self, engine: Engine) -> list[Engine]:
        """*engine* is lost or has left; return those that are forgotten now."""
        self._gone.pop(engine.engine, None)
        self._gone[engine.engine] = None
        forgotten: list[Engine] = []
        while len(self._gone) > MOST_GONE:
            first = next(iter(self._gone))
            del self._gone[first]
            oldest = self._by_id[first]
            if not oldest.is_here:
                del self._by_id[first], self._by_uuid[oldest.uuid]
                forgotten.append(oldest)
        return forgotten

    def get(self, engine: EngineId) -> Engine | None:
        return self._by_id.get(engine)

    def with_uuid(self, uuid: PeerId) -> Engine | None:
        return self._by_uuid.get(uuid)

    def uuid_of(self, engine: EngineId) -> PeerId:
        """Return who an engine is; empty if there is none, or it has been gone for long."""
        found = self._by_id.get(engine)
        return found.uuid if found else PeerId("")

    def members(self) -> Iterator[Engine]:
        """Yield the engines that are here and get work, by id."""
        return (engine for engine in self._by_id.values() if engine.is_member)

    def here(self) -> Iterator[Engine]:
        """Yield the engines that are here, also those that are in their start-up, by id."""
        return (engine for engine in self._by_id.values() if engine.is_here)

    def gone(self) -> Iterator[Engine]:
        """Yield the latest engines that are gone, in the order in which they went."""
        found = (self._by_id[engine] for engine in self._gone)
        return (engine for engine in found if not engine.is_here)

    def of_node(self, node: PeerId) -> list[Engine]:
        """Return the engines of a supervisor that have not left."""
        engines = self._by_id.values()
        return [e for e in engines if e.node == node and e.status is not EngineStatus.LEFT]

    def check(self) -> None:
        """Assert that ids and uuids name the same engines."""
        assert {e.uuid: e for e in self._by_id.values()} == self._by_uuid
        assert all(engine_id == engine.engine for engine_id, engine in self._by_id.items())
        assert self._gone.keys() <= self._by_id.keys()
        assert len(self._gone) <= MOST_GONE


def _wanted(info: Mapping[str, str | int]) -> int:
    """Return the number that an engine asks for; -1 for none."""
    wanted = info.get("wanted", -1)
    return wanted if isinstance(wanted, int) and 0 <= wanted < MOST_WANTED else -1


def _number(info: Mapping[str, str | int], name: str) -> int:
    """Return a number that an engine gave; 0 if it makes no sense."""
    number = info.get(name, 0)
    return number if isinstance(number, int) else 0
