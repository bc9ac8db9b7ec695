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


def run_in_terminal(
    script: str,
    environment: Mapping[str, str],
    timeout_s: float = 30.0,
    *,
    typed: Mapping[str, str] | None = None,
    code: int = 0,
) -> str:
    """Run Python code whose standard streams are a terminal; return all that it wrote there.

    Args:
        script: the code.
        environment: of the process.
        timeout_s: it may take so long to end, once it has closed the terminal.
        typed: what a person types, by what is to be read on the terminal before.
        code: with which it ends.

    Raises:
        AssertionError: it failed.
        subprocess.TimeoutExpired: it took too long.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    command = [sys.executable, "-W", "error", "-c", script]
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=dict(environment),
        start_new_session=typed is not None,
        preexec_fn=_take_terminal if typed is not None else None,
    ) as process:
        os.close(theirs)
        try:
            text = _read_all(ours, dict(typed or {}))
            ended = process.wait(timeout_s)
        finally:
            process.kill()
            os.close(ours)
    assert ended == code, text
    return text


def _take_terminal() -> None:
    """Let the terminal be that of this session, so that Ctrl-C in it is a signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read_all(descriptor: int, typed: dict[str, str]) -> str:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 1 << 16)
        except OSError:  # this is how Linux says that nobody has the terminal open any more
            part = b""
        if not part:
            return b"".join(parts).decode()
        parts.append(part)
        text = b"".join(parts).decode(errors="replace")
        for awaited in [one for one in typed if one in text]:
            os.write(descriptor, typed.pop(awaited).encode())


def lines_of(text: str) -> list[str]:
    """Return what is left on each line, where a carriage return begins it anew."""
    return [line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n")]
