"""How much of a bundle an engine takes, and that it has its room back when part of it has ended."""

from __future__ import annotations

import pytest

from hippodrome.protocol import messages as m
from hippodrome.scheduler.core import TaskScheduler
from hippodrome.scheduler.events import (
    Action,
    AssignAttempts,
    AttemptsEnded,
    EngineJoined,
    Serial,
    TasksSubmitted,
)
from hippodrome.scheduler.job import READY, Job
from hippodrome.scheduler.room import AUTO, WINDOW_S, EngineState

ME, F = m.PeerId("me"), m.Digest(b"f")
FIRST, SECOND = m.EngineId(0), m.EngineId(1)


def bundle(n: int, prefix: str = "t") -> m.TaskBundle:
    return m.TaskBundle([m.MsgId(f"{prefix}_{i}") for i in range(n)], F, [b"x"] * n, None)


def scheduler(hwm: int, n_engines: int) -> TaskScheduler:
    made = TaskScheduler("leastload", hwm)
    for number in range(n_engines):
        made.handle(EngineJoined(m.EngineId(number)))
    return made


def assigned(actions: list[Action]) -> list[int]:
    """Return how many tasks each assignment has."""
    return [len(action.msg_ids) for action in actions if isinstance(action, AssignAttempts)]


def submit(made: TaskScheduler, n: int, prefix: str = "t") -> list[Action]:
    actions = made.handle(TasksSubmitted(ME, [bundle(n, prefix)], [()]))
    made.check()
    return actions


@pytest.mark.parametrize(
    ("n_tasks", "n_engines", "shares", "loads"),
    [
        (2, 3, [1, 1], [1, 1, 0]),
        (5, 2, [3, 1, 1], [3, 2]),
        (7, 4, [2, 2, 1, 1, 1], [2, 2, 2, 1]),
        (9, 3, [3, 2, 2, 1, 1], [3, 3, 3]),
        (10, 3, [4, 2, 2, 1, 1], [4, 3, 3]),
    ],
)
def test_an_engine_takes_its_share_of_what_is_left_of_a_bundle_rounded_up(
    n_tasks: int, n_engines: int, shares: list[int], loads: list[int]
) -> None:
    """Rounded down it would be nothing in the end, or many parts of one task."""
    made = scheduler(0, n_engines)
    assert assigned(submit(made, n_tasks)) == shares
    assert sorted((state.load for state in made.engines.values()), reverse=True) == loads


def learned(n_engines: int, run_s: float = 0.00099) -> TaskScheduler:
    """Return a scheduler that knows how long the function takes."""
    made = scheduler(AUTO, n_engines)
    made.handle(TasksSubmitted(ME, [bundle(1, "first")], [()]))
    outcome = m.Outcome(m.MsgId("first_0"), 1, "ok", 1.0, 2.0, run_s, b"r")
    made.handle(AttemptsEnded(FIRST, [outcome], [()]))
    return made


def end(made: TaskScheduler, names: list[str], engine: m.EngineId = FIRST) -> list[Action]:
    msg_ids = [m.MsgId(name) for name in names]
    times, runs = [1.0] * len(names), [0.00099] * len(names)
    outcome = m.OutcomeBundle(msg_ids, 1, times, runs, [b"r"] * len(names))
    actions = made.handle(AttemptsEnded(engine, [outcome], [()]))
    made.check()
    return actions


def test_an_engine_has_its_room_back_when_the_first_of_a_bundle_have_ended() -> None:
    made = learned(1)
    (n,) = assigned(submit(made, 40))
    state = made.engines[FIRST]
    assert n == 5
    assert state.held_s == pytest.approx(WINDOW_S)
    assert assigned(end(made, ["t_0", "t_1", "t_2"])) == [3]
    assert state.held_s == pytest.approx(WINDOW_S)
    assert assigned(end(made, ["t_3"])) == [1]


def test_what_is_let_go_of_is_not_held_any_more() -> None:
    state = EngineState(FIRST, 0.0)
    whole = Job.of(ME, bundle(4), (), 0)
    whole.move(READY)
    state.hold(whole, Serial(7), 0.25)
    first, place = state.release_first(whole, 1)
    assert (len(first), state.load, state.held_s) == (1, 3, 0.75)
    assert (place.serial, state.held[whole].serial) == (7, 8)
    assert state.release_first(whole, 3)[0] is whole
    assert (state.load, state.held_s) == (0, 0.0)
