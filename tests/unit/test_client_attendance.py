"""Who is there, whichever of the two channels that tell it is ahead."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest

from hippodrome.client.link.attendance import Attendance
from hippodrome.protocol.messages import EngineId, EngineInfo, Membership, PeerId


def info(engine: int, state: str = "alive") -> EngineInfo:
    return EngineInfo(EngineId(engine), PeerId(f"{engine}" * 32), PeerId("n" * 32), "h", 1, state)


def came(number: int, engine: int, state: str = "alive") -> Membership:
    return Membership([info(engine, state)], number=number)


def left(number: int, *engines: int) -> Membership:
    return Membership([], {EngineId(engine): "killed" for engine in engines}, number)


CHANGES = [
    came(1, 0),
    came(2, 1),
    left(3, 0),
    came(4, 0),  # it was only silent, and is back under its number
    came(5, 0, "suspect"),
    left(6, 0, 1),
    came(7, 1),
]


def after(changes: list[Membership]) -> dict[EngineId, EngineInfo]:
    """Return who is there after *changes*, in the order of their numbers."""
    there: dict[EngineId, EngineInfo] = {}
    for change in sorted(changes, key=lambda change: change.number):
        there.update({one.engine: one for one in change.present})
        for engine in change.left:
            there.pop(engine, None)
    return there


def interleaved(n: int, n_early: int) -> Iterator[list[bool]]:
    """Yield every order of so many messages over each channel; true is one of the task channel."""
    for places in combinations(range(n + n_early), n_early):
        yield [place in places for place in range(n + n_early)]


@pytest.mark.parametrize("n_listed", range(len(CHANGES) + 1))
@pytest.mark.parametrize("n_before", range(len(CHANGES) + 1))
def test_of_an_engine_counts_the_latest_change_in_every_order(n_listed: int, n_before: int) -> None:
    """The list is that after the first few changes; the task channel opened after some others."""
    listed = Membership([*after(CHANGES[:n_listed]).values()], number=n_listed)
    early_news = [change for change in CHANGES[n_before:] if change.left]
    news = CHANGES[n_listed:]
    for order in interleaved(len(news), len(early_news)):
        attendance = Attendance()
        attendance.on_news(listed)
        told = CHANGES[:n_listed]
        one, early = iter(news), iter(early_news)
        for is_early in order:
            message = next(early if is_early else one)
            told = [*told, message]
            before = dict(attendance.engines)
            changed = (attendance.on_early_news if is_early else attendance.on_news)(message)
            assert attendance.engines == after(told)
            assert [action.present for action in changed] in ([], [after(told)])
            assert changed or before == attendance.engines
        assert attendance.engines == after(CHANGES)
        assert not attendance._ahead, "what is past is not kept"


def test_that_an_engine_left_is_told_once() -> None:
    attendance = Attendance()
    attendance.on_news(Membership([info(0)], number=1))
    (changed,) = attendance.on_early_news(left(2, 0))
    assert (changed.present, changed.left) == ({}, {0: "killed"})
    assert attendance.on_news(left(2, 0)) == []
    assert attendance.on_early_news(left(2, 0)) == []


def test_what_is_told_before_the_list_does_not_stand_for_it() -> None:
    attendance = Attendance()
    attendance.on_early_news(left(3, 0))
    assert not attendance.are_known
    attendance.on_news(Membership([info(0), info(1)], number=2))
    assert list(attendance.engines) == [1]
    assert attendance.are_known


def test_numbers_of_an_old_controller_do_not_count_for_the_new_one() -> None:
    attendance = Attendance()
    attendance.on_news(Membership([info(0), info(1)], number=1000))
    attendance.on_early_news(left(1001, 1))
    attendance.begin_anew()
    assert not attendance.are_known
    attendance.on_news(Membership([info(1)], number=1))
    assert list(attendance.engines) == [1]
    attendance.on_early_news(left(2, 1))
    assert not attendance.engines
