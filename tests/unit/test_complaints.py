"""What is logged of peers has a bound, and says what it left out."""

from __future__ import annotations

import logging

import msgspec
import pytest

from hippodrome.hub.newsof import news_of
from hippodrome.protocol import messages as m
from hippodrome.security import complaints
from hippodrome.security.complaints import Complaints, NewsLog, Room

LOG = logging.getLogger("hippodrome.test_complaints")


def test_there_is_room_for_a_burst_and_then_for_what_comes_back() -> None:
    room = Room(3, 0.5)
    assert [room.take(10.0) for _ in range(5)] == [True, True, True, False, False]
    assert room.take_omitted() == 2
    assert [room.take(12.0), room.take(12.0)] == [True, False]
    assert (room.take_omitted(), room.take_omitted()) == (1, 0)


def test_in_one_second_there_may_be_few_of_many() -> None:
    room = Room(100, 0.0, most_per_s=2)
    assert [room.take(1.0 + i / 10) for i in range(4)] == [True, True, False, False]
    assert room.take(2.0)


def test_a_storm_of_a_day_is_a_few_megabytes() -> None:
    room = Room(complaints.BURST, complaints.BACK_PER_S, complaints.LINES_PER_S)
    n = sum(room.take(second / 10) for second in range(864_000))
    assert n < 20_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times = [100.0]
    monkeypatch.setattr(complaints.time, "monotonic", lambda: times[0])
    return times


def test_what_was_left_out_is_said_with_the_next_line(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    told = Complaints(LOG)
    told.warn(f"no {i}" for i in range(9))
    clock[0] += 1.0
    told.warn(["again\nand again"])
    said = [record.getMessage() for record in caplog.records]
    assert said[:5] == [f"no {i}" for i in range(5)]
    assert said[5] == "4 complaints before this one were left out"
    assert len(said) == 7
    assert "\n" not in said[6]


def test_comings_and_goings_have_a_bound_too(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOG.name)
    told = NewsLog(LOG)
    told.tell(["came"] * (complaints.NEWS_BURST + 7))
    clock[0] += 2.0
    told.tell(["went"])
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == complaints.NEWS_BURST + 2
    assert said[-2:] == ["7 comings and goings before this one were left out", "went"]


def test_the_hub_tells_of_engines() -> None:
    engine = m.EngineId(3)
    info = m.EngineInfo(engine, m.PeerId("u"), m.PeerId("n"), "host", 9, python="3.11.2")
    assert news_of(m.Joined(info)) == ["engine 3 joined: process 9 on host, Python 3.11.2"]
    starting = msgspec.structs.replace(info, state=m.STARTING)
    assert news_of(m.Joined(starting)) == [
        "engine 3 is in its start-up: process 9 on host, Python 3.11.2"
    ]
    assert news_of(m.Suspected(engine, True)) == ["engine 3 is silent, and gets no new work"]
    assert news_of(m.Suspected(engine, False)) == ["engine 3 is heard again"]
    assert news_of(m.Left(engine, "it was killed", None, True)) == ["engine 3 left: it was killed"]
    assert news_of(m.ShutDown("")) == []
