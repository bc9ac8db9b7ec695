"""Silence: when it is suspicious, when it is the end, and when nobody was listening."""

from __future__ import annotations

import inspect

from hippodrome.hub import liveness as module
from hippodrome.hub.liveness import Attention, Liveness, Silence
from hippodrome.protocol.messages import PeerId

NODE, OTHER = PeerId("n"), PeerId("o")
START = 1000.0


class Bench:
    """A judge of silence, and a clock that ticks as the hub's does."""

    def __init__(self) -> None:
        self.attention = Attention()
        self.liveness = Liveness(5.0, 20.0)
        self.is_scheduler_there = True
        self.now = START
        self.verdicts: list[tuple[PeerId, Silence, float]] = []
        self.attention.tick(self.now)

    def pass_time(self, seconds: float, step_s: float = 0.5) -> None:
        for _ in range(round(seconds / step_s)):
            self.now += step_s
            if self.is_scheduler_there:
                self.attention.hear()
            for node, silence in self.liveness.tick(self.attention.tick(self.now)):
                self.verdicts.append((node, silence, self.now - START))

    def hear(self, node: PeerId = NODE) -> bool:
        return self.liveness.hear(node, self.attention.time)


def test_silence_is_suspicious_after_five_seconds_and_the_end_after_twenty() -> None:
    bench = Bench()
    bench.hear()
    bench.pass_time(30)
    assert bench.verdicts == [(NODE, Silence.SUSPECT, 5.0), (NODE, Silence.LOST, 20.0)]


def test_who_is_heard_is_not_suspected() -> None:
    bench = Bench()
    for _ in range(20):
        bench.hear()
        bench.pass_time(4.5)
    assert bench.verdicts == []


def test_being_heard_again_is_news_once() -> None:
    bench = Bench()
    assert not bench.hear()
    bench.pass_time(6)
    assert bench.hear()
    assert not bench.hear()


def test_who_came_back_is_judged_anew() -> None:
    bench = Bench()
    bench.hear()
    bench.pass_time(6)
    bench.hear()
    bench.pass_time(5)
    assert [silence for _, silence, _ in bench.verdicts] == [Silence.SUSPECT, Silence.SUSPECT]


def test_each_is_judged_for_itself() -> None:
    bench = Bench()
    bench.hear()
    bench.pass_time(3)
    bench.hear(OTHER)
    bench.pass_time(5)
    assert bench.verdicts == [(NODE, Silence.SUSPECT, 5.0), (OTHER, Silence.SUSPECT, 8.0)]


def test_who_is_gone_is_not_judged() -> None:
    bench = Bench()
    bench.hear()
    bench.pass_time(6)
    bench.liveness.forget(NODE)
    bench.liveness.forget(OTHER)
    bench.pass_time(30)
    assert len(bench.verdicts) == 1
    assert not bench.hear()


def test_a_hub_that_was_itself_held_up_declares_nobody_lost() -> None:
    bench = Bench()
    bench.hear()
    bench.pass_time(1)
    bench.pass_time(3600, step_s=3600)
    assert bench.verdicts == []
    bench.pass_time(4)
    assert [silence for _, silence, _ in bench.verdicts] == [Silence.SUSPECT]


def test_silence_before_the_hub_was_held_up_still_counts() -> None:
    bench = Bench()
    bench.hear()
    bench.pass_time(18.5)
    bench.pass_time(100, step_s=100)
    bench.pass_time(0.5)
    assert [silence for _, silence, _ in bench.verdicts] == [Silence.SUSPECT, Silence.LOST]


def test_a_hub_that_is_only_slow_still_judges() -> None:
    bench = Bench()
    bench.hear()
    bench.pass_time(30, step_s=1.0)
    assert [silence for _, silence, _ in bench.verdicts] == [Silence.SUSPECT, Silence.LOST]


def test_nobody_is_silent_while_the_scheduler_is_through_which_all_news_comes() -> None:
    bench = Bench()
    bench.hear()
    bench.is_scheduler_there = False
    bench.pass_time(3600)
    assert bench.verdicts == []
    bench.is_scheduler_there = True
    bench.pass_time(2)
    assert bench.verdicts == []
    bench.pass_time(3)
    assert [silence for _, silence, _ in bench.verdicts] == [Silence.SUSPECT]


def test_it_reads_no_clock_of_its_own() -> None:
    """So that only the monotonic one counts which the shell hands in, whatever the wall's says."""
    assert "time" not in vars(module)
    assert "time.time" not in inspect.getsource(module)
