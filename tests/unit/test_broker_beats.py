"""How often peers are told that the controller is there, and how soon a closed connection shows."""

from __future__ import annotations

import pytest

from hippodrome.node.core import DEAF_AFTER_S
from hippodrome.protocol import messages as m
from hippodrome.scheduler import beats
from hippodrome.scheduler.closings import CLOSED_LOCAL_S
from support.bench import Bench, PlayedPeer

TICK_S = 0.25
CALM_S = 10.0
GIVEN_UP_S = 2.0


def crowd(bench: Bench, n_engines: int, n_nodes: int) -> tuple[list[PlayedPeer], list[PlayedPeer]]:
    engines = [bench.peer("engine").connect_all() for _ in range(n_engines)]
    return engines, [bench.peer("node").connect_all() for _ in range(n_nodes)]


def n_beats(peers: list[PlayedPeer]) -> int:
    return sum(len(peer.got(m.Beat, "control")) for peer in peers)


@pytest.mark.parametrize("n", [1, 3, 100, 1_000, 100_000])
def test_who_listens_hears_something_before_it_takes_the_silence_for_a_broken_way(n: int) -> None:
    for role in ("client", "node"):
        assert beats.LEAST_S <= beats.period_s(role, n) + TICK_S < DEAF_AFTER_S


def test_a_thousand_engines_get_no_more_beats_than_a_few() -> None:
    bench = Bench.make()
    engines, nodes = crowd(bench, 300, 20)
    client = bench.client()
    bench.pass_time(beats.period_s("engine", 321))  # the first round goes to all at once
    before = n_beats(engines), n_beats(nodes), n_beats([client])
    bench.pass_time(CALM_S)
    after = n_beats(engines), n_beats(nodes), n_beats([client])
    for_engines, for_nodes, for_client = (b - a for a, b in zip(before, after, strict=True))
    assert for_engines <= 1.2 * CALM_S * beats.ENGINES_PER_S
    assert for_nodes == 20 * CALM_S
    assert for_client == CALM_S


def test_beats_say_how_far_apart_they_are() -> None:
    bench = Bench.make()
    _, (node,) = crowd(bench, 0, 1)
    bench.pass_time(2)
    assert {beat.every_s for beat in node.got(m.Beat)} == {1.0}


def test_a_connection_of_which_zeromq_says_that_it_is_closed_is_tried_at_once_and_again() -> None:
    bench = Bench.make()
    engine = bench.engine()
    bench.pass_time(2)
    route = engine.routes["task"]
    sent: list[bytes | None] = []
    bench.broker.doubt(route)
    for _ in range(8):
        sent += [to for to, _ in bench.broker.flush() if to == route]
        bench.broker.tick(bench.broker.now + TICK_S)
    assert len(sent) == 1 + beats.DOUBTED_LOOKS


def test_doubts_about_a_route_that_nobody_has_lead_nowhere() -> None:
    bench = Bench.make()
    bench.broker.doubt(b"nobody")
    bench.pass_time(3)
    assert not bench.broker.reception.complaints


def test_a_supervisor_that_ended_is_given_up_within_two_seconds_in_any_crowd() -> None:
    bench = Bench.make()
    _, nodes = crowd(bench, 200, 20)
    bench.pass_time(3)
    nodes[7].close("control")  # as a send that fails shows
    bench.pass_time(CLOSED_LOCAL_S + 2 * TICK_S)
    assert [gone.node for gone in bench.told(m.NodeGone)] == [nodes[7].uuid]
    assert CLOSED_LOCAL_S + 2 * TICK_S <= GIVEN_UP_S
