"""Whose text it is, and how much of it is kept."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from hippodrome.engine.captured import HALF, LIVE
from hippodrome.engine.output import OutputCapture, TaskStream, follow_threads
from hippodrome.protocol.messages import Cut


@pytest.fixture
def capture() -> Iterator[OutputCapture]:
    capture = OutputCapture()
    start = threading.Thread.start
    follow_threads(capture)
    yield capture
    threading.Thread.start = start  # type: ignore[method-assign]


@pytest.fixture
def stdout(capture: OutputCapture) -> TaskStream:
    return TaskStream(capture, 1, "<stdout>")


@pytest.fixture
def stderr(capture: OutputCapture) -> TaskStream:
    return TaskStream(capture, 2, "<stderr>")


def test_each_task_gets_its_own_text(capture: OutputCapture, stdout: TaskStream) -> None:
    texts = []
    for name in ("one", "two"):
        capture.begin()
        print(name, file=stdout)
        texts.append(capture.end()[:2])
    assert texts == [("one\n", ""), ("two\n", "")]


def test_error_output_is_kept_and_passed_on(
    capture: OutputCapture, stderr: TaskStream, capfd: pytest.CaptureFixture[str]
) -> None:
    capture.begin()
    stderr.write("oh")
    assert capture.end()[:2] == ("", "oh")
    assert capfd.readouterr().err == "oh"


def test_output_between_tasks_goes_where_this_process_writes(
    stdout: TaskStream, capfd: pytest.CaptureFixture[str]
) -> None:
    stdout.write("idle")
    assert capfd.readouterr().out == "idle"


def test_a_thread_writes_to_the_task_that_started_it(
    capture: OutputCapture, stdout: TaskStream, capfd: pytest.CaptureFixture[str]
) -> None:
    go = threading.Event()

    def late() -> None:
        stdout.write("early ")
        at_work.set()
        go.wait()
        stdout.write("late")

    at_work = threading.Event()
    capture.begin()
    thread = threading.Thread(target=late)
    thread.start()
    at_work.wait()
    assert capture.end()[:2] == ("early ", "")
    capture.begin()
    go.set()
    thread.join()
    assert capture.end() is None, "it is not the next task's"
    assert capfd.readouterr().out == "late"


def test_threads_of_threads_belong_to_the_same_task(
    capture: OutputCapture, stdout: TaskStream
) -> None:
    def outer() -> None:
        inner = threading.Thread(target=stdout.write, args=("inner",))
        inner.start()
        inner.join()

    capture.begin()
    thread = threading.Thread(target=outer)
    thread.start()
    thread.join()
    assert capture.end()[:2] == ("inner", "")


def test_of_too_much_text_the_beginning_and_the_end_are_kept(
    capture: OutputCapture, stdout: TaskStream
) -> None:
    capture.begin()
    stdout.write("a" * (HALF - 1))
    stdout.write("bcd")
    stdout.write("e" * HALF)
    text, _, shown, _ = capture.end()
    note = "\n[2 characters were dropped]\n"
    assert text == "a" * (HALF - 1) + "b" + note + "e" * HALF
    assert shown is not None
    assert shown.stdout_cut == Cut(HALF, 2, len(note))
    assert shown.stderr_cut == Cut()


def test_a_line_that_is_being_written_is_not_seen_in_halves(
    capture: OutputCapture, stdout: TaskStream
) -> None:
    capture.begin()
    stdout.write("one\ntw")
    assert capture.take_live() == [("stdout", 0, "one\n")]
    stdout.write("o\nthree")
    assert capture.take_live() == [("stdout", 4, "two\n")]
    assert capture.take_live() == [("stdout", 8, "three")], "a prompt or a bar stays so"
    assert capture.take_live() == []
    stdout.write(".")
    assert capture.take_live() == []
    stdout.write(".")
    assert capture.take_live() == [("stdout", 13, "..")]
    assert capture.end()[0] == "one\ntwo\nthree.."


def test_of_too_much_at_once_the_beginning_is_seen(
    capture: OutputCapture, stdout: TaskStream
) -> None:
    capture.begin()
    stdout.write("x")
    assert capture.take_live() == []
    stdout.write("y" * LIVE)
    stdout.write("z\n")
    assert capture.take_live() == [("stdout", 0, "x" + "y" * (LIVE - 1))]
    stdout.write("next\n")
    assert capture.take_live() == [("stdout", LIVE + 3, "next\n")]
    capture.end()


def test_text_that_utf8_cannot_say_is_kept_in_another_form(
    capture: OutputCapture, stdout: TaskStream
) -> None:
    capture.begin()
    stdout.write("é\udcff")
    assert capture.end()[:2] == ("é\\udcff", "")


def test_the_binary_side_is_text_as_well(capture: OutputCapture, stdout: TaskStream) -> None:
    capture.begin()
    stdout.buffer.write("grün".encode())
    assert capture.end()[:2] == ("grün", "")


def test_bytes_may_end_halfway_through_a_character(
    capture: OutputCapture, stdout: TaskStream
) -> None:
    capture.begin()
    for byte in "5 \N{EURO SIGN}".encode():
        stdout.buffer.write(bytes([byte]))
    stdout.buffer.write(b"\xff")
    assert capture.end()[:2] == ("5 \N{EURO SIGN}\\xff", "")


def test_it_looks_like_a_stream(stdout: TaskStream, stderr: TaskStream) -> None:
    assert (stdout.fileno(), stderr.fileno()) == (1, 2)
    assert not stdout.isatty()
    assert stdout.writable()
    assert not stdout.readable()
    assert stdout.encoding == "utf-8"
    stdout.reconfigure(line_buffering=False)
    stdout.flush()
    stdout.close()
    assert not stdout.closed
    with pytest.raises(TypeError):
        stdout.write(b"bytes")  # type: ignore[arg-type]


def test_a_forked_child_writes_for_itself(
    capture: OutputCapture, stdout: TaskStream, capfd: pytest.CaptureFixture[str]
) -> None:
    os.register_at_fork(after_in_child=capture.stop)
    capture.begin()
    child = os.fork()
    if not child:
        stdout.write("child")
        os._exit(0)
    os.waitpid(child, 0)
    stdout.write("parent")
    assert capture.end()[:2] == ("parent", "")
    assert capfd.readouterr().out == "child"
