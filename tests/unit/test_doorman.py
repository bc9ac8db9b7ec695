"""Room for connections: how it is counted, and how seldom."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from hippodrome.transport import doorman
from hippodrome.transport.doorman import Doorman

LIMIT = 1_000


def test_a_doorman_keeps_the_last_descriptors() -> None:
    code = (
        "import os, resource as r; from hippodrome.transport.doorman import Doorman;"
        "r.setrlimit(r.RLIMIT_NOFILE, (200, 200)); door = Doorman(); assert not door.is_full();"
        "assert door.n_strangers() == 50; opened = [os.dup(0) for _ in range(160)];"
        "door.come(160);"
        "assert door.is_full(), 'some are left'; assert 'of 200 descriptors' in str(door);"
        "assert door.n_strangers() == 50; opened += [os.dup(0) for _ in range(20)];"
        "door.come(20);"
        "assert door.n_strangers() == 0; [os.close(n) for n in opened[:80]];"
        "assert not door.is_full()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return what is counted: one more each time that somebody counts, and how many are open."""
    state = [0, 10]

    def count() -> float:
        state[0] += 1
        return state[1]

    monkeypatch.setattr(doorman, "_n_open", count)
    monkeypatch.setattr(doorman, "descriptor_limit", lambda: LIMIT)
    return state


def test_descriptors_are_not_counted_for_each_connection(counted: list[int]) -> None:
    door = Doorman()
    for n in range(800):
        counted[1] = 10 + n
        door.come(1)
        assert not door.is_full()
        assert door.n_strangers()
    assert counted[0] < 10


def test_who_has_come_since_is_added(counted: list[int]) -> None:
    door = Doorman()
    assert not door.is_full()
    counted[1] = LIMIT - 5
    door.come(LIMIT - 15)
    assert door.is_full()
    assert door.n_strangers() == 0


def test_who_has_gone_is_noticed_before_anybody_is_refused(counted: list[int]) -> None:
    door = Doorman()
    for _ in range(10):
        door.come(LIMIT // 2)  # and these have gone again
        assert not door.is_full()


def test_that_descriptors_get_scarce_is_said_once_and_before_anybody_is_refused(
    counted: list[int],
) -> None:
    door, said = Doorman(), []
    for n in range(10, LIMIT - 100):
        counted[1] = n
        door.come(1)
        said += [(n, text) for text in [door.scarcity()] if text]
        assert not door.is_full()
    ((at, text),) = said
    assert 0.7 * LIMIT <= at <= 0.75 * LIMIT
    assert "of 1000 descriptors" in text
    assert f"there are {LIMIT - 64 - at} left" in text


def test_in_time_all_is_counted_anew(counted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    clock: Callable[[], float] = lambda: now[0]  # noqa: E731
    monkeypatch.setattr(doorman.time, "monotonic", clock)
    door = Doorman()
    assert not door.is_full()
    counted[1] = LIMIT  # files of this process's own, for one
    assert not door.is_full()
    now[0] += doorman._COUNT_AGAIN_S
    assert door.is_full()


def test_the_limit_is_raised_as_far_as_that_is_allowed() -> None:
    code = (
        "import resource as r; from hippodrome.transport.doorman import Doorman, descriptor_limit;"
        "r.setrlimit(r.RLIMIT_NOFILE, (100, 300)); Doorman(); assert descriptor_limit() == 300"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
