"""Large buffers in shared memory: written once, mapped privately, removed when not needed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hippodrome.segments import files, reference
from hippodrome.segments.files import SegmentHome, Segments
from hippodrome.segments.leases import Leases

TOKEN = bytes(range(16))
LARGE = bytes(range(256)) * (files.LEAST_BYTES // 256)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def segments(root: Path) -> Iterator[Segments]:
    with SegmentHome() as home:
        yield Segments(str(home.directory), home.token)


def files_in(segments: Segments) -> set[str]:
    return set(os.listdir(segments.directory)) - {files.LOCK, files.PROOF}


def test_what_a_welcome_announces_is_found_where_it_is(segments: Segments) -> None:
    found = Segments.of(segments.announce())
    assert found is not None
    assert bytes(found.borrow(segments.lend("a", [LARGE]))[0]) == LARGE


@pytest.mark.parametrize(
    "spoil",
    [
        lambda proof: proof.unlink(),  # an empty /dev/shm, as containers have
        lambda proof: proof.write_bytes(b"another controller's"),  # of another host, at this path
        lambda proof: (proof.unlink(), proof.mkdir()),
    ],
)
def test_what_a_welcome_announces_is_not_used_elsewhere(segments: Segments, spoil: Any) -> None:
    spoil(Path(segments.directory, files.PROOF))
    assert Segments.of(segments.announce()) is None
    assert not files.is_here(segments.announce())


@pytest.mark.parametrize(
    "info",
    [
        {},
        {files.DIRECTORY: "", files.TOKEN: ""},
        {files.DIRECTORY: 1, files.TOKEN: 2},
        {files.DIRECTORY: "/\0", files.TOKEN: "00"},
        {files.DIRECTORY: "/dev/shm", files.TOKEN: "no hex"},
    ],
)
def test_a_welcome_may_say_anything(info: dict[str, str | int]) -> None:
    assert Segments.of(info) is None


def test_the_proof_is_closed_to_others(segments: Segments) -> None:
    assert Path(segments.directory, files.PROOF).stat().st_mode & 0o077 == 0


def test_a_large_buffer_is_replaced_by_a_reference_and_comes_back(segments: Segments) -> None:
    (lent,) = segments.lend("abc_1", [LARGE])
    assert len(lent) < reference.MOST_BYTES
    (view,) = segments.borrow([lent])
    assert bytes(view) == LARGE
    assert files_in(segments) == {"abc_1-0"}


def test_small_buffers_and_those_of_others_stay_as_they_are(segments: Segments) -> None:
    small, foreign = b"x" * 100, bytes(16) + b"abc_1-0"
    assert segments.lend("abc_1", [small]) == (small,)
    assert segments.borrow([small, foreign]) == (small, foreign)


def test_what_a_receiver_writes_nobody_else_sees(segments: Segments) -> None:
    lent = segments.lend("abc_1", [LARGE])
    (first,), (second,) = segments.borrow(lent), segments.borrow(lent)
    first[0] = 99
    assert second[0] == 0
    assert segments.borrow(lent)[0][0] == 0


def test_what_is_taken_over_is_removed_and_stays_readable(segments: Segments) -> None:
    lent = segments.lend("abc_1", [LARGE])
    (view,) = segments.take_over(lent)
    assert files_in(segments) == set()
    assert bytes(view) == LARGE
    with pytest.raises(OSError, match="No such file"):
        segments.take_over(lent)


def test_mappings_hold_no_descriptors(segments: Segments) -> None:
    before = len(os.listdir("/proc/self/fd"))
    views = [segments.take_over(segments.lend(f"m_{i}", [LARGE]))[0] for i in range(50)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert all(bytes(view[:4]) == b"\0\1\2\3" for view in views)


def test_when_there_is_no_room_buffers_stay_frames(
    segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SPARE", 1.0)
    assert segments.lend("abc_1", [LARGE]) == (LARGE,)
    monkeypatch.setattr(files, "SPARE", 0.1)

    def full(*args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert segments.lend("abc_1", [LARGE]) == (LARGE,)
    assert files_in(segments) == set()


def test_without_a_file_system_in_memory_there_is_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROOT", tmp_path / "missing")
    with SegmentHome() as home:
        assert home.directory is None


def test_a_home_that_others_may_enter_is_not_used(root: Path) -> None:
    (root / f"hippodrome-{os.geteuid()}").mkdir(mode=0o755)
    (root / f"hippodrome-{os.geteuid()}").chmod(0o755)
    with SegmentHome() as home:
        assert home.directory is None


def test_a_home_is_private_and_leaves_nothing(root: Path) -> None:
    with SegmentHome() as home:
        assert home.directory is not None
        assert home.directory.stat().st_mode & 0o777 == 0o700
        Segments(str(home.directory), TOKEN).lend("abc_1", [LARGE])
    assert list(root.iterdir()) == []


def test_what_a_killed_controller_left_is_removed_by_the_next_and_the_living_are_spared(
    root: Path,
) -> None:
    code = (
        "import os, sys, signal; from pathlib import Path;"
        "from hippodrome.segments import files; files.ROOT = Path(sys.argv[1]);"
        "home = files.SegmentHome().__enter__(); print(home.directory, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    with SegmentHome() as living:
        done = subprocess.run(
            [sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=False
        )
        left = Path(done.stdout.strip())
        assert left.is_dir(), done.stderr
        with SegmentHome() as home:
            assert not left.exists()
            assert living.directory is not None
            assert living.directory.is_dir()
            assert home.directory != living.directory


@given(data=st.binary(max_size=300))
def test_no_bytes_are_taken_for_a_reference_that_do_not_begin_with_the_token(data: bytes) -> None:
    assert reference.decode(TOKEN, b"\xff" + data) is None


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", ".lock", "a\0b", "a b"])
def test_a_reference_never_leaves_its_directory(name: str) -> None:
    assert reference.decode(TOKEN, TOKEN + name.encode()) is None


@given(
    tasks=st.lists(st.lists(st.integers(0, 4), max_size=3, unique=True), max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_a_segment_is_freed_once_when_the_last_task_that_needs_it_ends(
    tasks: list[list[int]], order: object
) -> None:
    leases = Leases(TOKEN)
    ids = [f"t{i}" for i in range(len(tasks))]
    for msg_id, needed in zip(ids, tasks, strict=True):
        leases.grant([msg_id], [reference.encode(TOKEN, f"s{n}") for n in needed])
        leases.check()
    order.shuffle(ids)
    freed: list[str] = []
    for i, msg_id in enumerate(ids):
        leases.end(msg_id)
        leases.end(msg_id)
        leases.check()
        freed += leases.take_freed()
        still = {f"s{n}" for later in ids[i + 1 :] for n in tasks[int(later[1:])]}
        assert not still & set(freed)
    assert sorted(freed) == sorted({f"s{n}" for needed in tasks for n in needed})


def test_one_call_of_many_engines_needs_its_segment_until_the_last_has_answered() -> None:
    leases = Leases(TOKEN)
    leases.grant(["a", "b"], [reference.encode(TOKEN, "s")])
    leases.end("a")
    assert leases.take_freed() == []
    leases.end("b")
    assert leases.take_freed() == ["s"]


def test_results_on_their_way_are_freed_with_their_client_unless_they_arrived() -> None:
    leases = Leases(TOKEN)
    for number in (1, 2, 3):
        leases.pass_on("me", number, number - 2, [reference.encode(TOKEN, f"r{number}")])
    leases.lose("me")
    assert leases.take_freed() == ["r2", "r3"]
    leases.lose("me")
    assert leases.take_freed() == []


def test_a_result_that_reaches_nobody_is_freed() -> None:
    leases = Leases(TOKEN)
    leases.drop([b"frame", reference.encode(TOKEN, "r")])
    assert leases.take_freed() == ["r"]
