"""Calls that name an engine count: tasks go elsewhere, and are taken back from behind them."""

from __future__ import annotations

import random

import pytest

from hippodrome.protocol import messages as m
from hippodrome.scheduler.core import TaskScheduler
from hippodrome.scheduler.events import (
    Action,
    AssignAttempts,
    AttemptsDropped,
    AttemptsEnded,
    EngineJoined,
    EngineOccupied,
    Recall,
    TasksSubmitted,
    TimePassed,
)
from hippodrome.scheduler.recalls import MOST_RECALL_AFTER_S
from hippodrome.scheduler.room import AUTO, RECALL_AFTER_S, WINDOW_S
from hippodrome.scheduler.schemes import SCHEME_NAMES

ME, F = m.PeerId("me"), m.Digest(b"f")
BUSY, IDLE, THIRD = m.EngineId(0), m.EngineId(1), m.EngineId(2)
A_WHILE = RECALL_AFTER_S + 0.001


class Played:
    """A scheduler with played engines."""

    def __init__(self, hwm: int = AUTO, scheme: str = "leastload", n_engines: int = 2) -> None:
        self.core = TaskScheduler(scheme, hwm, random.Random(1))
        self.now = 1000.0
        self.places: dict[m.MsgId, tuple[m.EngineId, int]] = {}
        self.recalled: list[tuple[m.EngineId, list[tuple[m.MsgId, int]]]] = []
        for number in range(n_engines):
            self.core.handle(EngineJoined(m.EngineId(number)))
        self.wait(0.0)

    def do(self, actions: list[Action]) -> None:
        self.core.check()
        for action in actions:
            if isinstance(action, AssignAttempts):
                for msg_id in action.msg_ids:
                    self.places[msg_id] = action.engine, action.attempt
            elif isinstance(action, Recall):
                self.recalled.append((action.engine, action.attempts))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.do(self.core.handle(TimePassed(self.now)))

    def name(self, engine: m.EngineId, n: int) -> None:
        """Let so many calls by name be unfinished."""
        self.do(self.core.handle(EngineOccupied(engine, n)))

    def submit(self, *names: str, **options: object) -> None:
        asked = m.Options(**options) if options else None  # type: ignore[arg-type]
        tasks = [m.Task(m.MsgId(name), F, b"", 0, asked) for name in names]
        self.do(self.core.handle(TasksSubmitted(ME, tasks, [()] * len(tasks))))

    def end(self, name: str, run_s: float = 0.001) -> None:
        msg_id = m.MsgId(name)
        engine, attempt = self.places[msg_id]
        outcome = m.Outcome(msg_id, attempt, "ok", 0.0, 0.0, run_s)
        self.do(self.core.handle(AttemptsEnded(engine, [outcome], [()])))

    def give_back(self) -> list[m.MsgId]:
        """Let engines drop all that they are asked for; return what that is."""
        recalled, self.recalled = self.recalled, []
        for engine, attempts in recalled:
            self.do(self.core.handle(AttemptsDropped(engine, attempts)))
        return [msg_id for _, attempts in recalled for msg_id, _ in attempts]

    def place(self, name: str) -> int | None:
        found = self.places.get(m.MsgId(name))
        return found[0] if found else None


@pytest.mark.parametrize("scheme", SCHEME_NAMES)
@pytest.mark.parametrize("hwm", [AUTO, 0, 1, 2, 5])
def test_a_task_does_not_wait_behind_a_call_by_name_while_another_engine_is_idle(
    scheme: str, hwm: int
) -> None:
    played = Played(hwm, scheme)
    for i in range(20):
        played.name(BUSY, 1)
        played.submit(f"t{i}")
        if played.place(f"t{i}") == BUSY:  # where the scheme does not look at loads
            assert hwm not in (AUTO, 1)
            played.wait(A_WHILE)
            assert played.give_back() == [f"t{i}"]
        assert played.place(f"t{i}") == IDLE
        played.end(f"t{i}")
        if i % 2:
            played.name(BUSY, 0)


@pytest.mark.parametrize("scheme", ["leastload", "weighted"])
def test_calls_by_name_count_as_load(scheme: str) -> None:
    played = Played(0, scheme, n_engines=2)
    played.name(BUSY, 1000)
    played.submit(*(f"t{i}" for i in range(20)))
    at_busy = sum(played.place(f"t{i}") == BUSY for i in range(20))
    assert at_busy <= (0 if scheme == "leastload" else 3)


@pytest.mark.parametrize("scheme", ["lru", "pure"])
def test_a_call_by_name_uses_an_engine(scheme: str) -> None:
    played = Played(3, scheme, n_engines=3)
    played.name(BUSY, 1)
    played.name(BUSY, 0)
    played.submit("a", "b", "c")
    assert [played.place(name) for name in "abc"] == [IDLE, THIRD, BUSY]


@pytest.mark.parametrize("hwm", [AUTO, 1])
def test_tasks_wait_for_the_first_engine_that_is_free_when_all_are_named(hwm: int) -> None:
    played = Played(hwm)
    played.name(BUSY, 1)
    played.name(IDLE, 1)
    played.submit("a", "b")
    assert not played.places
    played.name(IDLE, 0)
    assert played.place("a") == IDLE
    assert played.place("b") is None
    played.end("a")
    assert played.place("b") == IDLE


@pytest.mark.parametrize("hwm", [AUTO, 1, 3])
def test_an_endless_stream_of_calls_by_name_keeps_no_engine_from_tasks(hwm: int) -> None:
    played = Played(hwm, n_engines=1)
    played.name(BUSY, 1000)
    played.submit("a")
    for _ in range(999):  # as many come as end
        played.name(BUSY, 999)
        played.name(BUSY, 1000)
    assert not played.places, "those that were there before it come first"
    played.name(BUSY, 999)
    assert played.place("a") == BUSY


def test_at_its_turn_an_engine_takes_no_more_than_it_has_room_for() -> None:
    played = Played(AUTO, n_engines=1)
    played.submit("first")
    played.end("first", run_s=WINDOW_S / 4)
    played.name(BUSY, 1)
    played.submit(*(f"t{i}" for i in range(20)))
    played.name(BUSY, 3)
    played.name(BUSY, 2)
    assert 3 <= len(played.places) - 1 <= 5


@pytest.mark.parametrize("scheme", SCHEME_NAMES)
@pytest.mark.parametrize("hwm", [AUTO, 0, 1, 2, 5])
def test_what_waits_behind_a_long_call_by_name_is_taken_back_as_soon_as_an_engine_is_idle(
    scheme: str, hwm: int
) -> None:
    played = Played(hwm, scheme, n_engines=1)
    played.name(BUSY, 1)
    played.name(BUSY, 2)
    played.submit("a", "b", "c")
    played.name(BUSY, 1)  # the tasks' turn, behind what proves to be long
    behind = sorted(played.places)
    assert behind
    played.do(played.core.handle(EngineJoined(IDLE)))
    taken = [name for name in "abc" if played.place(name) == IDLE]
    while len(taken) < 3:
        for name in taken:
            if played.places[m.MsgId(name)][1]:
                played.end(name)
                played.places[m.MsgId(name)] = IDLE, 0
        played.wait(A_WHILE)
        played.give_back()
        now = [name for name in "abc" if played.place(name) == IDLE]
        assert len(now) > len(taken), f"{behind} of {taken} wait behind a call by name"
        taken = now


def test_a_task_that_runs_before_a_call_by_name_is_not_asked_for() -> None:
    played = Played(AUTO)
    played.submit("runs")
    played.name(BUSY, 1)
    for _ in range(20):
        played.wait(A_WHILE)
    assert played.recalled == []


def test_what_may_run_on_an_idle_engine_is_taken_back_and_what_may_not_stays() -> None:
    played = Played(0, n_engines=3)
    played.name(IDLE, 9)
    played.name(THIRD, 9)
    played.name(BUSY, 1)
    played.submit("only here", targets=[BUSY])
    played.submit("there too", targets=[BUSY, IDLE])
    played.submit("not there", targets=[BUSY, THIRD])
    assert {played.place(n) for n in ("only here", "there too", "not there")} == {BUSY}
    played.name(IDLE, 0)
    played.wait(A_WHILE)
    assert played.give_back() == ["there too"]
    assert played.place("there too") == IDLE


def test_a_task_that_follows_another_waits_at_its_engine() -> None:
    played = Played(AUTO, n_engines=2)
    played.name(IDLE, 1)
    played.submit("first")
    assert played.place("first") == BUSY
    played.name(BUSY, 1)
    played.end("first")
    played.name(IDLE, 0)
    played.submit("second", follow=m.Dependencies([m.MsgId("first")]))
    played.wait(A_WHILE)
    assert played.place("second") is None
    played.name(BUSY, 0)
    assert played.place("second") == BUSY


def test_one_that_does_not_answer_is_asked_ever_less_often() -> None:
    played = Played(0, "lru", n_engines=2)
    played.submit("x")
    played.end("x")
    played.name(BUSY, 1)
    played.name(IDLE, 1)
    played.submit("a")
    behind = played.place("a")
    assert behind is not None
    played.name(IDLE if behind == BUSY else BUSY, 0)
    for _ in range(1000):
        played.wait(A_WHILE)
    assert 20 <= len(played.recalled) <= 1000 * RECALL_AFTER_S / MOST_RECALL_AFTER_S + 10


def test_the_next_look_is_due_in_time_and_never_again_when_there_is_nothing_to_look_for() -> None:
    played = Played(0, "lru", n_engines=2)
    played.name(BUSY, 1)
    played.submit("a", "b")
    assert played.core.next_look() <= played.now + A_WHILE
    for name in "ab":
        played.wait(A_WHILE)
        played.give_back()
        if played.place(name) == IDLE:
            played.end(name)
    for _ in range(4):
        played.wait(A_WHILE)
        played.give_back()
    for name in "ab":
        assert played.place(name) == IDLE
