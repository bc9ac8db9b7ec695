"""Reading what processes have logged, and log now."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hippodrome.apps import words
from hippodrome.cluster.logs import Follower, last_lines
from hippodrome.node.forward import LINE_BYTES, Forwarder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a b.log"


def test_the_last_lines_are_those_of_the_end(path: Path) -> None:
    path.write_text("1\n2\n3")
    assert last_lines(path, 2) == ["2", "3"]
    assert last_lines(path, 9) == ["1", "2", "3"]
    assert last_lines(path, 0) == []


def test_of_a_large_file_only_the_end_is_read(path: Path) -> None:
    path.write_text("x" * 99 + "\n" + ("y" * 99 + "\n") * 10_000)
    found = last_lines(path, 10_000)
    assert 0 < len(found) < 10_000
    assert set(found) == {"y" * 99}


def test_what_cannot_be_read_has_no_lines(path: Path, tmp_path: Path) -> None:
    assert last_lines(path, 5) == []
    assert last_lines(tmp_path, 5) == []
    path.write_bytes(b"\xff\n")
    assert last_lines(path, 5) == ["\ufffd"]


def test_a_file_is_followed_line_by_line(path: Path) -> None:
    path.write_text("old\n")
    follower = Follower(path)
    assert follower.look().lines == []
    with path.open("a") as file:
        file.write("half")
        file.flush()
        assert follower.look().lines == []
        file.write(" a line\nnext\n")
    assert follower.look().lines == ["half a line", "next"]
    assert follower.look().lines == []


def test_a_file_that_another_replaces_is_followed_from_its_start(path: Path) -> None:
    path.write_text("old\n")
    follower = Follower(path)
    path.rename(path.with_suffix(".1"))
    news = follower.look()
    assert (news.lines, news.note, follower.is_there) == ([], "the file is gone", False)
    assert follower.look().note == ""
    path.write_text("new\n")
    news = follower.look()
    assert (news.lines, news.note) == (["new"], "a new file took its place")
    assert follower.is_there


def test_a_file_that_is_emptied_is_followed_from_its_start(path: Path) -> None:
    path.write_text("a long line\n")
    follower = Follower(path)
    path.write_text("b\n")
    news = follower.look()
    assert (news.lines, news.note) == (["b"], "it was emptied")


def test_a_file_that_comes_later_is_followed(path: Path) -> None:
    follower = Follower(path)
    follower.look()
    path.write_text("new\n")
    news = follower.look()
    assert (news.lines, news.note) == (["new"], "")


def test_a_line_without_an_end_takes_no_memory(path: Path) -> None:
    path.touch()
    follower = Follower(path)
    path.write_bytes(b"x" * (1 << 20))
    lines = [line for _ in range(30) for line in follower.look().lines]
    assert 1 < len(lines) < 20
    assert len("".join(lines)) + (1 << 17) > 1 << 20


def test_each_line_of_an_engine_says_whose_it_is() -> None:
    read_fd, write_fd = os.pipe()
    forwarder = Forwarder(write_fd, owned=True, mark="[engine process 9] ")
    forwarder.write(b"early\nha")
    forwarder.mark = "[engine 3] "
    for data in (b"", b"lf\n\n", b"late\nend"):
        forwarder.write(data)
    forwarder.close()
    with os.fdopen(read_fd) as written:
        assert written.read() == (
            "[engine process 9] early\n[engine 3] half\n"
            "[engine 3] \n[engine 3] late\n[engine 3] end\n"
        )


def test_what_a_full_disk_did_not_take_is_told_of_once_there_is_room(path: Path) -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    forwarder = Forwarder(descriptor, owned=True, mark="[engine 1] ")
    for _ in range(3):
        forwarder.write(b"lost\n")
        forwarder.flush()
    with path.open("wb") as file:
        os.dup2(file.fileno(), descriptor)
    for data in (b"kept\n", b"kept too\n"):
        forwarder.write(data)
    forwarder.close()
    assert path.read_text() == (
        "\noutput of engines before this could not be written: No space left on device\n"
        "[engine 1] kept\n[engine 1] kept too\n"
    )


def test_what_nobody_reads_is_not_tried_again() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    forwarder = Forwarder(write_fd, owned=True)
    forwarder.write(b"lost\n")
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), write_fd)
    assert forwarder._is_broken
    forwarder.write(b"lost\n")
    assert forwarder._kept == b""
    forwarder.close()


def test_lines_of_engines_do_not_mix() -> None:
    read_fd, write_fd = os.pipe()
    one, two = (Forwarder(write_fd, mark=f"[engine {i}] ") for i in (1, 2))
    one.write(b"from one")
    two.write(b"from two")
    one.write(b"\n")
    two.write(b"x" * LINE_BYTES + b"y")  # who never ends a line is not waited for
    two.write(b"z\n")
    os.close(write_fd)
    with os.fdopen(read_fd) as written:
        first, second, third = written.read().splitlines()
    assert (first, second[:22], third) == (
        "[engine 1] from one",
        "[engine 2] from twoxxx",
        "[engine 2] z",
    )


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([3], "3"),
        ([2, 0, 1, 5], "0-2, 5"),
        (list(range(0, 20, 2)), "0, 2, 4, 6, 8, 10, 12, 14, ..."),
    ],
)
def test_numbers_are_shown_as_ranges(numbers: list[int], text: str) -> None:
    assert words.ranges(numbers) == text
