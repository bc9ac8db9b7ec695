"""What a flood took is given back once it is over, and nothing is done while it lasts."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from hippodrome.process.memory import AGAIN_AT_MOST_S, AGAIN_S, FLOOD_BYTES, LOOK_S, Ebb

MB = 1 << 20


class Process:
    """Memory, and when it was tried to give some back."""

    def __init__(self) -> None:
        self.now = 0.0
        self.resident = 50 * MB
        self.freed_at: list[float] = []
        self.free_to = 0
        self.ebb = Ebb(self.now, lambda: self.resident, self._free)

    def _free(self) -> None:
        self.freed_at.append(self.now)
        self.resident = self.free_to or self.resident

    def look(self, resident: int = 0) -> None:
        self.now += LOOK_S
        self.resident = resident or self.resident
        self.ebb.tick(self.now)


def test_what_a_flood_took_is_given_back_once_when_it_is_over() -> None:
    process = Process()
    process.free_to = 52 * MB
    for resident in (200 * MB, 400 * MB, 300 * MB):
        process.look(resident)
    assert not process.freed_at
    for _ in range(100):
        process.look()
    assert process.freed_at == [4 * LOOK_S]


def test_what_is_a_little_more_is_left_alone() -> None:
    process = Process()
    process.look(process.resident + FLOOD_BYTES - 1)
    for _ in range(10):
        process.look()
    assert not process.freed_at


def test_what_is_still_in_use_is_tried_again_ever_more_rarely() -> None:
    process = Process()
    process.look(500 * MB)
    while process.now < 5000:
        process.look()
    gaps = [after - before for before, after in itertools.pairwise(process.freed_at)]
    assert gaps[0] == AGAIN_S
    assert gaps == sorted(gaps)
    assert gaps[-1] == AGAIN_AT_MOST_S
    process.look(600 * MB)
    process.look()
    assert process.freed_at[-1] == process.now, "something has changed"


def test_it_does_not_look_all_the_time() -> None:
    looks: list[int] = []
    ebb = Ebb(0.0, lambda: looks.append(1) or 1)  # type: ignore[func-returns-value]
    for i in range(1000):
        ebb.tick(i * LOOK_S / 100)
    assert len(looks) == 1 + 9


FLOOD = """
from hippodrome.process.memory import Ebb, resident_bytes
least = resident_bytes()
ebb = Ebb(0.0)
kept, flood = [], []
for i in range(2000):
    flood.append(b"x" * 100_000)
    kept.append(b"x" * 1_000)  # in between, so that nothing is given back by itself
ebb.tick(10.0)
high = resident_bytes()
del flood
ebb.tick(20.0)
ebb.tick(30.0)
ebb.tick(40.0)
print(high - least, resident_bytes() - least)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of the GNU C library")
def test_a_real_process_gives_its_memory_back() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FLOOD], capture_output=True, text=True, check=True
    )
    high, low = map(int, ended.stdout.split())
    assert high > 150 * MB
    assert low < 40 * MB
