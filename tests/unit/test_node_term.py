"""When a supervisor closes, and when it leaves by itself."""

from __future__ import annotations

import math

import pytest

from hippodrome.node.core import Limits, NodeCore
from hippodrome.node.term import CLOSE_S, LEAVE_S, Term
from hippodrome.protocol.ids import new_peer_id
from hippodrome.protocol.messages import PeerId

A, B = PeerId("a" * 32), PeerId("b" * 32)
IDLE = {A: 0.0, B: 0.0}


def test_without_an_end_it_serves_for_ever() -> None:
    term = Term.of(0.0)
    for now in (0.0, 1e3, 1e9):
        assert term.look(now, IDLE, {A: 0}) == ""
        assert not term.is_closing(now)


def test_before_the_end_of_its_time_it_closes_and_leaves_when_engines_are_idle() -> None:
    term = Term.of(0.0, 3600.0)
    assert not term.is_closing(3600 - CLOSE_S - 1)
    assert term.is_closing(3600 - CLOSE_S)
    assert term.look(3540.0, {A: 100.0, B: 0.0}, {A: 7}) == ""
    assert term.look(3543.0, {A: 103.0, B: 0.0}, {A: 7}) == ""
    assert term.look(3544.0, IDLE, {A: 7}) == ""
    assert "engines are idle" in term.look(3545.1, IDLE, {A: 7})


def test_at_the_end_it_leaves_whatever_its_engines_do() -> None:
    term = Term.of(0.0, 3600.0)
    assert term.look(3600 - LEAVE_S - 0.1, {A: 100.0}, {}) == ""
    assert term.look(3600 - LEAVE_S, {A: 100.0}, {}) == "the time of this host is up"


@pytest.mark.parametrize("left_s", [1.0, 30.0, 120.0, 1e6])
def test_a_short_time_has_a_short_end(left_s: float) -> None:
    term = Term.of(100.0, left_s)
    assert 100.0 + 0.9 * left_s <= term.closes_at <= term.leaves_at <= 100.0 + left_s


def test_a_time_that_is_up_before_it_has_begun_is_of_another_clock() -> None:
    assert Term.of(100.0, -3600.0).look(101.0, IDLE, {}) == ""
    assert not Term.of(100.0, 0.0).is_closing(1e9)


def test_a_warning_closes_it_now() -> None:
    term = Term.of(0.0)
    term.close(5.0)
    assert term.is_closing(5.0)
    assert term.look(5.0, {A: 1.0}, {}) == ""
    assert term.look(900.0, {A: 896.0}, {}) == "", "nobody has said when the end is"
    assert "idle" in term.look(902.1, IDLE, {})


def test_without_work_for_long_it_leaves_and_short_tasks_are_work() -> None:
    term = Term.of(0.0, idle_s=60.0)
    assert term.look(0.0, IDLE, {A: 0}) == ""
    assert term.look(59.0, IDLE, {A: 1}) == "", "one ran between two looks"
    assert term.look(118.0, IDLE, {A: 1}) == ""
    assert term.look(119.0, IDLE, {A: 1}) == "there was no work for 60 s"


def test_a_supervisor_whose_time_is_up_leaves_in_order() -> None:
    uuid = new_peer_id()
    core = NodeCore(uuid, {}, [A], Limits(), 0.0, b"", Term.of(0.0, 100.0))
    core.tick(0.0, {A: 0.0})
    assert not core.snapshot().is_leaving
    core.tick(98.0, {A: 50.0})
    assert core.snapshot().is_leaving
    assert math.isinf(Term().leaves_at)
