"""What clients are told of engines that come and go, and in how many messages."""

from __future__ import annotations

from hippodrome.hub.core import HubCore
from hippodrome.hub.newsof import news_of, together
from hippodrome.protocol import messages as m
from hippodrome.scheduler.announcements import EVERY_S
from support.bench import Bench, F, PlayedPeer, attempts_of, outcomes, task

N = 100


def told(client: PlayedPeer) -> list[m.Membership]:
    """Return what *client* was told after the list that everyone gets at first."""
    return client.got(m.Membership, "control")[1:]


def ids(message: m.Membership) -> list[int]:
    return [info.engine for info in message.present]


def info(engine: int) -> m.EngineInfo:
    return m.EngineInfo(m.EngineId(engine), m.PeerId(f"e{engine}"), m.PeerId("n"), "here", 1)


def test_engines_that_come_one_after_the_other_are_told_of_together() -> None:
    bench = Bench.make()
    client = bench.client()
    for engine in range(N):
        bench.say(m.Joined(info(engine)))  # a turn of the loop each
    assert [ids(message) for message in told(client)] == [[0]], "the first is told of at once"
    bench.tick(bench.broker.next_tick())
    assert [ids(message) for message in told(client)] == [[0], [*range(1, N)]]
    assert [message.number for message in told(client)] == [1, 2]


def test_who_waits_to_be_told_of_waits_no_longer_than_said() -> None:
    bench = Bench.make()
    client = bench.client()
    bench.say(m.Joined(info(0)))
    bench.say(m.Joined(info(1)))
    assert bench.broker.next_tick() <= bench.broker.now + EVERY_S
    bench.tick(bench.broker.now + EVERY_S)
    assert [ids(message) for message in told(client)] == [[0], [1]]


def test_a_result_does_not_overtake_the_engine_that_it_is_from() -> None:
    bench = Bench.make()
    client = bench.client()
    engines = [bench.engine() for _ in range(3)]
    client.send("task", m.Submit([task(name) for name in "abc"], [F]), b"code")
    (attempt,) = attempts_of(engines[2])
    engines[2].send("task", outcomes(attempt))
    assert [ids(message) for message in told(client)] == [[0], [1, 2]]


def test_all_engines_of_a_host_that_is_gone_leave_in_one_message() -> None:
    hub, bench = HubCore(), Bench.make()
    first, second = bench.client(), bench.client()
    for number in range(N):
        about = {"node": "n", "host": "there"}
        for message in hub.handle(m.EngineArrived(m.PeerId(f"e{number}"), about), []):
            bench.say(message)
    bench.pass_time(1)
    before = len(told(first))
    gone = list(together(hub.handle(m.NodeGone(m.PeerId("n"), "it was killed"), [])))
    assert len(gone) == 1
    assert len(news_of(gone[0])) == 1
    bench.say(*gone)
    for client in (first, second):
        (message,) = told(client)[before:]
        assert message.left.keys() == set(range(N))
        assert client.got(m.Membership, "task") == [message]


def test_one_change_alone_is_no_list() -> None:
    left = m.Left(m.EngineId(0), "gone", None, final=True)
    taken = m.Taken(1)
    assert list(together([left, taken, left])) == [left, taken, left]


def test_an_engine_that_left_and_is_back_is_told_of_twice() -> None:
    bench = Bench.make()
    client = bench.client()
    bench.say(m.Joined(info(0)))
    bench.say(m.Left(m.EngineId(0), "silent", None, final=False), m.Joined(info(0)))
    bench.tick(bench.broker.now + EVERY_S)
    assert [(ids(message), list(message.left)) for message in told(client)] == [
        ([0], []), ([], [0]), ([0], []),
    ]  # fmt: skip


def test_who_comes_anew_knows_all_and_is_told_of_later_changes_only() -> None:
    bench = Bench.make()
    for engine in range(3):
        bench.say(m.Joined(info(engine)))
    late = bench.client()
    bench.pass_time(1)
    assert [ids(message) for message in late.got(m.Membership)] == [[0, 1, 2]]
