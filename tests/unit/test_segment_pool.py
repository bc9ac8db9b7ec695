"""Segments that are written again: only when nobody can see what is in them."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hippodrome.segments import files, pool
from hippodrome.segments.files import SegmentHome, Segments
from hippodrome.segments.pool import Pool

TOKEN = bytes(range(16))
N = files.LEAST_BYTES


def filled(value: int, size_bytes: int = N) -> bytes:
    return bytes([value]) * size_bytes


def pooled(home: SegmentHome) -> Segments:
    return Segments(str(home.directory), TOKEN, Pool(str(home.directory)))


@pytest.fixture
def segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Segments]:
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(pool, "LEAST_FREE", 0.0)  # however full the disk of the test is
    with SegmentHome() as home:
        shared = pooled(home)
        yield shared
        shared.close()


def inode(segments: Segments, name: str) -> int:
    return os.stat(os.path.join(segments.directory, name)).st_ino


def free(segments: Segments, name: str) -> None:
    """Do what the scheduler does when the last task has ended."""
    segments.remove([f"{name}-0"])


def test_a_segment_that_nobody_needs_is_written_again(segments: Segments) -> None:
    segments.lend("a", [filled(1)])
    first = inode(segments, "a-0")
    free(segments, "a")
    lent = segments.lend("b", [filled(2)])
    assert inode(segments, "b-0") == first
    assert bytes(segments.borrow(lent)[0]) == filled(2)


def test_it_is_as_long_as_what_was_written_last(segments: Segments) -> None:
    segments.lend("a", [filled(1, N + 100)])
    free(segments, "a")
    lent = segments.lend("b", [filled(2)])
    assert bytes(segments.borrow(lent)[0]) == filled(2)


def test_one_that_may_still_be_opened_is_not(segments: Segments) -> None:
    lent = segments.lend("a", [filled(1)])
    segments.lend("b", [filled(2)])
    assert bytes(segments.borrow(lent)[0]) == filled(1)


def test_one_that_is_mapped_is_not_also_where_only_some_pages_were_copied(
    segments: Segments,
) -> None:
    lent = segments.lend("a", [filled(1)])
    (held,) = segments.borrow(lent)
    held[0] = 9  # this page is the receiver's own, the others are those of the file
    free(segments, "a")
    segments.lend("b", [filled(2)])
    assert bytes(held) == b"\x09" + filled(1)[1:]


def test_one_that_is_mapped_by_a_forked_child_only_is_not(segments: Segments) -> None:
    lent = segments.lend("a", [filled(1)])
    (held,) = segments.borrow(lent)
    first = inode(segments, "a-0")
    free(segments, "a")
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.close(write_end)
        os.read(read_end, 1)
        os._exit(0 if bytes(held) == filled(1) else 1)
    del held
    segments.lend("b", [filled(2)])
    assert inode(segments, "b-0") != first
    os.close(read_end)
    os.close(write_end)
    assert os.waitpid(child, 0)[1] == 0
    segments.lend("c", [filled(3)])
    assert inode(segments, "c-0") == first


def test_a_receiver_that_comes_too_late_finds_nothing_rather_than_something_else(
    segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent = segments.lend("a", [filled(1)])
    first = inode(segments, "a-0")
    flock = fcntl.flock

    def stopped_before(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        free(segments, "a")
        segments.lend("b", [filled(2)])
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", stopped_before)
    with pytest.raises(FileNotFoundError):
        segments.borrow(lent)
    assert inode(segments, "b-0") == first


def test_no_lock_stays_when_a_child_is_forked_while_a_segment_is_written(
    segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments.lend("a", [filled(1)])
    free(segments, "a")
    children: list[int] = []
    write_all = pool.write_all  # type: ignore[attr-defined]  # imported there

    def fork_and_write(descriptor: int, view: memoryview) -> None:
        child = os.fork()
        if not child:
            signal.pause()
        children.append(child)
        write_all(descriptor, view)

    monkeypatch.setattr(pool, "write_all", fork_and_write)
    segments.lend("b", [filled(2)])
    descriptor = os.open(os.path.join(segments.directory, "b-0"), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert children


def test_a_forked_child_writes_to_segments_of_its_own(segments: Segments) -> None:
    segments.lend("a", [filled(1)])
    first = inode(segments, "a-0")
    free(segments, "a")
    child = os.fork()
    if not child:
        segments.lend("b", [filled(2)])
        segments.close()
        os._exit(0)
    os.waitpid(child, 0)
    segments.lend("c", [filled(3)])
    assert inode(segments, "b-0") != first
    assert inode(segments, "c-0") == first


def test_the_pool_is_bounded(segments: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "LIMIT_BYTES", 3 * N)
    lent = [segments.lend(f"s{i}", [filled(i)]) for i in range(9)]
    assert kept_bytes(segments) == 3 * N
    for i, each in enumerate(lent):
        assert bytes(segments.borrow(each)[0]) == filled(i)


def test_what_would_fill_the_pool_alone_is_not_kept(
    segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "LIMIT_BYTES", 2 * N - 1)
    segments.lend("a", [filled(1)])
    assert kept_bytes(segments) == 0


def test_when_room_is_short_the_pool_gives_way(
    segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments.lend("a", [filled(1)])
    free(segments, "a")
    monkeypatch.setattr(files, "SPARE", 1.0)
    other = filled(2, 4 * N)  # does not fit into what is kept
    assert segments.lend("b", [other]) == (other,)
    assert kept_bytes(segments) == 0


def test_little_is_kept_of_a_file_system_that_is_half_full(
    segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "LEAST_FREE", 1.0)
    segments.lend("a", [filled(1)])
    assert kept_bytes(segments) == 0


def test_an_idle_pool_gives_everything_back(
    segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_S", 0.0)
    segments.lend("a", [filled(1)])
    assert segments.pool is not None
    keeper = segments.pool._keeper
    if keeper is not None:  # it may have ended already
        keeper.join()
    assert kept_bytes(segments) == 0


def test_a_second_segment_is_prepared_for_large_buffers(
    segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "PREPARED_BYTES", N)
    made: list[int] = []
    allocate = pool._Kept.allocate
    prepared = pool.threading.Event()

    def noted(kept: Any) -> None:
        allocate(kept)
        made.append(os.stat(kept.path).st_ino)

    add = Pool._add

    def added(self: Pool, kept: Any, **options: bool) -> None:
        add(self, kept, **options)
        if made:
            prepared.set()

    monkeypatch.setattr(pool._Kept, "allocate", noted)
    monkeypatch.setattr(Pool, "_add", added)
    (held,) = segments.borrow(segments.lend("a", [filled(1)]))
    assert prepared.wait(10)
    lent = segments.lend("b", [filled(2)])
    assert inode(segments, "b-0") == made[0]
    assert bytes(segments.borrow(lent)[0]) == filled(2)
    assert bytes(held) == filled(1)


def test_a_small_buffer_takes_no_huge_segment(segments: Segments) -> None:
    """The rest of it would be lost, or would have to be held for the small one."""
    (huge,) = segments.lend("huge", [filled(1, 8 * N)])
    segments.take_over([huge])
    for name in "abc":
        (small,) = segments.lend(name, [filled(2)])
        assert os.stat(os.path.join(segments.directory, f"{name}-0")).st_size == N
        assert bytes(segments.borrow([small])[0]) == filled(2)
    assert segments.pool is not None
    assert sorted(kept.size_bytes for kept in segments.pool._kept) == [N, N, N, 8 * N]
    (huge,) = segments.lend("again", [filled(3, 8 * N)])
    assert bytes(segments.borrow([huge])[0]) == filled(3, 8 * N)
    assert len(segments.pool._kept) == 4, "the huge one was free, and was written again"


def test_none_is_prepared_while_one_is_free(segments: Segments) -> None:
    made = segments.pool
    assert made is not None
    segments.lend("a", [filled(1)])
    made._prepare(N)
    assert len(made._kept) == 2, "the first is needed"
    made._prepare(N)
    assert len(made._kept) == 2


def test_a_closed_pool_leaves_nothing_and_keeps_nothing(segments: Segments) -> None:
    segments.lend("a", [filled(1)])
    segments.close()
    lent = segments.lend("b", [filled(2)])
    names = [files.LOCK, files.PROOF, "a-0", "b-0"]
    assert sorted(os.listdir(segments.directory)) == names
    assert bytes(segments.borrow(lent)[0]) == filled(2)


def test_without_the_directory_buffers_stay_frames(segments: Segments) -> None:
    segments.lend("a", [filled(1)])
    files.remove_directory(segments.directory)
    assert segments.lend("b", [filled(2)]) == (filled(2),)


def test_what_a_killed_process_kept_is_removed_and_the_living_are_spared(
    segments: Segments,
) -> None:
    code = (
        "import os, sys, signal; from hippodrome.segments import files, pool;"
        "pool.LEAST_FREE = 0.0;"
        "s = files.Segments(sys.argv[1], bytes(16), pool.Pool(sys.argv[1]));"
        "s.lend('x', [bytes(files.LEAST_BYTES)]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    segments.lend("a", [filled(1)])
    subprocess.run([sys.executable, "-c", code, segments.directory], check=False)
    assert len(pools_in(segments)) == 2
    segments.remove_pools()
    assert len(pools_in(segments)) == 1
    assert kept_bytes(segments) == N


def pools_in(segments: Segments) -> list[Path]:
    return list(Path(segments.directory).glob(f"{pool.PREFIX}*"))


def kept_bytes(segments: Segments) -> int:
    found = [p for d in pools_in(segments) for p in d.iterdir() if p.name != pool.LOCK]
    return sum(path.stat().st_size for path in found)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["lend", "lend", "borrow", "spoil", "free", "drop", "clear"]),
            st.integers(0, 5),
        ),
        max_size=40,
    )
)
def test_what_somebody_holds_never_changes(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "ROOT", tmp_path_factory.mktemp("root"))
        patch.setattr(pool, "LEAST_FREE", 0.0)
        patch.setattr(pool, "LIMIT_BYTES", 4 * N)  # so that it is full now and then
        with SegmentHome() as home:
            shared = pooled(home)
            _play(shared, steps)
            shared.close()


def _play(segments: Segments, steps: list[tuple[str, int]]) -> None:
    lent: dict[str, tuple[Any, bytes]] = {}
    held: list[tuple[memoryview, bytes]] = []
    for i, (step, which) in enumerate(steps):
        names = sorted(lent)
        name = names[which % len(names)] if names else ""
        if step == "lend":
            data = filled(i + 1, N + 4096 * which)
            lent[f"s{i}"] = segments.lend(f"s{i}", [data])[0], data
        elif step == "clear":
            assert segments.pool is not None
            segments.pool.clear()
        elif step == "borrow" and name:
            reference, data = lent[name]
            held.append((segments.borrow([reference])[0], data))
        elif step == "free" and name:
            del lent[name]
            free(segments, name)
        elif step == "spoil" and held:
            view, data = held[which % len(held)]
            view[-1] = 0
            held[which % len(held)] = view, data[:-1] + b"\0"
        elif step == "drop" and held:
            del held[which % len(held)]
            view = memoryview(b"")  # so that nothing here holds it any more
        assert all(view == data for view, data in held)
        for reference, data in lent.values():
            assert segments.borrow([reference])[0] == data
