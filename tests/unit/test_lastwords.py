"""What is told of the last that an engine wrote."""

from __future__ import annotations

from hippodrome.node import lastwords
from hippodrome.node.lastwords import MOST_LINES, last_words

OURS = lastwords.__file__.rpartition("node")[0]
DUMP = f"""\
Fatal Python error: Segmentation fault

Thread 0x00007fc55fefd6c0 (most recent call first):
  File "/usr/lib/python3/zmq/sugar/poll.py", line 106 in poll
  File "{OURS}engine/listener.py", line 127 in _listen

Current thread 0x00007fc562c09b80 (most recent call first):
  File "/usr/lib/python3.11/ctypes/__init__.py", line 517 in string_at
  File "/home/me/survey.py", line 4 in crash
  File "{OURS}engine/executor.py", line 292 in _call
  File "<frozen runpy>", line 198 in _run_module_as_main

Extension modules: msgspec._core, zmq.backend.cython._zmq (total: 2)
"""


def test_the_last_lines_are_kept() -> None:
    text = "\n".join(str(i) for i in range(100))
    assert last_words(text).splitlines() == [str(i) for i in range(100 - MOST_LINES, 100)]


def test_of_a_dump_the_thread_that_failed_is_told_without_our_frames() -> None:
    assert last_words(f"before\n{DUMP}").splitlines() == [
        "before",
        "Fatal Python error: Segmentation fault",
        "Current thread 0x00007fc562c09b80 (most recent call first):",
        '  File "/usr/lib/python3.11/ctypes/__init__.py", line 517 in string_at',
        '  File "/home/me/survey.py", line 4 in crash',
    ]


def test_of_a_deep_stack_the_newest_calls_are_told() -> None:
    frames = [f'  File "/home/me/deep.py", line {i} in f' for i in range(100)]
    head, rest = DUMP.split("  File ", 1)[0], "\n".join(frames)
    text = f"{head}Current thread 0x01 (most recent call first):\n{rest}\n"
    assert last_words(text).splitlines()[2:] == frames[: MOST_LINES - 2]


def test_a_dump_whose_beginning_is_missing_has_no_frames_of_ours() -> None:
    cut = DUMP.partition("string_at")[2]
    assert OURS not in last_words(cut)
    assert "survey.py" in last_words(cut)


def test_lines_before_a_dump_make_room_for_it() -> None:
    text = "\n".join(str(i) for i in range(100)) + "\n" + DUMP
    words = last_words(text).splitlines()
    assert len(words) == MOST_LINES
    assert words[-1].endswith("line 4 in crash")
