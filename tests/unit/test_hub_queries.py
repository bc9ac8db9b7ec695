"""The questions that a client may ask: their answers, their orders, and bad arguments."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hippodrome.errors import ProtocolError
from hippodrome.hub.queries import Queries
from hippodrome.hub.query import QueryOutcome
from hippodrome.hub.recorder import Recorder
from hippodrome.hub.registry import EngineStatus, Registry
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import encode
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.memory import MemoryStore

NODES = [m.PeerId("n"), m.PeerId("o")]
UUIDS = [m.PeerId(f"e{number}") for number in range(4)]
STATE = m.QueueState(
    {m.EngineId(0): [m.MsgId("d")]},
    {m.EngineId(0): [m.MsgId("a"), m.MsgId("b")], m.EngineId(1): []},
    [m.MsgId("u")],
)
LOAD = m.Workload({m.EngineId(0): 1}, {m.EngineId(0): 2, m.EngineId(1): 0}, 5, 3)


class Bench:
    """Four engines, by turns of two supervisors; the third is lost."""

    def __init__(self) -> None:
        registry, store = Registry(), MemoryStore()
        for number, uuid in enumerate(UUIDS):
            engine = registry.register(uuid, {"node": NODES[number % 2]})
            assert engine is not None
            engine.n_completed = number
            if number == 2:
                engine.status = EngineStatus.LOST
        me, names = m.PeerId("c"), [m.MsgId("z"), m.MsgId("a")]
        tasks = m.TaskBundle(names, m.Digest(b"f"), [b"", b""])
        store.put_submitted(Submission(me, 0.0, m.Submit([tasks])))
        result = m.Result(names[0], "ok", m.EngineId(1))
        store.put_ended(Ending(me, 1.0, [result], {m.EngineId(1): UUIDS[1]}))
        self.registry, self.recorder = registry, Recorder(store, registry.uuid_of)
        self.queries = Queries(registry, store, None, self.recorder)

    def ask(self, name: str, **arguments: Any) -> QueryOutcome:
        return self.ask_raw(name, msgspec.msgpack.encode(arguments))

    def ask_raw(self, name: str, arguments: bytes) -> QueryOutcome:
        replies: list[QueryOutcome] = []
        state = encode(LOAD) if name == "status" else encode_state()
        self.queries.answer(m.Query(1, name, arguments), state, replies.append)
        (reply,) = replies
        return reply


def encode_state() -> bytes:
    return msgspec.msgpack.encode(STATE)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_there_is_a_question_that_only_comes_back(bench: Bench) -> None:
    assert bench.ask("abort_done") == QueryOutcome()


def test_the_queues_are_counted_for_each_engine_that_is_here(bench: Bench) -> None:
    assert bench.ask("queue_status").value == {
        0: {"queue": 1, "completed": 0, "tasks": 2},
        1: {"queue": 0, "completed": 1, "tasks": 0},
        3: {"queue": 0, "completed": 3, "tasks": 0},
        "unassigned": 1,
    }


def test_the_status_counts_engines_by_state_and_tasks_by_fate(bench: Bench) -> None:
    silent = bench.registry.get(m.EngineId(3))
    assert silent is not None
    silent.status = EngineStatus.SUSPECT
    bench.recorder.n_done, bench.recorder.n_failed = 7, 2
    value = bench.ask("status").value
    states = {engine: (how["state"], how["held"]) for engine, how in value["engines"].items()}
    assert states == {0: ("busy", 3), 1: ("ready", 0), 3: ("silent", 0)}
    assert value["tasks"] == {"waiting": 7, "running": 1, "done": 7, "failed": 2}
    assert value["clients"] == 3
    assert value["storage"] == bench.ask("storage").value


def test_the_queues_can_be_listed_for_some_engines(bench: Bench) -> None:
    assert bench.ask("queue_status", targets=[1, 0, 2, 9], verbose=True).value == {
        1: {"queue": [], "completed": ["z"], "tasks": []},
        0: {"queue": ["d"], "completed": [], "tasks": ["a", "b"]},
        "unassigned": ["u"],
    }


def test_shutdown_orders_are_grouped_by_supervisor(bench: Bench) -> None:
    assert bench.ask("shutdown").orders == [
        m.Order(NODES[0], stop=m.Stop([UUIDS[0]])),
        m.Order(NODES[1], stop=m.Stop([UUIDS[1], UUIDS[3]])),
    ]
    assert bench.ask("shutdown", targets=[3]).orders == [m.Order(NODES[1], stop=m.Stop([UUIDS[3]]))]
    assert bench.ask("shutdown", targets=[2, 9]).orders == []


def test_signals_are_grouped_by_supervisor(bench: Bench) -> None:
    assert bench.ask("signal", targets=[0, 1, 3], signum=2).orders == [
        m.Order(NODES[0], signal=m.Signal([UUIDS[0]], 2)),
        m.Order(NODES[1], signal=m.Signal([UUIDS[1], UUIDS[3]], 2)),
    ]


def test_a_shutdown_of_the_hub_ends_everything(bench: Bench) -> None:
    reply = bench.ask("shutdown", hub=True, targets=[0])
    assert reply.end
    assert reply.orders == []


def test_an_unknown_question_is_an_error(bench: Bench) -> None:
    with pytest.raises(ProtocolError, match="no query 'apply'"):
        bench.ask("apply")


NAMES = sorted(Queries(Registry(), MemoryStore()).names)
NESTED = b"\x81\xa1a" + b"\x91" * 100_000 + b"\xc0"


@pytest.mark.parametrize("arguments", [b"", b"\xc1", b"\xc0", b"\x90", b"\x81\x01\x01", NESTED])
@pytest.mark.parametrize("name", NAMES)
def test_arguments_that_are_no_map_are_an_error(bench: Bench, name: str, arguments: bytes) -> None:
    with pytest.raises(ProtocolError, match=f"bad arguments of '{name}'"):
        bench.ask_raw(name, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"signum": "two"},
        {"signum": None},
        {"signum": [2]},
        {"signum": 0},
        {"signum": -9},
        {"signum": 10**6},
        {"signum": 1e300},
        {"signum": float("nan")},
        {"signum": float("inf")},
        {"signum": 2, "targets": 3},
        {"signum": 2, "targets": ["x"]},
        {"signum": 2, "targets": [None]},
        {"signum": 2, "targets": [float("inf")]},
        {"signum": 2, "targets": [{}]},
    ],
)
def test_arguments_of_the_wrong_kind_are_an_error(
    bench: Bench, arguments: dict[str, object]
) -> None:
    with pytest.raises(ProtocolError, match="bad arguments of 'signal'"):
        bench.ask("signal", **arguments)


def test_every_answer_can_be_sent(bench: Bench) -> None:
    for name in NAMES:
        for verbose in (False, True):
            arguments = {"signum": 2, "msg_ids": ["z"], "query": {}, "keys": ["submitted"]}
            reply = bench.ask(name, verbose=verbose, **arguments)
            msgspec.msgpack.encode(reply.value)
            for order in reply.orders:
                encode(order)
