"""Engine ids: given once, never to another, and given back to who returns."""

from __future__ import annotations

import pytest

from hippodrome.hub.registry import MOST_GONE, Engine, EngineStatus, Registry
from hippodrome.protocol.messages import EngineId, EngineInfo, PeerId

A, B, NODE = PeerId("a" * 32), PeerId("b" * 32), PeerId("n" * 32)
INFO: dict[str, str | int] = {"node": NODE, "host": "here", "pid": 7, "python": "3.12.1"}


@pytest.fixture
def registry() -> Registry:
    return Registry()


def register(registry: Registry, uuid: PeerId) -> Engine:
    engine = registry.register(uuid, INFO)
    registry.check()
    assert engine is not None
    return engine


def test_engines_are_numbered_from_zero_in_the_order_they_come(registry: Registry) -> None:
    assert [register(registry, uuid).engine for uuid in (A, B)] == [0, 1]


def test_an_engine_is_what_it_says_it_is(registry: Registry) -> None:
    engine = register(registry, A)
    assert engine.info() == EngineInfo(EngineId(0), A, NODE, "here", 7, "alive", "3.12.1")
    assert str(engine) == "engine 0 on here (pid 7)"
    assert registry.get(EngineId(0)) is registry.with_uuid(A) is engine


@pytest.mark.parametrize("info", [{}, {"pid": "many"}, {"pid": "", "host": 3, "node": 4}])
def test_an_engine_that_says_nonsense_is_registered_all_the_same(
    registry: Registry, info: dict[str, str | int]
) -> None:
    engine = registry.register(A, info)
    assert engine is not None
    assert engine.pid == 0


def test_an_id_is_never_used_again(registry: Registry) -> None:
    register(registry, A).status = EngineStatus.LEFT
    assert register(registry, B).engine == 1
    assert registry.get(EngineId(0)) is not None


def test_an_engine_that_has_left_does_not_come_back(registry: Registry) -> None:
    register(registry, A).status = EngineStatus.LEFT
    assert registry.register(A, INFO) is None


def test_an_engine_that_was_lost_comes_back_under_its_id(registry: Registry) -> None:
    engine = register(registry, A)
    engine.status = EngineStatus.LOST
    engine.must_arrive = True
    assert register(registry, A) is engine
    assert (engine.engine, engine.status) == (0, EngineStatus.ALIVE)
    assert not engine.must_arrive


def test_registering_twice_is_registering_once(registry: Registry) -> None:
    engine = register(registry, A)
    engine.status = EngineStatus.SUSPECT
    assert register(registry, A) is engine
    assert engine.status is EngineStatus.SUSPECT


def test_of_those_that_are_gone_the_latest_are_known(registry: Registry) -> None:
    engines = [register(registry, PeerId(f"u{n}")) for n in range(MOST_GONE + 3)]
    for engine in engines:
        engine.status = EngineStatus.LOST
        assert registry.note_gone(engine) == [] or engine.engine >= MOST_GONE
    assert [registry.uuid_of(EngineId(n)) for n in (0, 1, 2, 3)] == ["", "", "", "u3"]
    assert registry.with_uuid(PeerId("u0")) is None
    assert register(registry, PeerId("u4")) is engines[4], "it is back"
    late = register(registry, PeerId("u1"))
    assert late.engine == MOST_GONE + 3, "no id is given twice"
    for engine in engines[MOST_GONE:]:
        registry.note_gone(engine)
    assert registry.get(EngineId(4)) is engines[4], "who is here is not forgotten"


@pytest.mark.parametrize(
    ("status", "is_member", "is_of_node"),
    [
        (EngineStatus.ALIVE, True, True),
        (EngineStatus.SUSPECT, True, True),
        (EngineStatus.LOST, False, True),
        (EngineStatus.LEFT, False, False),
    ],
)
def test_only_those_who_are_here_are_members(
    registry: Registry, status: EngineStatus, is_member: bool, is_of_node: bool
) -> None:
    engine = register(registry, A)
    engine.status = status
    assert (engine in registry.members()) is is_member
    assert (engine in registry.of_node(NODE)) is is_of_node
    assert registry.of_node(PeerId("another")) == []


def test_nobody_is_found_who_never_came(registry: Registry) -> None:
    assert registry.get(EngineId(0)) is None
    assert registry.with_uuid(A) is None


def asking(registry: Registry, uuid: PeerId, wanted: object) -> Engine:
    engine = registry.register(uuid, {**INFO, "wanted": wanted})  # type: ignore[dict-item]
    registry.check()
    assert engine is not None
    return engine


def test_an_engine_has_the_number_that_it_asks_for(registry: Registry) -> None:
    assert asking(registry, A, 3).engine == 3
    assert [register(registry, PeerId(str(i) * 32)).engine for i in range(4)] == [0, 1, 2, 4]
    assert asking(registry, A, 3).engine == 3


@pytest.mark.parametrize("wanted", [-1, -5, 1 << 20, 1 << 70, "3", None, 1.5])
def test_a_number_that_is_none_is_not_asked_for(registry: Registry, wanted: object) -> None:
    assert asking(registry, A, wanted).engine == 0


def test_a_number_is_taken_for_as_long_as_its_engine_is_here(registry: Registry) -> None:
    first = asking(registry, A, 1)
    new: dict[str, str | int] = {**INFO, "wanted": 1}
    assert registry.holder_of(B, new) is first
    assert registry.holder_of(A, new) is None
    first.become(EngineStatus.LOST)
    registry.note_gone(first)
    assert registry.holder_of(B, new) is None
    assert asking(registry, B, 1).engine == 1
    assert registry.with_uuid(A) is None
    assert list(registry.gone()) == []
    assert registry.holder_of(A, new) is registry.with_uuid(B)  # the former comes back
