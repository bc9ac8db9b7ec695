"""A terminal in which a program runs, and what a person would read there."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from typing import Final

ROWS: Final = 24
COLUMNS: Final = 100


def run_in_terminal(script: str, environment: Mapping[str, str], timeout_s: float = 30.0) -> str:
    """Run Python code whose standard streams are a terminal; return all that it wrote there.

    Raises:
        AssertionError: it failed.
        subprocess.TimeoutExpired: it took too long.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    command = [sys.executable, "-W", "error", "-c", script]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(environment)
    ) as process:
        os.close(theirs)
        try:
            text = _read_all(ours)
            code = process.wait(timeout_s)
        finally:
            process.kill()
            os.close(ours)
    assert code == 0, text
    return text


def _read_all(descriptor: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 1 << 16)
        except OSError:  # this is how Linux says that nobody has the terminal open any more
            part = b""
        if not part:
            return b"".join(parts).decode()
        parts.append(part)


def lines_of(text: str) -> list[str]:
    """Return what is left on each line, where a carriage return begins it anew."""
    return [line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n")]
