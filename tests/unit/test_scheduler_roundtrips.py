"""Engines that are far away hold more, as much as the way there and back takes, and no more."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hippodrome.protocol import messages as m
from hippodrome.protocol.messages import EngineId
from hippodrome.scheduler.core import TaskScheduler
from hippodrome.scheduler.events import (
    AssignAttempts,
    AttemptsDropped,
    AttemptsEnded,
    Deliver,
    EngineJoined,
    Recall,
    TasksSubmitted,
    TimePassed,
)
from hippodrome.scheduler.room import AUTO, WINDOW_S, WORTH_IT
from hippodrome.scheduler.roundtrips import FEWEST, LATEST, MOST_S, NEAR_S, RoundTrips

ME = m.PeerId("c")
F = m.Digest(b"f" * 8)
TICK_S = 0.005


def trips(*ways: tuple[float, float]) -> RoundTrips:
    """Return what is known after trips that took so long, of which attempts ran so long."""
    known, now = RoundTrips(), 10.0
    for took_s, run_s in ways:
        known.ask(now)
        known.answer(now + took_s, run_s)
        now += 100.0
    return known


class World:
    """A scheduler, and engines at a distance that run one task after the other."""

    def __init__(self, **away_s: float) -> None:
        self.core = TaskScheduler("leastload", AUTO)
        self.now = 0.0
        self.away_s = {EngineId(n): away for n, away in enumerate(away_s.values())}
        self.lines: dict[EngineId, deque[Any]] = {engine: deque() for engine in self.away_s}
        self.free_at = dict.fromkeys(self.away_s, 0.0)
        self.busy_s = dict.fromkeys(self.away_s, 0.0)
        self.most_held = dict.fromkeys(self.away_s, 0)
        self.n_done = 0
        self.run_s: Callable[[], float] = lambda: 0.01
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._checks = itertools.cycle(range(20))
        for engine in self.away_s:
            self.feed(EngineJoined(engine))
        self._tick()

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._count), what))

    def _tick(self) -> None:
        self.feed(TimePassed(self.now))
        self.at(self.now + TICK_S, self._tick)

    def feed(self, event: Any) -> None:
        for action in self.core.handle(event):
            match action:
                case AssignAttempts():
                    arrives = self.now + self.away_s[action.engine] / 2
                    for msg_id in action.msg_ids:
                        item = (msg_id, action.attempt)
                        self.at(arrives, lambda e=action.engine, i=item: self.arrive(e, i))
                case Recall(engine, attempts, _):
                    arrives = self.now + self.away_s[engine] / 2
                    self.at(arrives, lambda e=engine, a=attempts: self.give_back(e, a))
                case Deliver():
                    self.n_done += 1
        for engine, state in self.core.engines.items():
            self.most_held[engine] = max(self.most_held[engine], state.load)
        if next(self._checks) == 0:
            self.core.check()

    def arrive(self, engine: EngineId, item: Any) -> None:
        self.lines[engine].append(item)
        self.begin(engine)

    def begin(self, engine: EngineId) -> None:
        if self.now < self.free_at[engine] or not self.lines[engine]:
            return
        item, run_s = self.lines[engine].popleft(), self.run_s()
        self.free_at[engine] = self.now + run_s
        self.busy_s[engine] += run_s
        self.at(self.now + run_s, lambda: self.end(engine, item, run_s))

    def end(self, engine: EngineId, item: Any, run_s: float) -> None:
        msg_id, attempt = item
        outcome = m.Outcome(msg_id, attempt, "ok", 0.0, 0.0, run_s)
        comes = self.now + self.away_s[engine] / 2

        def come() -> None:
            self.feed(AttemptsEnded(engine, [outcome], [()], self.now))

        self.at(comes, come)
        self.begin(engine)

    def give_back(self, engine: EngineId, attempts: Any) -> None:
        asked = {tuple(attempt) for attempt in attempts}
        dropped = [item for item in self.lines[engine] if item in asked]
        self.lines[engine] = deque(i for i in self.lines[engine] if i not in asked)
        if dropped:
            back = self.now + self.away_s[engine] / 2
            self.at(back, lambda: self.feed(AttemptsDropped(engine, dropped)))

    def submit(self, n: int) -> None:
        tasks = [m.Task(m.MsgId(f"c_{next(self._count)}"), F, b"") for _ in range(n)]
        self.feed(TasksSubmitted(ME, tasks, [()] * n, self.now))

    def work_off(self) -> float:
        """Let time pass until all is done; return how long that took."""
        began, due = self.now, len(self.core.jobs)
        done = self.n_done + due
        while self.n_done < done:
            self.now, _, what = heapq.heappop(self._events)
            what()
            assert self.now < began + 1_000
        return self.now - began

    def busy_share(self, n: int, run_s: float) -> float:
        self.run_s = lambda: run_s
        self.submit(20)  # from which it learns
        self.work_off()
        before = sum(self.busy_s.values())
        self.submit(n)
        took_s = self.work_off()
        return (sum(self.busy_s.values()) - before) / took_s / len(self.lines)


@pytest.mark.parametrize(
    ("away_s", "run_s"), [(0.02, 0.002), (0.05, 0.01), (0.05, 0.1), (0.2, 0.05), (0.2, 0.5)]
)
def test_engines_far_away_are_busy(away_s: float, run_s: float) -> None:
    n = max(60, round(50 * away_s / run_s))
    assert World(one=away_s, two=away_s).busy_share(n, run_s) > 0.9


def test_an_engine_that_is_near_holds_what_it_held() -> None:
    world = World(one=0.0005, two=0.0005)
    assert world.busy_share(1_000, 0.001) > 0.8
    assert max(world.most_held.values()) <= WINDOW_S / 0.001 + 1


def test_an_engine_far_away_holds_no_more_than_the_way_takes() -> None:
    world = World(one=0.05)
    world.busy_share(1_000, 0.01)
    assert world.most_held[EngineId(0)] <= (0.05 + WINDOW_S) / 0.01 + 1


def test_of_tasks_so_long_that_the_way_does_not_matter_none_is_sent_ahead() -> None:
    world = World(one=0.05)
    world.busy_share(10, 2 * WORTH_IT * 0.05)
    assert world.most_held[EngineId(0)] == 1


def test_of_an_unknown_function_one_is_sent_at_a_time_also_far_away() -> None:
    world = World(one=0.05)
    world.busy_share(100, 0.01)
    held = world.core.engines[EngineId(0)]
    other = m.Digest(b"g" * 8)
    tasks = [m.Task(m.MsgId(f"c_new{n}"), other, b"") for n in range(10)]
    world.feed(TasksSubmitted(ME, tasks, [()] * 10, world.now))
    assert held.load == 1


def test_what_an_engine_far_away_has_not_begun_goes_to_one_that_is_idle() -> None:
    world = World(far=0.2, near=0.001)
    world.busy_share(400, 0.01)
    waits = iter([3.0])
    world.run_s = lambda: next(waits, 0.01)  # one takes far longer than was expected
    world.submit(60)
    assert world.work_off() < 3.5


def test_long_attempts_are_no_long_way() -> None:
    assert trips((5.0, 5.0), (9.0, 9.0)).away_s == 0.0


def test_one_trip_counts_for_nothing_and_the_shortest_of_the_latest_counts() -> None:
    assert trips((0.3, 0.1)).away_s == 0.0
    assert trips((0.3, 0.1), (0.15, 0.1)).away_s == pytest.approx(0.05)
    assert trips(*[(0.1, 0.0)], *[(0.4, 0.0)] * (LATEST - 1)).away_s == pytest.approx(0.1)
    assert trips(*[(0.1, 0.0)], *[(0.4, 0.0)] * LATEST).away_s == pytest.approx(0.4)


def test_an_outcome_that_nobody_waited_for_tells_nothing() -> None:
    known = trips((0.1, 0.0), (0.1, 0.0))
    known.answer(1_000.0, 0.0)
    known.ask(2_000.0)
    known.forget()
    known.answer(3_000.0, 0.0)
    assert known.away_s == pytest.approx(0.1)


@given(
    st.lists(
        st.tuples(st.floats(-1e9, 1e9, width=32), st.floats(allow_nan=False)),
        max_size=30,
    )
)
def test_whatever_engines_say_the_way_has_a_bound(ways: list[tuple[float, float]]) -> None:
    known = trips(*ways)
    assert known.away_s == 0.0 or NEAR_S < known.away_s <= MOST_S
    assert len(ways) >= FEWEST or known.away_s == 0.0
