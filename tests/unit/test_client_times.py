"""Times of calls: whatever clocks say, they can be read, and no duration is negative."""

from __future__ import annotations

import math
import time
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from hippodrome.client.records import _aware
from hippodrome.client.results import slots
from hippodrome.client.results.hubresult import AsyncHubResult
from hippodrome.client.results.metadata import as_time
from hippodrome.client.results.result import AsyncResult
from hippodrome.protocol.frames import encode
from hippodrome.protocol.messages import EngineId, Fetched, MsgId, Result

ODD = (math.nan, math.inf, -math.inf, 1e300, 1e20, -1e20, 253402300800.0, -62135596801.0)


class FakeIO:
    def check_may_wait(self) -> None: ...

    def describe(self, engine: int) -> dict[str, Any]:
        return {}


class FakeClient:
    def __init__(self) -> None:
        self._io = FakeIO()


class Clock:
    """A wall clock that somebody sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_s, real = 0.0, time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.ahead_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def call(n: int = 1, kind: type[AsyncResult] = AsyncResult) -> AsyncResult:
    client: Any = FakeClient()
    return kind(client, [MsgId(f"m_{i}") for i in range(n)], "f", single=n == 1)


def ran(started: float, completed: float) -> Result:
    return Result(MsgId("m"), "ok", EngineId(0), 1, started, completed)


@pytest.mark.parametrize("odd", ODD)
def test_a_time_that_makes_no_sense_is_not_known(odd: float) -> None:
    assert as_time(odd) is None
    ar = call(2)
    slots.deliver(ar, 0, ran(odd, odd), (), time.time())
    slots.deliver(ar, 1, ran(1.0, odd), (), time.time())
    metadata = ar.metadata
    assert isinstance(metadata, list)
    assert [each.completed for each in metadata] == [None, None]
    assert metadata[1].started == datetime.fromtimestamp(1, UTC)
    assert ar.serial_time == 0.0


def test_times_before_1970_are_times() -> None:
    assert as_time(-1e9) == datetime(1970, 1, 1, tzinfo=UTC) - timedelta(seconds=1e9)


def test_work_that_ended_before_it_began_took_no_time() -> None:
    ar = call(2)
    slots.deliver(ar, 0, ran(9.0, 3.0), (), time.time())
    slots.deliver(ar, 1, ran(3.0, 5.0), (), time.time())
    assert ar.serial_time == 2.0


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0, -1e8, 1e8])
def test_a_clock_that_is_set_meanwhile_changes_no_duration(clock: Clock, jump_s: float) -> None:
    ar = call(2)
    clock.ahead_s = jump_s
    assert 0.0 <= ar.elapsed < 60.0
    slots.deliver(ar, 0, ran(1.0, 2.0), (), time.time())
    slots.deliver_all(ar, [1], [ran(1.0, 2.0)], time.time())
    assert 0.0 <= ar.elapsed < 60.0
    assert 0.0 <= ar.wall_time < 60.0
    for part in (*ar.split(), AsyncResult.join(ar, ar)):
        assert 0.0 <= part.wall_time < 60.0
    for each in ar.metadata:
        assert timedelta(0) <= each["received"] - each["submitted"] < timedelta(seconds=60)


def test_a_call_that_is_made_after_the_clock_was_set_goes_by_it(clock: Clock) -> None:
    clock.ahead_s = 1e6
    ar = call()
    assert abs(ar.submitted.timestamp() - time.time()) < 60.0


# ---------------------------------------------------------------- results from the hub


def fetched(submitted: float, received: float) -> tuple[Fetched, tuple[()]]:
    return Fetched(MsgId("m_0"), submitted, received, "label", "e", ran(11.0, 12.0)), ()


def test_what_the_hub_tells_was_submitted_when_the_hub_says_so() -> None:
    ar = call(kind=AsyncHubResult)
    assert isinstance(ar, AsyncHubResult)
    assert ar._take(0, fetched(10.0, 15.0))
    assert ar.submitted == datetime.fromtimestamp(10, UTC)
    assert ar.received == datetime.fromtimestamp(15, UTC)
    assert ar.wall_time == ar.elapsed == 5.0


def test_several_that_the_hub_tells_of_were_submitted_when_the_first_was() -> None:
    ar = call(2, kind=AsyncHubResult)
    assert isinstance(ar, AsyncHubResult)
    ar._take(0, fetched(20.0, 31.0))
    ar._take(1, fetched(10.0, 30.0))
    assert ar.submitted == [datetime.fromtimestamp(10, UTC)] * 2
    assert ar.wall_time == 21.0


def test_a_clock_that_is_behind_the_hubs_does_not_date_what_the_hub_tells(clock: Clock) -> None:
    clock.ahead_s = -1e9
    ar = call(kind=AsyncHubResult)
    assert isinstance(ar, AsyncHubResult)
    now = time.time() + 1e9
    ar._take(0, fetched(now, now + 5.0))
    assert ar.wall_time == 5.0


def test_what_the_hub_tells_of_and_still_runs_goes_on_since_then() -> None:
    ar = call(kind=AsyncHubResult)
    assert isinstance(ar, AsyncHubResult)
    assert not ar._take(0, (Fetched(MsgId("m_0"), time.time() - 100.0), ()))
    assert 100.0 <= ar.elapsed < 160.0
    ahead = call(kind=AsyncHubResult)
    ahead._about.submitted = time.time() + 100.0  # by the hub's clock
    assert ahead.elapsed == 0.0


def test_a_hub_whose_clock_was_set_back_gives_no_negative_duration() -> None:
    ar = call(kind=AsyncHubResult)
    assert isinstance(ar, AsyncHubResult)
    ar._take(0, fetched(100.0, 15.0))
    assert ar.wall_time == ar.elapsed == 0.0


# ---------------------------------------------------------------- times in queries


class Stamp(datetime):
    """As other packages make them."""


def test_times_in_queries_are_sent_as_what_they_mean() -> None:
    zone = timezone(timedelta(hours=5))
    naive = datetime(2026, 7, 1, 12)
    assert _aware({"started": {"$gt": naive}}) == {"started": {"$gt": naive.astimezone()}}
    aware = datetime(2026, 7, 1, 12, tzinfo=zone)
    assert _aware([aware, (naive,), {naive}]) == [aware, [naive.astimezone()], [naive.astimezone()]]
    stamp = Stamp(2026, 7, 1, 12, 0, 0, 5, zone)
    assert type(_aware(stamp)) is datetime
    assert _aware(stamp) == stamp
    assert _aware(date(2026, 7, 1)) == datetime(2026, 7, 1).astimezone()
    assert _aware("2026-07-01") == "2026-07-01"


@pytest.mark.parametrize("edge", [datetime.min, datetime.max, Stamp.min, date.min, date.max])
def test_a_query_may_name_the_first_or_the_last_time_of_all(edge: date) -> None:
    assert encode(_aware({"submitted": edge}))
