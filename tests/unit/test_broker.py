"""The broker by examples, through frames: peers come, speak, break the rules, and go."""

from __future__ import annotations

import pytest

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import encode, unnumbered
from hippodrome.protocol.stream import Stream
from hippodrome.scheduler import broker as broker_module
from hippodrome.scheduler.closings import (
    CLOSED_LOCAL_S,
    CLOSED_REMOTE_S,
    ENDED_REMOTE_S,
    WAS_HEARD_S,
)
from hippodrome.scheduler.held_queries import PATIENCE_S
from support.bench import Bench, F, G, PlayedPeer, attempts_of, names_of, outcomes, task

SECOND = 1.0


@pytest.fixture
def bench() -> Bench:
    return Bench.make()


def direct(
    names: list[str], targets: list[int], n_buffers: int = 0, functions: tuple[m.Digest, ...] = (F,)
) -> m.SubmitDirect:
    msg_ids = [m.MsgId(name) for name in names]
    engines = [m.EngineId(number) for number in targets]
    return m.SubmitDirect(msg_ids, engines, F, b"args", n_buffers, "", list(functions))


def after(*names: str) -> m.Dependencies:
    return m.Dependencies([m.MsgId(name) for name in names])


# ---------------------------------------------------------------- introductions


def test_a_peer_that_introduces_itself_is_welcome(bench: Bench) -> None:
    client = bench.client()
    assert all(link.is_open for link in client.links.values())
    assert client.got(m.Membership) == [m.Membership([])]


def test_a_client_is_told_who_is_here(bench: Bench) -> None:
    engine = bench.engine()
    assert bench.client().got(m.Membership) == [m.Membership([bench.info(engine, 0)], number=1)]


def test_a_stranger_is_asked_who_it_is(bench: Bench) -> None:
    for frames in (Stream().send(m.Submit([])), unnumbered(m.Beat()), unnumbered(m.Sync(1, 0))):
        bench.broker.receive(b"nobody", None, frames)
    assert bench.broker.flush() == [(b"nobody", unnumbered(m.WhoAreYou()))] * 3


def test_an_engine_arrives_once_both_channels_are_there(bench: Bench) -> None:
    engine = bench.peer("engine")
    engine.connect("task")
    assert not bench.told(m.EngineArrived)
    engine.connect("control")
    assert bench.told(m.EngineArrived) == [m.EngineArrived(engine.uuid, engine.info)]
    bench.say(m.Joined(bench.info(engine, 0)))
    assert engine.got(m.Registered, "control") == [m.Registered(m.EngineId(0))]


def test_a_supervisor_and_its_beats_are_reported(bench: Bench) -> None:
    node = bench.peer("node").connect_all()
    pulse = m.Pulse(m.PeerId("e" * 32), 0.5)
    node.send("control", m.Beat([pulse]))
    assert bench.told(m.NodeCame) == [m.NodeCame(node.uuid, node.info)]
    assert bench.told(m.Pulses) == [m.Pulses(node.uuid, [pulse])]


@pytest.mark.parametrize(
    ("key_role", "role", "channel"),
    [
        ("engine", "client", "task"),
        ("client", "engine", "task"),
        ("client", "node", "control"),
        ("nobody", "client", "task"),
        (None, "king", "task"),
        (None, "node", "task"),
    ],
)
def test_a_role_without_the_key_for_it_is_refused(
    bench: Bench, key_role: str | None, role: str, channel: str
) -> None:
    hello = m.Hello(m.PROTOCOL, role, channel, m.PeerId("p"), 1)
    bench.broker.receive(b"r", key_role, unnumbered(hello))
    ((route, _),) = bench.broker.flush()
    assert route == b"r"
    assert bench.broker.peers.channel_at(b"r") is None
    assert bench.broker.reception.complaints[0].startswith("refused a peer")


@pytest.mark.parametrize(
    ("key_role", "role", "channel", "whose"),
    [("client", "node", "control", "engines"), ("engine", "client", "task", "clients")],
)
def test_who_brings_the_wrong_file_hears_which_is_right(
    bench: Bench, key_role: str, role: str, channel: str, whose: str
) -> None:
    hello = m.Hello(m.PROTOCOL, role, channel, m.PeerId("p"), 1)
    bench.broker.receive(b"r", key_role, unnumbered(hello))
    assert f"use the connection file for {whose}" in bench.broker.reception.complaints[0]


def test_a_connection_cannot_change_the_role_that_its_key_has_proved(bench: Bench) -> None:
    """Whoever owns the sockets asks for the key only of connections that are unknown."""
    hello = m.Hello(m.PROTOCOL, "client", "task", m.PeerId("p"), 1)
    bench.broker.receive(b"r", "client", unnumbered(hello))
    hello = m.Hello(m.PROTOCOL, "engine", "task", m.PeerId("q"), 1)
    bench.broker.receive(b"r", None, unnumbered(hello))
    assert bench.broker.peers.get(m.PeerId("q")) is None


def test_a_uuid_keeps_its_role(bench: Bench) -> None:
    client = bench.client()
    engine = bench.peer("engine", uuid=client.uuid).connect_all()
    assert [refused.reason for refused in engine.got(m.Refused, "task")]
    assert bench.broker.peers.get(client.uuid).role == "client"  # type: ignore[union-attr]


def test_another_version_is_refused_with_both_versions_named(bench: Bench) -> None:
    client = bench.peer("client")
    bench.ends[b"r"] = (client, "task")
    bench.broker.receive(b"r", None, unnumbered(m.Hello(99, "client", "task", client.uuid, 1)))
    bench.turn()
    (refused,) = client.got(m.Refused)
    assert "99" in refused.reason
    assert str(m.PROTOCOL) in refused.reason


# ---------------------------------------------------------------- tasks


def test_a_task_goes_to_an_engine_and_comes_back(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a", n_buffers=1)], [F]), b"code", b"array")
    (assign,) = engine.came["task"][1:]
    assert assign.buffers == [b"code", b"array"]
    engine.send("task", outcomes(*attempts_of(engine)))
    assert client.results()["a"].status == "ok"
    assert client.results()["a"].payload == b"r"


def test_an_engine_gets_a_function_once(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a"), task("b")], [F]), b"code")
    client.send("task", m.Submit([task("c")]))
    assert [assign.functions for assign in engine.got(m.Assign)] == [[F], []]


def test_a_direct_call_goes_to_each_engine_it_names(bench: Bench) -> None:
    client, one, two = bench.client(), bench.engine(), bench.engine()
    client.send("task", direct(["a", "b", "c"], [1, 0, 7], 1), b"code", b"array")
    assert (names_of(one), names_of(two)) == (["b"], ["a"])
    assert client.results()["c"].status == "lost"
    for engine in (one, two):
        engine.send("task", outcomes(*attempts_of(engine)))
    assert [client.results()[name].status for name in "ab"] == ["ok", "ok"]


def test_serial_numbers_leave_in_order_also_when_a_direct_calls_end_releases_dependents(
    bench: Bench,
) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", direct(["first"], [0]), b"code")
    client.send("task", m.Submit([task("waits", after=after("first")), task("b")]))
    assert names_of(engine) == ["first", "b"]
    engine.send("task", outcomes(*attempts_of(engine)))
    assert names_of(engine) == ["first", "b", "waits"]


def test_serial_numbers_leave_in_order_when_one_of_many_direct_calls_fails_at_once(
    bench: Bench,
) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("z")], [F]), b"code")
    waits = task("waits", after=m.Dependencies([m.MsgId("lost")], failure=True))
    client.send("task", direct(["first"], [0], functions=()))
    client.send("task", direct(["lost", "second"], [7, 0], functions=()))
    client.send("task", m.Submit([waits]))
    assert names_of(engine) == ["z", "first", "second", "waits"]


def test_dependents_of_a_direct_call_leave_behind_the_calls_beside_it(bench: Bench) -> None:
    """They are released while the other calls of the same message are still being sent."""
    client, one, two = bench.client(), bench.engine(), bench.engine()
    client.send("task", direct(["lost"], [1]), b"code")
    waits = task("waits", after=m.Dependencies([m.MsgId("lost")], failure=True), targets=[0])
    client.send("task", m.Submit([waits, task("b", targets=[0])]))
    client.send("task", direct(["x"], [1], functions=()))
    waits = task("waits too", after=m.Dependencies([m.MsgId("x")], failure=True), targets=[0])
    client.send("task", m.Submit([waits]))
    bench.say(m.Left(m.EngineId(1), "gone", 0, final=True))
    assert names_of(two) == ["lost", "x"]
    assert names_of(one) == ["b", "waits", "waits too"]


def test_an_id_names_one_task_for_good_whoever_uses_it_again(bench: Bench) -> None:
    client, other, engine = bench.client(), bench.client(), bench.engine()
    client.send("task", m.Submit([task("a"), task("a")], [F]), b"code")
    other.send("task", direct(["a", "b", "b"], [0, 0, 0]), b"code")
    other.send("task", m.Submit([task("b"), task("a")]))
    assert names_of(engine) == ["a", "b"]
    engine.send("task", outcomes(*attempts_of(engine)))
    other.send("task", m.Submit([task("a")]))
    assert set(client.results()) == {"a"}
    assert set(other.results()) == {"b"}


def test_the_hub_hears_of_tasks_in_the_order_of_what_happened(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a")], [F]), b"code")
    engine.send("task", outcomes(*attempts_of(engine)))
    bench.tick(200.0)
    kinds = [type(item.message) for item in bench.hub]
    assert [kind for kind in kinds if kind is not m.Awake][-2:] == [m.Submitted, m.Ended]


# ---------------------------------------------------------------- functions


def test_submissions_wait_in_order_for_a_function_that_is_not_here(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a")]))
    client.send("task", m.Submit([task("b", G)], [G]), b"other code")
    client.send("task", direct(["c"], [0], functions=()))
    assert client.got(m.NeedFunctions) == [m.NeedFunctions([F])]
    assert names_of(engine) == []
    client.send("task", m.Functions([F]), b"code")
    assert names_of(engine) == ["a", "b", "c"]


def test_each_function_that_is_missing_is_asked_for_in_its_turn(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a")]))
    client.send("task", m.Submit([task("b", G)]))
    client.send("task", m.Functions([F]), b"code")
    assert client.got(m.NeedFunctions) == [m.NeedFunctions([F]), m.NeedFunctions([G])]
    assert names_of(engine) == ["a"]
    client.send("task", m.Functions([G]), b"code")
    assert names_of(engine) == ["a", "b"]


def test_tasks_whose_client_does_not_have_their_function_any_more_are_refused(
    bench: Bench,
) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a"), task("b", G)], [G]), b"other code")
    client.send("task", m.Submit([task("c", G)]))
    client.send("task", m.Functions([]))
    assert names_of(engine) == ["b", "c"]
    assert client.results()["a"].failure.ename == "TaskRejectError"  # type: ignore[union-attr]


def test_a_client_that_waits_for_a_function_holds_up_nobody_else(bench: Bench) -> None:
    client, other, engine = bench.client(), bench.client(), bench.engine()
    client.send("task", m.Submit([task("a")]))
    other.send("task", m.Submit([task("b")], [F]), b"code")
    assert names_of(engine) == ["b"]


def test_a_function_is_kept_while_it_is_needed_however_large_it_is(bench: Bench) -> None:
    bench.broker.functions._limit_bytes = 10
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a")], [F]), bytes(100))
    assert names_of(engine) == ["a"]
    client.send("task", m.Submit([task("b", G)]))
    client.send("task", m.Functions([G]), bytes(100))
    assert names_of(engine) == ["a", "b"]
    assert F in bench.broker.functions
    engine.send("task", outcomes(*attempts_of(engine)))
    assert F not in bench.broker.functions
    assert G not in bench.broker.functions


def test_functions_of_tasks_that_came_twice_are_not_kept_for_ever(bench: Bench) -> None:
    bench.broker.functions._limit_bytes = 0
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a"), task("a")], [F]), b"code")
    engine.send("task", outcomes(*attempts_of(engine)))
    assert F not in bench.broker.functions


def test_an_engine_that_dropped_a_function_is_sent_it_again(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a")], [F]), b"code")
    engine.send("task", m.NeedFunctions([F, G]))
    assert engine.came["task"][-1].message == m.Functions([F])
    assert engine.came["task"][-1].buffers == [b"code"]


# ---------------------------------------------------------------- malformed submissions


@pytest.mark.parametrize(
    ("message", "buffers"),
    [
        (m.Submit([task("a", n_buffers=1)], [F]), [b"code"]),
        (m.Submit([task("a")], [F]), [b"code", b"too many"]),
        (m.Submit([task("a", n_buffers=-1), task("b", n_buffers=1)], [F]), [b"code"]),
        (m.Submit([task("a")], [F]), []),
        (m.Submit([task("a", retries=-1)], [F]), [b"code"]),
        (m.Submit([task("a", timeout_s=float("nan"))], [F]), [b"code"]),
        (m.Submit([task("a", timeout_s=-1.0)], [F]), [b"code"]),
        (direct(["a"], [0], 1), [b"code"]),
        (direct(["a"], [0, 1]), [b"code"]),
        (direct(["a", "b"], [0]), [b"code"]),
    ],
)
def test_each_task_of_a_malformed_submission_is_answered(
    bench: Bench, message: m.Submit | m.SubmitDirect, buffers: list[bytes]
) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", message, *buffers)
    assert client.results()["a"].failure.ename == "TaskRejectError"  # type: ignore[union-attr]
    assert "malformed" in client.results()["a"].failure.evalue  # type: ignore[union-attr]
    assert client.uuid in bench.broker.reception.complaints[0]
    client.send("task", m.Submit([task("z")], [F]), b"code")
    assert names_of(engine) == ["z"]


def test_a_malformed_submission_that_would_be_parked_holds_up_nothing(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a")]))
    client.send("task", m.Submit([task("bad", n_buffers=3)]))
    client.send("task", m.Submit([task("b")]))
    assert client.results()["bad"].status == "unreachable"
    client.send("task", m.Functions([F]), b"code")
    assert names_of(engine) == ["a", "b"]


def test_a_malformed_submission_does_not_end_a_task_that_has_the_same_id(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a")], [F]), b"code")
    client.send("task", m.Submit([task("a", n_buffers=1)]))
    engine.send("task", outcomes(*attempts_of(engine)))
    assert client.results()["a"].status == "ok"


def test_answers_with_too_few_functions_change_nothing(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a")]))
    client.send("task", m.Functions([F]))
    assert client.results() == {}
    client.send("task", m.Functions([F]), b"code")
    assert names_of(engine) == ["a"]


# ---------------------------------------------------------------- roles


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("engine", m.Submit([task("a")])),
        ("engine", direct(["a"], [0])),
        ("engine", m.Abort()),
        ("engine", m.Query(1, "shutdown")),
        ("engine", m.Functions([])),
        ("engine", m.Exited(m.Death(m.PeerId("e"), 1, None, 0, expected=False))),
        ("node", m.Submit([task("a")])),
        ("node", m.Outcomes([])),
        ("node", m.Query(1, "shutdown")),
        ("client", m.Outcomes([])),
        ("client", m.Dropped([])),
        ("client", m.NeedFunctions([])),
        ("client", m.Exited(m.Death(m.PeerId("e"), 1, None, 0, expected=False))),
        ("client", m.Results([])),
        ("client", m.Assign(1, [])),
    ],
)
def test_nobody_may_say_what_its_role_does_not_allow(
    bench: Bench, role: str, message: m.Message
) -> None:
    peer = bench.peer(role).connect_all()
    bench.hub.clear()
    peer.send("control", message)
    assert f"a {type(message).__name__} from a {role}" in bench.broker.reception.complaints[0]
    assert peer.uuid in bench.broker.reception.complaints[0]
    assert bench.hub == []


def test_outcomes_of_an_engine_that_is_no_member_change_nothing(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    stranger = bench.peer("engine").connect_all()
    client.send("task", m.Submit([task("a")], [F]), b"code")
    stranger.send("task", outcomes(*attempts_of(engine)))
    assert client.results() == {}


def test_an_engine_cannot_end_what_another_holds(bench: Bench) -> None:
    client, engine, other = bench.client(), bench.engine(), bench.engine()
    client.send("task", direct(["a"], [0]), b"code")
    client.send("task", m.Submit([task("b", targets=[0])]))
    other.send("task", outcomes(*attempts_of(engine)))
    assert client.results() == {}


def test_a_supervisor_cannot_declare_a_client_dead(bench: Bench) -> None:
    client = bench.client()
    node = bench.peer("node").connect_all()
    node.send("control", m.Exited(m.Death(client.uuid, 1, None, 0, expected=False)))
    assert bench.broker.peers.get(client.uuid) is not None
    assert not bench.told(m.Departed)


# ---------------------------------------------------------------- complaints


@pytest.mark.parametrize(
    "frames",
    [[], [b""], [b"short"], [bytes(16)], [bytes(16) + b"\xc1"], unnumbered(m.Submit([]))],
)
def test_what_is_no_message_is_complained_about(bench: Bench, frames: list[bytes]) -> None:
    client = bench.client()
    bench.broker.receive(client.routes["task"], None, frames)
    bench.broker.receive(b"nobody", None, frames[:1] if frames else [])
    assert client.uuid in bench.broker.reception.complaints[0]


def test_a_stranger_is_complained_about_as_such(bench: Bench) -> None:
    bench.broker.receive(b"nobody", None, [b"noise"])
    assert bench.broker.reception.complaints[0].startswith("a stranger broke the protocol")


def test_a_message_that_makes_no_sense_does_not_come_again(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Results([]))
    client.send("task", m.Submit([task("a")], [F]), b"code")
    assert len(bench.broker.reception.complaints) == 1
    assert names_of(engine) == ["a"]


# ---------------------------------------------------------------- engines come and go


def test_the_tasks_of_an_engine_that_leaves_end_or_move(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a"), task("b")], [F]), b"code")
    client.send("task", direct(["c"], [0], functions=()))
    other = bench.engine()
    bench.say(m.Left(m.EngineId(0), "killed by SIGKILL", 1, final=True))
    assert client.results()["a"].failure == m.Failure("EngineError", "killed by SIGKILL")
    assert client.results()["c"].failure == m.Failure("EngineError", "killed by SIGKILL")
    assert names_of(other) == ["b"]
    assert client.got(m.Membership)[-1].left == {0: "killed by SIGKILL"}
    assert bench.broker.peers.get(engine.uuid) is None


def test_what_a_lost_engines_call_releases_does_not_go_to_that_engine(bench: Bench) -> None:
    client, _ = bench.client(), bench.engine()
    client.send("task", direct(["a"], [0]), b"code")
    waits = m.Dependencies([m.MsgId("a")], failure=True)
    client.send("task", m.Submit([task("b", after=waits)]))
    bench.say(m.Left(m.EngineId(0), "silent", None, final=False))
    assert set(client.results()) == {"a"}
    assert names_of(bench.engine()) == ["b"]


def test_an_engine_that_is_lost_but_may_come_back_is_remembered(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", direct(["a"], [0]), b"code")
    bench.say(m.Left(m.EngineId(0), "silent", None, final=False))
    assert engine.got(m.Drop, "control") == [m.Drop([(m.MsgId("a"), 1)])]
    bench.say(m.Joined(bench.info(engine, 0)))
    client.send("task", m.Submit([task("b")]))
    assert names_of(engine) == ["a", "b"]


def test_a_suspected_engine_gets_no_new_work(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    bench.say(m.Suspected(m.EngineId(0), suspect=True), m.Suspected(m.EngineId(9), suspect=True))
    client.send("task", m.Submit([task("a")], [F]), b"code")
    assert names_of(engine) == []
    assert client.got(m.Membership)[-1].present[0].state == "suspect"
    bench.say(m.Suspected(m.EngineId(0), suspect=False))
    assert names_of(engine) == ["a"]


def test_an_end_reported_by_a_supervisor_is_passed_on(bench: Bench) -> None:
    engine = bench.engine()
    node = bench.peer("node").connect_all()
    death = m.Death(engine.uuid, None, 9, 3, expected=False)
    node.send("control", m.Exited(death))
    assert bench.told(m.Departed) == [m.Departed(death)]


def test_an_abort_recalls_what_was_sent_and_what_was_dropped_ends(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", direct(["a"], [0]), b"code")
    client.send("task", m.Submit([task("b")]))
    client.send("control", m.Abort(None))
    dropped = [(m.MsgId("b"), 1), (m.MsgId("a"), 1)]
    assert sorted(a for drop in engine.got(m.Drop) for a in drop.attempts) == sorted(dropped)
    engine.send("control", m.Dropped(dropped))
    assert {result.status for result in client.results().values()} == {"aborted"}


def test_a_query_goes_to_the_hub_with_the_state_of_the_queues(bench: Bench) -> None:
    client, _ = bench.client(), bench.engine()
    client.send("task", direct(["a"], [0]), b"code")
    client.send("control", m.Query(7, "queue_status"))
    asked = bench.hub[-1]
    assert asked.message == m.Asked(client.uuid, m.Query(7, "queue_status"))
    assert b"a" in asked.buffers[0]
    bench.say(m.Answered(client.uuid, m.Answer(7, b"\xc0")))
    assert client.got(m.Answer, "control") == [m.Answer(7, b"\xc0")]


def test_orders_reach_the_supervisor(bench: Bench) -> None:
    node = bench.peer("node").connect_all()
    stop, signal = m.Stop([m.PeerId("e")]), m.Signal([m.PeerId("e")], 2)
    bench.say(m.Order(node.uuid, stop=stop), m.Order(node.uuid, signal=signal))
    bench.say(m.Order(m.PeerId("nobody"), stop=stop))
    assert (node.got(m.Stop), node.got(m.Signal)) == ([stop], [signal])


# ---------------------------------------------------------------- connections


def test_what_a_replaced_connection_lost_is_sent_over_the_next(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    engine.close("task")
    client.send("task", m.Submit([task("a"), task("b")], [F]), b"code")
    assert names_of(engine) == []
    engine.connect("task")
    assert names_of(engine) == ["a", "b"]
    assert len(bench.told(m.EngineArrived)) == 2


def test_what_the_peer_sent_into_a_dead_connection_is_taken_once(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.links["task"].send(m.Submit([task("a")], [F]), [b"code"])  # and it is lost
    client.send("task", m.Submit([task("b")]))
    client.connect("task")
    assert names_of(engine) == ["a", "b"]
    client.connect("task")
    assert names_of(engine) == ["a", "b"]


def test_a_late_introduction_does_not_take_the_channel_back(bench: Bench) -> None:
    client = bench.client()
    hello = m.Hello(m.PROTOCOL, "client", "task", client.uuid, 1)
    bench.broker.receive(b"late", None, unnumbered(hello))
    assert bench.broker.peers.channel_at(b"late") is None
    assert bench.broker.flush() == []


def test_a_peer_on_this_host_is_buried_when_its_connections_stay_closed(bench: Bench) -> None:
    engine, node, client = bench.engine(), bench.peer("node").connect_all(), bench.client()
    for peer in (engine, node, client):
        for channel in peer.links:
            peer.close(channel)
    bench.pass_time(CLOSED_LOCAL_S)
    assert bench.broker.peers.get(engine.uuid) is not None
    bench.pass_time(SECOND / 4)
    assert [peer.uuid for peer in bench.broker.peers] == []
    (departed,) = bench.told(m.Departed)
    assert departed.death.uuid == engine.uuid
    assert "closed" in departed.death.reason
    assert [gone.node for gone in bench.told(m.NodeGone)] == [node.uuid]


def test_a_peer_with_one_open_connection_is_not_buried(bench: Bench) -> None:
    engine = bench.engine()
    engine.close("task")
    bench.pass_time(CLOSED_LOCAL_S + 0.5)
    assert bench.broker.peers.get(engine.uuid) is not None
    assert not bench.told(m.Departed)


def test_a_peer_elsewhere_is_given_time_to_come_back(bench: Bench) -> None:
    client = bench.client("client")
    for channel in client.links:
        client.close(channel)
    bench.pass_time(CLOSED_LOCAL_S + 0.5)
    assert bench.broker.peers.get(client.uuid) is not None
    bench.pass_time(CLOSED_REMOTE_S)
    assert bench.broker.peers.get(client.uuid) is None


def remote_node(bench: Bench) -> PlayedPeer:
    """Return a supervisor elsewhere that has beaten for a while."""
    node = bench.peer("node", "engine").connect_all()
    for _ in range(3):
        bench.pass_time(SECOND)
        node.send("control", m.Beat([]))
    return node


def test_a_supervisor_elsewhere_that_beat_to_the_last_has_ended(bench: Bench) -> None:
    node = remote_node(bench)
    node.close("control")
    bench.pass_time(ENDED_REMOTE_S)
    assert not bench.told(m.NodeGone)
    bench.pass_time(SECOND / 2)
    assert [gone.node for gone in bench.told(m.NodeGone)] == [node.uuid]


def test_a_supervisor_elsewhere_that_was_silent_first_has_been_cut_off(bench: Bench) -> None:
    node = remote_node(bench)
    bench.pass_time(2 * WAS_HEARD_S)
    node.close("control")
    bench.pass_time(60.0)
    assert not bench.told(m.NodeGone)


@pytest.mark.parametrize("has_beaten_since", [False, True])
def test_a_controller_that_was_held_up_takes_no_closed_connection_for_a_death(
    has_beaten_since: bool, bench: Bench
) -> None:
    node = remote_node(bench)
    bench.tick(bench.broker.now + 15.0)
    if has_beaten_since:  # it was sent before
        node.send("control", m.Beat([]))
    node.close("control")
    bench.pass_time(60.0)
    assert not bench.told(m.NodeGone)


def test_after_a_while_a_controller_that_was_held_up_knows_deaths_again(bench: Bench) -> None:
    node = remote_node(bench)
    bench.tick(bench.broker.now + 15.0)
    for _ in range(20):
        bench.pass_time(SECOND)
        node.send("control", m.Beat([]))
    node.close("control")
    bench.pass_time(ENDED_REMOTE_S + SECOND)
    assert [gone.node for gone in bench.told(m.NodeGone)] == [node.uuid]


def test_a_connection_that_turns_into_another_channel_closes_the_first(bench: Bench) -> None:
    client = bench.client()
    hello = m.Hello(m.PROTOCOL, "client", "task", m.PeerId("other"), 1)
    for route in client.routes.values():
        bench.broker.receive(route, None, unnumbered(hello))
        hello = m.Hello(m.PROTOCOL, "client", "control", m.PeerId("other"), 1)
    bench.broker.flush()
    bench.ends.clear()
    bench.pass_time(CLOSED_LOCAL_S + 0.5)
    assert bench.broker.peers.get(client.uuid) is None


def test_a_client_that_says_good_bye_is_forgotten_with_what_it_parked(bench: Bench) -> None:
    client = bench.client()
    client.send("task", m.Submit([task("a")]))
    client.send("control", m.Bye("done"))
    assert bench.broker.peers.get(client.uuid) is None
    assert bench.broker._clients.intake._parked == {}


def test_a_supervisor_that_says_good_bye_is_reported_as_gone(bench: Bench) -> None:
    node = bench.peer("node").connect_all()
    node.send("control", m.Bye("stopped"))
    assert bench.told(m.NodeGone) == [m.NodeGone(node.uuid, "stopped")]
    assert not node.links["control"].stream.n_unacknowledged, "it waits until they are heard"


def test_of_an_engines_good_bye_its_supervisor_says_what_it_means(bench: Bench) -> None:
    engine = bench.engine()
    engine.send("control", m.Bye("stopped"))
    assert bench.broker.peers.get(engine.uuid) is not None


def test_every_control_channel_hears_beats(bench: Bench) -> None:
    peers = [bench.client(), bench.engine(), bench.peer("node").connect_all()]
    for step in range(1, 13):
        bench.tick(100.0 + step * SECOND / 4)
    assert [len(peer.got(m.Beat, "control")) for peer in peers] == [3, 3, 3]
    assert all(not peer.got(m.Beat, "task") for peer in peers if "task" in peer.links)


def test_what_nobody_has_acknowledged_is_asked_about(bench: Bench) -> None:
    client = bench.client()
    engine = bench.engine()
    route = engine.routes["task"]
    held = bench.ends.pop(route)  # it does not read
    client.send("task", m.Submit([task("a")], [F]), b"code")
    bench.ends[route] = held
    for step in range(1, 12):
        bench.tick(100.0 + step * SECOND / 4)
    assert names_of(engine) == ["a"]


def test_the_next_tick_comes_in_time_for_deadlines_and_records(bench: Bench) -> None:
    client = bench.client()
    assert bench.broker.next_tick() == 100.0 + broker_module.TICK_EVERY_S
    client.send("task", m.Submit([task("a", timeout_s=0.01)], [F]), b"code")
    assert bench.broker.next_tick() == 100.01
    bench.tick(100.02)
    assert client.results()["a"].status == "timeout"


# ---------------------------------------------------------------- the end


def test_a_shutdown_says_good_bye_to_everyone(bench: Bench) -> None:
    peers = [bench.client(), bench.engine(), bench.peer("node").connect_all()]
    bench.say(m.ShutDown("enough"))
    for peer in peers:
        for channel in peer.links:
            assert peer.got(m.Bye, channel) == [m.Bye("enough")]
    assert bench.told(m.ShutDownDone) == [m.ShutDownDone()]
    assert bench.broker.is_down


def test_what_was_decided_before_a_shutdown_is_told_before_the_good_bye(bench: Bench) -> None:
    client, engine = bench.client(), bench.engine()
    client.send("task", m.Submit([task("a")], [F]), b"code")
    (frames,) = engine.links["task"].send(outcomes(*attempts_of(engine)))
    bench.broker.receive(engine.routes["task"], None, frames)
    bench.say(m.Answered(client.uuid, m.Answer(7, b"\xc0")), m.ShutDown("enough"))
    assert client.results()["a"].status == "ok"
    assert [type(item.message) for item in client.came["control"]][-2:] == [m.Answer, m.Bye]
    assert len(bench.told(m.Ended)) == 1


def test_whoever_comes_during_a_shutdown_is_sent_away(bench: Bench) -> None:
    bench.say(m.ShutDown("enough"))
    client = bench.client()
    assert len(client.got(m.Bye)) == 2


# ---------------------------------------------------------------- tasks that are on their way


def about(number: int, *names: str, what: str = "results") -> m.Query:
    return m.Query(number, what, encode({"msg_ids": list(names)}))


def test_a_question_about_a_task_that_may_still_come_waits_for_its_client(bench: Bench) -> None:
    owner, other = bench.client(), bench.client()
    name = f"{owner.uuid}_1"
    other.send("control", about(1, name))
    assert owner.got(m.Flush, "task") == [m.Flush(1)]
    assert not bench.told(m.Asked)
    owner.send("task", m.Submit([task(name)], [F]), b"pickle")
    owner.send("task", m.Flushed(1))
    told = [item.message for item in bench.hub]
    assert [type(one) for one in told][-2:] == [m.Submitted, m.Asked]
    assert bench.told(m.Asked) == [m.Asked(other.uuid, about(1, name))]
    owner.send("task", m.Flushed(1))  # once too often
    owner.send("task", m.Flushed(99))
    assert len(bench.told(m.Asked)) == 1


@pytest.mark.parametrize("what", ["result_status", "resubmission", "purge"])
def test_so_does_one_by_the_client_itself(bench: Bench, what: str) -> None:
    client = bench.client()
    client.send("control", about(1, f"{client.uuid}_1", what=what))
    assert not bench.told(m.Asked)
    client.send("task", m.Flushed(1))
    assert len(bench.told(m.Asked)) == 1


def test_a_question_about_tasks_that_came_or_cannot_come_does_not_wait(bench: Bench) -> None:
    owner, other = bench.client(), bench.client()
    owner.send("task", m.Submit([task(f"{owner.uuid}_1")], [F]), b"pickle")
    engine = bench.engine()
    for number, name in enumerate([f"{owner.uuid}_1", "nobody", "nobody_1", f"{engine.uuid}_1"]):
        other.send("control", about(number, name))
        assert len(bench.told(m.Asked)) == number + 1
    other.send("control", m.Query(5, "results", b"not msgpack"))
    other.send("control", m.Query(6, "storage"))
    assert len(bench.told(m.Asked)) == 6
    assert owner.got(m.Flush) == []


def test_several_clients_are_waited_for_and_none_for_ever(bench: Bench) -> None:
    one, two, asker = bench.client(), bench.client(), bench.client()
    asker.send("control", about(1, f"{one.uuid}_1", f"{two.uuid}_1"))
    one.send("task", m.Flushed(1))
    assert not bench.told(m.Asked)
    two.send("control", m.Bye("it leaves"))
    assert len(bench.told(m.Asked)) == 1
    asker.send("control", about(2, f"{one.uuid}_1"))
    bench.tick(100.0 + PATIENCE_S / 2)
    assert len(bench.told(m.Asked)) == 1
    bench.tick(100.1 + PATIENCE_S)
    assert len(bench.told(m.Asked)) == 2
