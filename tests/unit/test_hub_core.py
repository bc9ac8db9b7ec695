"""The hub by examples: what it makes of the scheduler's news."""

from __future__ import annotations

import msgspec
import pytest

from hippodrome.errors import ProtocolError
from hippodrome.hub.config import HubConfig
from hippodrome.hub.core import HubCore, describe
from hippodrome.hub.newsof import news_of
from hippodrome.hub.registry import Engine, EngineStatus
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import encode

NODE, OTHER_NODE = m.PeerId("n" * 32), m.PeerId("o" * 32)
CLIENT = m.PeerId("c" * 32)


class Bench:
    """A hub, its clock, and what it told the scheduler."""

    def __init__(self) -> None:
        self.core = HubCore(HubConfig(lost_after_s=20.0))
        self.now, self.wall = 1000.0, 5e9
        self.core.tick(self.now, self.wall)

    def feed(self, message: m.HubMessage, *buffers: bytes) -> list[m.Message]:
        out = self.core.handle(message, list(buffers))
        self.core.check()
        return out

    def pass_time(self, seconds: float) -> list[m.Message]:
        out: list[m.Message] = []
        for _ in range(round(seconds * 2)):
            self.now += 0.5
            out += self.core.handle(m.Awake(), [])
            out += self.core.tick(self.now, self.wall)
        return out

    def engine(self, name: str = "e", node: m.PeerId = NODE) -> m.PeerId:
        uuid = m.PeerId(name * 32)
        self.feed(m.EngineArrived(uuid, {"host": "here", "pid": 7, "node": node}))
        return uuid

    def beat(self, *uuids: m.PeerId, node: m.PeerId = NODE) -> list[m.Message]:
        return self.feed(m.Pulses(node, [m.Pulse(uuid, 0.0) for uuid in uuids]))

    def die(self, uuid: m.PeerId, code: int | None = 1) -> list[m.Message]:
        death = m.Death(uuid, code, None, 5, expected=False, reason="ended with code 1")
        return self.feed(m.Departed(death))

    def ask(self, name: str, arguments: object = None, state: bytes = b"") -> list[m.Message]:
        raw = msgspec.msgpack.encode(arguments or {})
        buffers = [state] if state else []
        return self.feed(m.Asked(CLIENT, m.Query(3, name, raw)), *buffers)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def info(number: int, uuid: m.PeerId, node: m.PeerId = NODE, state: str = "alive") -> m.EngineInfo:
    return m.EngineInfo(m.EngineId(number), uuid, node, "here", 7, state)


# ---------------------------------------------------------------- membership


def test_an_engine_that_arrives_joins(bench: Bench) -> None:
    arrived = m.EngineArrived(m.PeerId("e"), {"host": "here", "pid": 7, "node": NODE})
    assert bench.feed(arrived) == [m.Joined(info(0, m.PeerId("e")))]
    assert bench.core.snapshot().members == 1


def test_an_engine_whose_introduction_is_nonsense_harms_nobody(bench: Bench) -> None:
    (joined,) = bench.feed(m.EngineArrived(m.PeerId("e"), {"pid": "x", "node": 3}))
    assert isinstance(joined, m.Joined)
    assert joined.info.pid == 0


def test_an_engine_that_arrives_again_is_announced_again_under_its_id(bench: Bench) -> None:
    uuid = bench.engine()
    arrived = m.EngineArrived(uuid, {"host": "here", "pid": 7, "node": NODE})
    assert bench.feed(arrived) == [m.Joined(info(0, uuid))]


def test_a_stopped_engine_is_suspected_given_up_and_comes_back_alone(bench: Bench) -> None:
    frozen, other = bench.engine("e"), bench.engine("f")
    said: list[m.Message] = []
    for _ in range(21):
        said += bench.pass_time(1.0) + bench.beat(other)
    suspected, left = said
    assert suspected == m.Suspected(m.EngineId(0), suspect=True)
    assert isinstance(left, m.Left)
    assert left.engine == 0
    assert not left.final
    assert "stopped for too long" in left.reason
    assert bench.beat(frozen, other) == [m.Joined(info(0, frozen))]


def test_an_engine_that_was_stopped_for_a_moment_is_only_suspected(bench: Bench) -> None:
    frozen, other = bench.engine("e"), bench.engine("f")
    said: list[m.Message] = []
    for _ in range(7):
        said += bench.pass_time(1.0) + bench.beat(other)
    assert said == [m.Suspected(m.EngineId(0), suspect=True)]
    assert bench.beat(frozen, other) == [m.Suspected(m.EngineId(0), suspect=False)]


def test_an_engine_that_died_leaves_for_good(bench: Bench) -> None:
    uuid = bench.engine()
    (left,) = bench.die(uuid)
    assert left == m.Left(
        m.EngineId(0), "engine 0 on here (pid 7) ended with code 1", 5, final=True
    )
    assert bench.die(uuid) == []
    assert bench.feed(m.EngineArrived(uuid, {})) == []
    assert bench.beat(uuid) == []


def test_the_death_of_a_stranger_is_no_news(bench: Bench) -> None:
    assert bench.die(m.PeerId("nobody")) == []


def test_an_engine_whose_connection_stayed_closed_is_lost_until_it_arrives(bench: Bench) -> None:
    uuid = bench.engine()
    (left,) = bench.die(uuid, code=None)
    assert isinstance(left, m.Left)
    assert (left.started, left.final) == (None, False)
    assert bench.beat(uuid) == []
    assert bench.feed(m.EngineArrived(uuid, {"node": NODE})) == [m.Joined(info(0, uuid))]


def test_an_engine_that_is_lost_and_then_known_to_be_dead_leaves_once(bench: Bench) -> None:
    uuid = bench.engine()
    bench.pass_time(21)
    assert bench.die(uuid) == []
    assert bench.beat(uuid) == []


def test_engines_go_with_their_supervisor(bench: Bench) -> None:
    bench.engine("a")
    bench.engine("b", OTHER_NODE)
    (left,) = bench.feed(m.NodeGone(NODE, "it said good-bye"))
    assert isinstance(left, m.Left)
    assert left.engine == 0
    assert "with its supervisor: it said good-bye" in left.reason


# ---------------------------------------------------------------- silence


def test_the_engines_of_a_silent_supervisor_are_suspected_then_lost(bench: Bench) -> None:
    bench.engine("a")
    bench.engine("b")
    said = bench.pass_time(5)
    assert said == [m.Suspected(m.EngineId(i), suspect=True) for i in (0, 1)]
    assert bench.core.snapshot().suspects == 2
    lost = bench.pass_time(15)
    assert [(type(left), left.engine) for left in lost if isinstance(left, m.Left)] == [
        (m.Left, 0),
        (m.Left, 1),
    ]
    assert bench.core.snapshot().members == 0


def test_an_engine_that_is_about_to_leave_gets_no_work_and_is_not_called_silent(
    bench: Bench,
) -> None:
    uuid, other = bench.engine("e"), bench.engine("f")
    closing = m.Pulses(NODE, [m.Pulse(uuid, 3.0, closing=True), m.Pulse(other, 0.0)])
    suspected = m.Suspected(m.EngineId(0), suspect=True, closing=True)
    assert bench.feed(closing) == [suspected]
    assert news_of(suspected) == ["engine 0 is about to leave, and gets no new work"]
    for _ in range(30):
        assert bench.feed(closing) == []
        assert bench.pass_time(1.0) == []
    assert bench.beat(uuid, other) == [m.Suspected(m.EngineId(0), suspect=False)]


def test_a_suspected_engine_is_back_when_its_supervisor_beats(bench: Bench) -> None:
    uuid = bench.engine()
    bench.pass_time(6)
    assert bench.beat(uuid) == [m.Suspected(m.EngineId(0), suspect=False)]
    assert bench.beat(uuid) == []


def test_a_lost_engine_is_back_under_its_id_when_its_supervisor_beats_for_it(bench: Bench) -> None:
    uuid, _ = bench.engine("a"), bench.engine("b")
    bench.pass_time(21)
    assert bench.beat(uuid) == [m.Joined(info(0, uuid))]
    assert bench.core.snapshot().members == 1


def test_a_supervisor_that_beats_keeps_its_engines(bench: Bench) -> None:
    uuid = bench.engine()
    for _ in range(30):
        bench.beat(uuid)
        assert bench.pass_time(1) == []


def test_a_supervisor_that_comes_back_is_heard(bench: Bench) -> None:
    bench.engine()
    bench.pass_time(6)
    assert bench.feed(m.NodeCame(NODE, {})) == [m.Suspected(m.EngineId(0), suspect=False)]


def test_a_hub_that_was_held_up_declares_nobody_lost(bench: Bench) -> None:
    bench.engine()
    bench.now += 3600
    assert bench.core.tick(bench.now, bench.wall) == []


def test_a_wall_clock_that_jumps_loses_nobody(bench: Bench) -> None:
    bench.engine()
    for wall in (0.0, 9e9, -1.0):
        bench.now += 0.5
        assert bench.core.tick(bench.now, wall) == []


# ---------------------------------------------------------------- descriptions


@pytest.mark.parametrize(
    ("death", "text"),
    [
        ({"signal": 9, "reason": "was killed by SIGKILL"}, "was killed by SIGKILL"),
        ({"exit_code": 3, "reason": "ended with code 3"}, "ended with code 3"),
        ({"exit_code": 3}, "ended"),
        ({"exit_code": 0, "expected": True, "reason": "whatever"}, "was stopped"),
        (
            {"signal": 11, "reason": "was killed by SIGSEGV", "stderr": "\nFatal error\n  here\n"},
            "was killed by SIGSEGV; its last lines of stderr:\nFatal error\n  here",
        ),
    ],
)
def test_a_death_is_described_with_host_pid_signal_and_last_words(
    death: dict[str, object], text: str
) -> None:
    engine = Engine(m.EngineId(4), m.PeerId("e"), NODE, "far", 99, EngineStatus.ALIVE)
    fields = {"exit_code": None, "signal": None, "started": 0, "expected": False, **death}
    said = describe(engine, m.Death(m.PeerId("e"), **fields))  # type: ignore[arg-type]
    assert said == f"engine 4 on far (pid 99) {text}"


# ---------------------------------------------------------------- questions and the end


def test_a_question_is_answered_to_who_asked(bench: Bench) -> None:
    assert bench.ask("abort_done") == [m.Answered(CLIENT, m.Answer(3, b"\xc0"))]


def test_an_unknown_question_is_answered_with_an_error(bench: Bench) -> None:
    (answered,) = bench.ask("what_time_is_it")
    assert isinstance(answered, m.Answered)
    assert answered.answer.number == 3
    assert answered.answer.error is not None
    assert "what_time_is_it" in answered.answer.error.evalue


def test_orders_follow_the_answer(bench: Bench) -> None:
    uuid = bench.engine()
    answered, order = bench.ask("signal", {"signum": 2})
    assert isinstance(answered, m.Answered)
    assert order == m.Order(NODE, signal=m.Signal([uuid], 2))


def test_a_client_may_shut_everything_down(bench: Bench) -> None:
    answered, shut_down = bench.ask("shutdown", {"hub": True})
    assert isinstance(answered, m.Answered)
    assert shut_down == m.ShutDown("a client shut the cluster down")


def test_a_shutdown_has_a_reason(bench: Bench) -> None:
    assert bench.core.shut_down("enough") == [m.ShutDown("enough")]
    assert bench.feed(m.ShutDownDone()) == []


def test_what_only_the_hub_says_makes_no_sense_to_it(bench: Bench) -> None:
    with pytest.raises(ProtocolError, match="Joined"):
        bench.feed(m.Joined(info(0, m.PeerId("e"))))


def test_ends_are_counted_for_each_engine_also_those_that_have_left(bench: Bench) -> None:
    uuid = bench.engine()
    results = [m.Result(m.MsgId(name), "ok", m.EngineId(0)) for name in "abc"]
    bench.feed(m.Ended(CLIENT), encode(m.Results(results)))
    bench.die(uuid)
    stray = m.Result(m.MsgId("d"), "ok", m.EngineId(77))
    bench.feed(m.Ended(CLIENT), encode(m.Results([stray, m.Result(m.MsgId("e"), "lost", None)])))
    assert bench.core.registry.with_uuid(uuid).n_completed == 3  # type: ignore[union-attr]
    assert bench.core.snapshot().records == 5


# ---------------------------------------------------------------- what is remembered


def come_and_go(bench: Bench, number: int) -> None:
    """Let a supervisor and its two engines come, and go in one of the ways that there are."""
    node = m.PeerId(f"node {number}")
    uuids = [m.PeerId(f"engine {number} {i}") for i in range(2)]
    core = bench.core
    core.handle(m.NodeCame(node, {}), [])
    for uuid in uuids:
        core.handle(m.EngineArrived(uuid, {"host": "here", "pid": 7, "node": node}), [])
    core.handle(m.Pulses(node, [m.Pulse(uuid, 0.0) for uuid in uuids]), [])
    match number % 3:
        case 0:
            for uuid in uuids:
                core.handle(m.Departed(m.Death(uuid, 0, None, None, expected=True)), [])
            core.handle(m.NodeGone(node, "it ended"), [])
        case 1:
            core.handle(m.NodeGone(node, "it was killed"), [])
        case 2:  # a connection that stays closed, and nothing more is ever said of it
            for uuid in uuids:
                core.handle(m.Departed(m.Death(uuid, None, None, None, expected=False)), [])


def n_kept(core: HubCore) -> int:
    """Return how many things the hub remembers, in all its tables together."""
    parts = [core.registry, core._nodes, core._engines, core._recorder, core._queries, core]
    tables = [table for part in parts for table in vars(part).values()]
    return sum(len(table) for table in tables if isinstance(table, dict | list | set))


def test_engines_that_come_and_go_leave_the_hub_as_it_was(bench: Bench) -> None:
    for number in range(1_000):
        come_and_go(bench, number)
    before = n_kept(bench.core)
    for number in range(1_000, 5_000):  # two engines each
        come_and_go(bench, number)
    assert n_kept(bench.core) <= before + 10
    bench.core.check()
    here = bench.engine("a")
    answered = bench.ask("queue_status", {}, msgspec.msgpack.encode(m.QueueState({}, {}, [])))
    assert isinstance(answered[0], m.Answered)
    assert len(msgspec.msgpack.decode(answered[0].answer.value, strict=False)) == 2, "it, and tasks"
    assert [engine.uuid for engine in bench.core.registry.members()] == [here]
