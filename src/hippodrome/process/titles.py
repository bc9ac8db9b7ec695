"""What ``ps`` and ``top`` show of a process, so that people can tell them apart. Linux only.

``top`` and ``ps -e`` show a name of at most 15 bytes; ``ps -ef`` shows the command line, which lies
in the process's own memory. Nothing here may fail: a process does without.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

MOST_NAME: Final = 15
# Fields of /proc/self/stat after the one in parentheses: where the command line begins and ends.
_ARGUMENTS_START: Final = 45
_ARGUMENTS_END: Final = 46


def set_title(name: str, command: str) -> None:
    """Call this process *name* in short, and *command* in full, as far as there is room for it.

    Args:
        name: at most 15 bytes.
        command: what the command line is shown as; everybody on this host can read it.
    """
    with suppress(OSError, ValueError, IndexError, OverflowError):
        with open("/proc/self/comm", "wb") as comm:
            comm.write(name.encode()[:MOST_NAME])
        _replace_arguments(_printable(command).encode())


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)


def _replace_arguments(command: bytes) -> None:
    """Write *command* over the command line, if that is where the system says it is."""
    with open("/proc/self/stat", "rb") as stat, open("/proc/self/cmdline", "rb") as line:
        fields = stat.read().rpartition(b")")[2].split()
        shown = line.read()
    start, end = int(fields[_ARGUMENTS_START]), int(fields[_ARGUMENTS_END])
    size = end - start
    memory = os.open("/proc/self/mem", os.O_RDWR | os.O_CLOEXEC)
    try:
        if size < 2 or not os.pread(memory, size, start).startswith(shown):
            return
        # A last byte that is none of a command line tells the kernel to show the text at its start.
        text = command[: size - 2].ljust(size - 1, b"\0") + b" "
        os.pwrite(memory, text, start)
    finally:
        os.close(memory)
