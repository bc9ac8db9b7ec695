"""Forked processes end as programs do, and belong to whom they should."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from hippodrome.process import forking

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run *code* in a program of its own, as its children shall not be children of the tests."""
    start = "import atexit, os, sys, threading\nfrom hippodrome.process import forking\n"
    return subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, timeout=30, check=True
    )


def test_a_process_with_a_second_thread_is_not_forked() -> None:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    assert not forking.can_fork()
    ended.set()
    thread.join()


def test_a_child_ends_with_its_code_and_never_returns() -> None:
    shown = run(
        "pid = forking.fork(lambda: 7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 'once')\n"
    )
    assert shown.stdout == "7 once\n"


def test_a_child_that_fails_has_a_code_that_says_so_even_if_it_cannot_tell_why() -> None:
    shown = run(
        "def main():\n"
        "    os.closerange(0, 3)\n"
        "    sys.stderr = open(os.devnull)\n"  # cannot be written to
        "    raise ValueError\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(forking.fork(main), 0)[1]))\n"
    )
    assert shown.stdout == "1\n"


def test_a_child_waits_for_its_threads_and_runs_its_exit_handlers() -> None:
    shown = run(
        "def main():\n"
        "    go_on = threading.Event()\n"
        "    def late():\n"
        "        go_on.wait()\n"
        "        print('thread')\n"
        "    threading.Thread(target=late).start()\n"
        "    atexit.register(print, 'exit')\n"
        "    go_on.set()\n"
        "    return 0\n"
        "os.waitpid(forking.fork(main), 0)\n"
    )
    assert shown.stdout == "thread\nexit\n"


def test_what_was_held_back_before_the_fork_is_written_once() -> None:
    shown = run("print('before')\nos.waitpid(forking.fork(lambda: 0), 0)\nprint('after')\n")
    assert shown.stdout == "before\nafter\n"


def test_an_error_in_a_child_is_shown_and_its_code_is_one() -> None:
    shown = run(
        "pid = forking.fork(lambda: 1 // 0)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert shown.stdout == "1\n"
    assert shown.stderr.endswith("ZeroDivisionError: integer division or modulo by zero\n")


def test_a_child_keeps_only_the_descriptors_that_it_is_given() -> None:
    shown = run(
        "kept, other = os.pipe()\n"
        "def main():\n"
        "    print(os.path.exists(f'/proc/self/fd/{kept}'))\n"
        "    print(os.path.exists(f'/proc/self/fd/{other}'))\n"
        "    return 0\n"
        "os.waitpid(forking.fork(main, keep=[kept]), 0)\n"
    )
    assert shown.stdout == "True\nFalse\n"


def test_an_orphan_is_a_child_of_whoever_adopts() -> None:
    shown = run(
        "assert forking.adopt_orphans(True)\n"
        "read_fd, write_fd = os.pipe()\n"
        "def between():\n"
        "    os.write(write_fd, str(forking.fork_orphan(lambda: 5)).encode())\n"
        "    return 0\n"
        "os.waitpid(forking.fork(between, keep=[write_fd]), 0)\n"
        "orphan = int(os.read(read_fd, 64))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(orphan, 0)[1]))\n"
    )
    assert shown.stdout == "5\n"


def test_a_process_whose_parent_is_gone_is_told_so() -> None:
    shown = run(
        "parent = os.getppid()\n"
        "print(forking.die_with_parent(parent), forking.die_with_parent(parent + 1))\n"
    )
    assert shown.stdout == "True False\n"
