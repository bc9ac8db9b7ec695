"""How much is kept of what a task shows, and what is passed on of a flood."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hippodrome.engine import throttle
from hippodrome.engine.captured import (
    DISPLAY_BYTES,
    LIVE,
    LIVE_DISPLAY_BURST,
    LIVE_DISPLAY_BYTES,
    Captured,
    Text,
)
from hippodrome.engine.descriptors import Descriptor
from hippodrome.engine.output import OutputCapture
from hippodrome.process.page import create_output_file
from hippodrome.protocol.messages import Display


@pytest.mark.parametrize("piece", ["", "\u4e2d"])
def test_many_small_texts_take_no_more_memory_than_one(piece: str) -> None:
    text = Text()
    tracemalloc.start()
    try:
        for _ in range(100_000):
            text.add(piece)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 1_000_000
    assert text.collect() == (piece * 100_000, None)


def test_what_comes_between_two_looks_is_limited_and_places_tell() -> None:
    text = Text()
    text.add("a" * (LIVE + 5))
    text.add("b")
    assert text.take_fresh() == (0, "a" * LIVE)
    text.add("c\n")
    assert text.take_fresh() == (LIVE + 6, "c\n")
    assert text.take_fresh() is None


def content(n_bytes: int) -> bytes:
    return json.dumps({"data": {"text/plain": "x" * n_bytes}}).encode()


def test_displays_between_two_looks_are_limited_and_places_tell() -> None:
    captured = Captured()
    for _ in range(100):
        captured.show("update_display_data", content(LIVE_DISPLAY_BYTES // 2), "one")
    found = captured.take_fresh()
    assert [at for _, at, _ in found] == list(range(LIVE_DISPLAY_BURST * 2 // LIVE_DISPLAY_BYTES))
    captured.show("update_display_data", b"{}", "one")
    ((_, at, _),) = captured.take_fresh()
    assert at == 100
    _, _, shown, _ = captured.collect()
    assert shown is not None
    assert shown.displays == [Display("update_display_data", b"{}", 100)]


def test_a_display_too_many_is_dropped_with_a_note_and_clearing_makes_room() -> None:
    captured = Captured()
    big = content(DISPLAY_BYTES // 2)
    for _ in range(3):
        captured.show("display_data", big, None)
    _, stderr, shown, _ = captured.collect()
    assert shown is not None
    assert len(shown.displays) == 1
    assert stderr.count("was dropped: there are too many") == 2
    captured.show("clear_output", b'{"wait": false}', None)
    captured.show("display_data", big, None)
    _, _, shown, _ = captured.collect()
    assert shown is not None
    assert [one.content for one in shown.displays][1:] == [big]


def test_small_displays_count_with_what_they_cost() -> None:
    captured = Captured()
    for _ in range(DISPLAY_BYTES // 256 + 10):
        captured.show("display_data", b"{}", None)
    _, _, shown, _ = captured.collect()
    assert shown is not None
    assert len(shown.displays) < DISPLAY_BYTES // 256


@pytest.fixture
def written() -> Iterator[Descriptor]:
    """A file that two descriptors lead into; not those of this process."""
    number = os.dup(1)
    descriptor = Descriptor(number, create_output_file())
    descriptor.install()
    yield descriptor
    descriptor.restore()
    for one in (number, descriptor.outside):
        with suppress(OSError):
            os.close(one)


def test_what_was_read_counts_when_it_has_been_dealt_with(written: Descriptor) -> None:
    """Another thread that finds nothing left to read may rely on that all of it was added."""
    os.write(written._number, b"words")
    texts = written.drain()
    assert next(texts) == "words"
    assert written.position == 0
    assert list(texts) == []
    assert written.position == written.size() == 5


def test_of_what_was_written_too_fast_both_ends_are_read(written: Descriptor) -> None:
    number = written._number
    os.write(number, b"a" * (1 << 20) + b"b" * (20 << 20) + b"c" * (1 << 20))
    first, left_out, *rest = written.drain()
    assert first == "a" * (1 << 20)
    assert left_out == 20 << 20
    assert "".join(map(str, rest)) == "c" * (1 << 20)
    os.write(number, b"d")
    assert list(written.drain()) == ["d"]


def test_a_number_that_was_redirected_for_a_while_costs_nothing(written: Descriptor) -> None:
    number = written._number
    os.write(number, b"before ")
    saved = os.dup(number)
    ends = os.pipe()
    os.dup2(ends[1], number)
    os.write(number, b"aside")
    assert list(written.drain()) == ["before "]
    os.dup2(saved, number)
    os.write(number, b"after")
    assert list(written.drain()) == ["after"]
    assert os.read(ends[0], 100) == b"aside"
    for one in (saved, *ends):
        os.close(one)


def test_a_number_that_was_closed_has_nothing_more_to_say(written: Descriptor) -> None:
    os.write(written._number, b"last")
    os.close(written._number)
    assert list(written.drain()) == ["last"]
    os.close(written._file)  # as who closes all there is
    assert list(written.drain()) == []


def test_a_flood_of_error_output_is_not_passed_on_but_its_end_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttle, "monotonic", lambda: 0.0)  # more may pass later
    file = create_output_file()
    try:
        out = throttle.Passage(file)
        out.write("first\n")
        for _ in range(throttle.BURST // 1000 + 1000):
            out.write("x" * 999 + "\n")
        out.write("last words\n")
        out.settle()
        out.settle()
        written = os.pread(file, throttle.BURST + (1 << 20), 0)
    finally:
        os.close(file)
    assert len(written) < throttle.BURST + 2 * throttle.HELD_BYTES
    assert written.startswith(b"first\n")
    assert b"bytes were not passed on]\n" in written
    assert written.endswith(b"x\nlast words\n")


class Counted(OutputCapture):
    """Counts how often it looks."""

    n_looks = 0

    def drain(self) -> None:
        self.n_looks += 1


def test_after_short_tasks_the_descriptors_are_looked_at_now_and_then(
    written: Descriptor,
) -> None:
    capture = Counted()
    capture._descriptors = (written,)
    for run_s, n_looks in ((1e-6, 1), (1e-6, 1), (40e-6, 2), (1e-6, 2)):
        capture.begin()
        capture.end(run_s)
        assert capture.n_looks == n_looks
    for _ in range(100):
        capture.begin()
        capture.end(10e-6)
    assert capture.n_looks == 4
    capture.rest()
    capture.begin()
    capture.end(1e-6)
    assert capture.n_looks == 5
