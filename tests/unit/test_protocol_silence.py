"""Silence: what of it counts, and what is said of it, each thing once."""

from __future__ import annotations

from hippodrome.protocol.silence import NOTICE_AFTER_S, ListeningClock, News, Patience

START = 1000.0


class Listener:
    """Somebody who listens to a peer, and a clock."""

    def __init__(self, patience_s: float = 60.0) -> None:
        self.patience = Patience(patience_s)
        self.now = START
        self.patience.tick(self.now)

    def pass_time(self, seconds: float, step_s: float = 0.5) -> list[tuple[News, float]]:
        told = []
        for _ in range(round(seconds / step_s)):
            self.now += step_s
            news = self.patience.tick(self.now)
            if news is not News.NONE:
                told.append((news, self.now - START))
        return told


def test_a_long_silence_is_told_once_and_its_end_once() -> None:
    listener = Listener()
    assert listener.pass_time(100) == [(News.LONG, NOTICE_AFTER_S), (News.OVER, 60.0)]
    listener.patience.hear()
    assert listener.pass_time(1) == [(News.BACK, 100.5)]


def test_who_is_heard_now_and_then_is_no_news() -> None:
    listener = Listener()
    for _ in range(30):
        listener.patience.hear()
        assert listener.pass_time(NOTICE_AFTER_S - 1) == []


def test_short_patience_ends_without_a_word_before() -> None:
    assert Listener(patience_s=2.0).pass_time(30) == [(News.OVER, 2.0)]


def test_the_next_silence_is_told_anew() -> None:
    listener = Listener()
    listener.pass_time(20)
    listener.patience.hear()
    assert [news for news, _ in listener.pass_time(20)] == [News.BACK, News.LONG]


def test_who_does_not_run_hears_nothing_and_holds_it_against_nobody() -> None:
    listener = Listener()
    for _ in range(5):
        assert listener.pass_time(3600, step_s=3600) == []
    assert listener.patience.silent_s <= 5
    assert listener.pass_time(4) == []
    assert [news for news, _ in listener.pass_time(2)] == [News.LONG]


def test_a_clock_that_listens_never_runs_backwards() -> None:
    clock = ListeningClock()
    assert [clock.tick(now) for now in (5.0, 5.5, 4.0, 4.5)] == [0.0, 0.5, 0.5, 1.0]
