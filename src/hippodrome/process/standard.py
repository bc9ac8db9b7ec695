"""Stands in for standard streams that a process was started without.

Daemons and job systems start programs with some of the descriptors 0 to 2 closed. What is opened
next gets such a number then, and whatever prints writes into it.
"""

from __future__ import annotations

import fcntl
import os
import sys
from typing import Final

_MODES: Final = ("r", "w", "w")
_NAMES: Final = ("stdin", "stdout", "stderr")


def open_missing() -> None:
    """Open the null device as each of the three that is closed; best done before all else."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:  # the lowest number that is free
        os.set_inheritable(descriptor, True)
        descriptor = os.dup(descriptor)
    os.close(descriptor)
    for number, (name, mode) in enumerate(zip(_NAMES, _MODES, strict=True)):
        if getattr(sys, name) is None:
            stream = open(number, mode, closefd=False)  # noqa: SIM115 - it stays open
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def pipe_aside() -> tuple[int, int]:
    """Return a pipe as `os.pipe` does, but neither end stands where a standard stream belongs.

    For programs that are not ours, where those may be closed: what a child is started with there
    would take its place.
    """
    read_fd, write_fd = os.pipe()
    return _aside(read_fd), _aside(write_fd)


def _aside(descriptor: int) -> int:
    if descriptor > 2:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)
