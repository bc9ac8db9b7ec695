"""Both larders: what was put in comes out, within the budget; files also after a restart."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hippodrome.hub.larder import disk as disk_module
from hippodrome.hub.larder import files
from hippodrome.hub.larder import memory as memory_module
from hippodrome.hub.larder.base import NoLarder
from hippodrome.hub.larder.disk import DiskLarder
from hippodrome.hub.larder.memory import MemoryLarder
from hippodrome.protocol.messages import MsgId
from hippodrome.segments.files import Segments
from hippodrome.segments.kept import KEPT, KeptSegments
from hippodrome.segments.reference import LEAST_BYTES, TOKEN_BYTES
from hippodrome.store.large import CROWDED, GONE, TOO_LARGE, Large

TOKEN = b"t" * TOKEN_BYTES
N = LEAST_BYTES
A, B, C = (MsgId(name) for name in "abc")
WAIT_S = 20.0

Shelf = MemoryLarder | DiskLarder
Open = Callable[..., Shelf]


def data(n: int, size_bytes: int = N) -> bytes:
    return bytes([n]) * size_bytes


def settle(larder: Shelf) -> None:
    """Let all be done that was begun, also what follows from it."""
    for _ in range(3):
        assert larder.worker.wait_done(WAIT_S)
        larder.collect()


def fetch(larder: Shelf, *wanted: Large) -> list[Any]:
    """Return buffers, or why there are none."""
    got: list[Any] = []
    larder.fetch(wanted, lambda found: got.extend(found[each] for each in wanted))
    settle(larder)
    return [each if isinstance(each, str) else bytes(each) for each in got]


@pytest.fixture
def segments(tmp_path: Path) -> KeptSegments:
    (tmp_path / "segments").mkdir()
    kept = KeptSegments(str(tmp_path / "segments"), TOKEN)
    kept.open()
    return kept


@pytest.fixture(params=["memory", "disk"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    made: list[Shelf] = []
    monkeypatch.setattr(memory_module.KeptSegments, "share_bytes", lambda self: 1 << 40)

    def make(
        limit: int = 100 * N, segments: KeptSegments | None = None, lender: Segments | None = None
    ) -> Shelf:
        if kind == "memory":
            made.append(MemoryLarder(limit, segments))
        else:
            made.append(DiskLarder(tmp_path / "db.large", limit, segments, lender))
        return made[-1]

    yield make
    for larder in made:
        larder.close()


def put(larder: Shelf, frame: Any, *owners: MsgId) -> Large:
    large = larder.take(owners or (A,), frame)
    assert isinstance(large, Large)
    return large


def segment(home: KeptSegments, tmp_path: Path, name: str, content: bytes) -> bytes:
    """Return the reference to a segment as it comes to the hub: its first name may be gone."""
    (reference,) = Segments(str(tmp_path / "segments"), TOKEN).lend(name, [content])
    home.keep([f"{name}-0"])
    os.unlink(tmp_path / "segments" / f"{name}-0")
    return bytes(reference)


def kept_names(tmp_path: Path) -> list[str]:
    return sorted(os.listdir(tmp_path / "segments" / KEPT))


# ---------------------------------------------------------------- both


def test_what_is_not_large_is_given_back(opened: Open) -> None:
    assert opened().take([A], memoryview(b"x" * (N - 1))) == b"x" * (N - 1)


def test_what_is_large_can_be_fetched_again_and_again(opened: Open) -> None:
    larder = opened()
    first, second = put(larder, memoryview(data(1))), put(larder, bytearray(data(2, N + 5)))
    for _ in range(2):
        assert fetch(larder, second, first) == [data(2, N + 5), data(1)]
    stock = larder.stock()
    assert (stock.n_buffers, stock.size_bytes, stock.n_dropped) == (2, 2 * N + 5, 0)


def test_the_oldest_goes_when_there_is_no_room_and_says_so(opened: Open) -> None:
    larder = opened(3 * N)
    kept = [put(larder, data(i)) for i in range(3)]
    fetch(larder, kept[0])  # now it is not the oldest any more
    settle(larder)
    kept += [put(larder, data(3))]
    settle(larder)
    assert [bool(larder.why_not(each)) for each in kept] == [False, True, False, False]
    found = fetch(larder, *kept)
    assert [found[0], found[2], found[3]] == [data(0), data(2), data(3)]
    assert f"{3 * N:,} bytes" in found[1]
    assert "--large-limit" in found[1]
    assert larder.stock().n_dropped == 1


def test_what_is_larger_than_the_budget_drives_out_nothing(opened: Open) -> None:
    larder = opened(2 * N)
    kept, never = put(larder, data(1)), put(larder, data(2, 2 * N + 1))
    assert never.key == TOO_LARGE
    assert fetch(larder, kept, never)[0] == data(1)
    assert "too large" in larder.why_not(never)


def test_a_buffer_goes_with_the_last_of_its_tasks(opened: Open, tmp_path: Path) -> None:
    larder = opened()
    shared, own = put(larder, data(1), A, B), put(larder, data(2), A)
    settle(larder)
    larder.release(A)
    assert fetch(larder, shared) == [data(1)]
    assert larder.why_not(own)
    larder.release(B)
    larder.release(C)
    settle(larder)
    assert larder.stock().size_bytes == 0
    assert larder.owners() == []
    if isinstance(larder, DiskLarder):
        assert os.listdir(tmp_path / "db.large") == []


def test_a_segment_is_fetched_as_a_reference_to_take_over(
    opened: Open, segments: KeptSegments, tmp_path: Path
) -> None:
    lender = Segments(str(tmp_path / "segments"), TOKEN)
    larder = opened(100 * N, segments, lender)
    large = put(larder, segment(segments, tmp_path, "one", data(7)))
    for is_written in (False, True):
        if is_written:
            settle(larder)
        (reference,) = fetch(larder, large)
        assert len(reference) < 300
        (found,) = lender.take_over([reference])
        assert bytes(found) == data(7)
    assert [name for name in os.listdir(tmp_path / "segments") if not name.startswith(".")] == []
    larder.release(A)
    settle(larder)
    assert kept_names(tmp_path) == []


def test_a_segment_that_was_gone_is_not_kept(opened: Open, segments: KeptSegments) -> None:
    from hippodrome.segments import reference

    large = put(opened(100 * N, segments), reference.encode(TOKEN, "nothing-0"))
    assert large.key == GONE


def test_segments_go_with_the_budget(opened: Open, segments: KeptSegments, tmp_path: Path) -> None:
    larder = opened(2 * N, segments, Segments(str(tmp_path / "segments"), TOKEN))
    for i in range(5):
        put(larder, segment(segments, tmp_path, f"s{i}", data(i)))
    put(larder, segment(segments, tmp_path, "huge", data(9, 2 * N + 1)))
    settle(larder)
    assert larder.stock().n_buffers == 2
    assert len(kept_names(tmp_path)) == (2 if isinstance(larder, MemoryLarder) else 0)


def test_without_a_larder_nothing_large_is_kept() -> None:
    larder = NoLarder()
    assert larder.take([A], b"small") == b"small"
    large = larder.take([A], data(1))
    assert isinstance(large, Large)
    assert "--large-limit" in larder.why_not(large)


# ---------------------------------------------------------------- in memory


def test_segments_that_take_too_much_of_their_file_system_are_copied(
    segments: KeptSegments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "share_bytes", lambda: 2 * N)
    larder = MemoryLarder(100 * N, segments)
    kept = [put(larder, segment(segments, tmp_path, f"s{i}", data(i))) for i in range(4)]
    settle(larder)
    assert kept_names(tmp_path) == ["s0-0", "s1-0"]
    assert fetch(larder, *kept[2:]) == [data(2), data(3)]
    larder.release(A)
    settle(larder)
    assert kept_names(tmp_path) == []
    larder.close()


def test_a_segment_that_cannot_be_copied_is_dropped(
    segments: KeptSegments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "share_bytes", lambda: 0)
    open_file = segments.open_file

    def open_too_late(name: str) -> int:
        segments.remove(name)
        return open_file(name)

    monkeypatch.setattr(segments, "open_file", open_too_late)
    larder = MemoryLarder(100 * N, segments)
    large = put(larder, segment(segments, tmp_path, "s", data(1)))
    settle(larder)
    assert larder.why_not(large)
    larder.close()


# ---------------------------------------------------------------- on disk


def on_disk(tmp_path: Path, limit: int = 100 * N) -> DiskLarder:
    return DiskLarder(tmp_path / "db.large", limit)


def reopen(larder: DiskLarder, tmp_path: Path, limit: int = 100 * N) -> DiskLarder:
    settle(larder)
    larder.close()
    return on_disk(tmp_path, limit)


def test_files_are_found_again(tmp_path: Path) -> None:
    larder = on_disk(tmp_path)
    first, second = put(larder, data(1), A, B), put(larder, data(2), B)
    larder = reopen(larder, tmp_path)
    assert larder.why_not(first) == ""  # before it has looked, too
    assert fetch(larder, first, second) == [data(1), data(2)]
    third = put(larder, data(3), C)
    assert third.key > second.key
    larder.release(B)
    settle(larder)
    assert fetch(larder, first, third) == [data(1), data(3)]
    assert larder.why_not(second)
    assert sorted(os.listdir(tmp_path / "db.large")) == sorted(map(str, (first.key, third.key)))
    larder.close()


def test_a_smaller_budget_holds_for_old_files_too(tmp_path: Path) -> None:
    larder = on_disk(tmp_path)
    kept = [put(larder, data(i)) for i in range(4)]
    larder = reopen(larder, tmp_path, 2 * N)
    settle(larder)
    assert [bool(larder.why_not(each)) for each in kept] == [True, True, False, False]
    assert len(os.listdir(tmp_path / "db.large")) == 2
    larder.close()


def test_what_was_released_before_it_has_looked_goes(tmp_path: Path) -> None:
    larder = on_disk(tmp_path)
    put(larder, data(1))
    larder = reopen(larder, tmp_path)
    larder.release(A)
    settle(larder)
    assert os.listdir(tmp_path / "db.large") == []
    larder.close()


def test_what_a_crash_has_left_without_a_record_goes(tmp_path: Path) -> None:
    larder = on_disk(tmp_path)
    first, second = put(larder, data(1), A), put(larder, data(2), B)
    settle(larder)
    larder.close()
    directory = tmp_path / "db.large"
    (directory / f"{second.key + 5}.part").write_bytes(b"half")
    (directory / f"{second.key + 6}").write_bytes(b"something else that is long enough")
    (directory / "notes.txt").write_text("of the user")

    def absent(asked: Any, then: Callable[[Sequence[MsgId]], None]) -> None:
        assert set(asked) == {A, B}
        then([B])

    larder = on_disk(tmp_path)
    larder.absent = absent
    settle(larder)
    assert sorted(os.listdir(directory)) == [str(first.key), "notes.txt"]
    larder.close()


@pytest.mark.parametrize("place", [3, 9, 20, -1, -N // 2])
def test_a_flipped_bit_is_an_error_and_not_a_wrong_result(tmp_path: Path, place: int) -> None:
    larder = on_disk(tmp_path)
    large = put(larder, data(1))
    settle(larder)
    path = tmp_path / "db.large" / str(large.key)
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    (why,) = fetch(larder, large)
    assert isinstance(why, str)
    assert "damaged" in why
    path.write_bytes(content[: N // 2])
    (why,) = fetch(larder, large)
    assert isinstance(why, str)
    path.unlink()
    (why,) = fetch(larder, large)
    assert "cannot be read" in why
    larder.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_costs_what_is_large_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    larder = on_disk(tmp_path)
    good = put(larder, data(1))
    settle(larder)

    def fail(*args: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as broken:
        broken.setattr(files, "write_all", fail)
        lost = [put(larder, data(i)) for i in (2, 3)]
        settle(larder)
    assert os.strerror(code) in larder.why_not(lost[0])
    assert os.strerror(code) in larder.stock().trouble
    assert len(caplog.records) == 1
    assert larder.stock().n_dropped == 2
    assert fetch(larder, good) == [data(1)]
    again = put(larder, data(4))
    settle(larder)
    assert fetch(larder, again) == [data(4)]
    assert larder.stock().trouble == ""
    assert len(os.listdir(tmp_path / "db.large")) == 2
    larder.close()


def test_a_disk_that_is_too_slow_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_module, "QUEUE_BYTES", 2 * N)
    larder = on_disk(tmp_path)
    settle(larder)
    gate = threading.Event()
    larder.worker.do(gate.wait)
    kept = [put(larder, data(i)) for i in range(4)]
    assert [each.key for each in kept[2:]] == [CROWDED, CROWDED]
    got: dict[Large, Any] = {}
    larder.fetch(kept[:2], got.update)  # from memory, while they wait
    assert [bytes(got[each]) for each in kept[:2]] == [data(0), data(1)]
    gate.set()
    settle(larder)
    assert put(larder, data(5)).was_kept
    assert fetch(larder, *kept[:2]) == [data(0), data(1)]
    larder.close()


def test_what_goes_while_it_is_written_leaves_no_file(tmp_path: Path) -> None:
    larder = on_disk(tmp_path)
    settle(larder)
    gate = threading.Event()
    larder.worker.do(gate.wait)
    put(larder, data(1))
    larder.release(A)
    gate.set()
    settle(larder)
    assert not (tmp_path / "db.large").exists() or os.listdir(tmp_path / "db.large") == []
    assert larder.stock().size_bytes == 0
    larder.close()


def test_what_goes_in_the_middle_of_its_writing_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    larder = on_disk(tmp_path)
    settle(larder)
    begun, gate, write = threading.Event(), threading.Event(), files.write

    def slowly(*args: Any) -> None:
        begun.set()
        assert gate.wait(WAIT_S)
        write(*args)

    monkeypatch.setattr(files, "write", slowly)
    put(larder, data(1))
    assert begun.wait(WAIT_S)
    larder.release(A)
    gate.set()
    settle(larder)
    assert os.listdir(tmp_path / "db.large") == []
    larder.close()


def test_segments_wait_for_a_slow_disk_where_they_lie(
    segments: KeptSegments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_module, "QUEUE_BYTES", 0)
    monkeypatch.setattr(segments, "share_bytes", lambda: 3 * N)
    larder = DiskLarder(tmp_path / "db.large", 100 * N, segments)
    settle(larder)
    gate = threading.Event()
    larder.worker.do(gate.wait)
    kept = [put(larder, segment(segments, tmp_path, f"s{i}", data(i))) for i in range(4)]
    assert [each.was_kept for each in kept] == [True, True, True, False]
    gate.set()
    settle(larder)
    assert fetch(larder, *kept[:3]) == [data(0), data(1), data(2)]
    assert kept_names(tmp_path) == []
    larder.close()


def test_one_thing_that_fails_does_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    larder = on_disk(tmp_path)
    larder.worker.do(lambda: 1 // 0)
    large = put(larder, data(1))
    assert fetch(larder, large) == [data(1)]
    assert "ZeroDivisionError" in caplog.text
    larder.close()


def test_what_is_too_much_for_memory_goes_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hippodrome.process.stowage import Stowage

    monkeypatch.setattr(memory_module, "MEMORY_BYTES", 2 * N)
    stowage = Stowage(tmp_path)
    larder = MemoryLarder(100 * N, None, stowage)
    try:
        kept = [put(larder, data(i), MsgId(f"t{i}")) for i in range(6)]
        settle(larder)
        held = [larder._held[large.key] for large in kept if isinstance(large, Large)]
        assert sum(one.is_stowed for one in held) >= 4
        assert all(stowage.has(one.frame) == one.is_stowed for one in held)
        assert larder._memory_bytes <= 2 * N
        for i, large in enumerate(kept):
            assert [bytes(one) for one in fetch(larder, large)] == [data(i)]
        for i in range(6):
            larder.release(MsgId(f"t{i}"))
        assert larder._memory_bytes == 0
    finally:
        larder.close()


def test_what_finds_no_room_in_a_file_stays_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hippodrome.process import stowage

    monkeypatch.setattr(memory_module, "MEMORY_BYTES", 0)
    monkeypatch.setattr(stowage, "SPARE", 1.0)
    larder = MemoryLarder(100 * N, None, stowage.Stowage(tmp_path))
    try:
        large = put(larder, data(1))
        settle(larder)
        assert fetch(larder, large) == [data(1)]
        assert larder._memory_bytes == N
    finally:
        larder.close()
