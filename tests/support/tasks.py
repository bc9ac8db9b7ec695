"""What tests let engines run. Small, because engines import it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable


def wait_at(path: str) -> str:
    """Wait at a named pipe until `let_go`."""
    with open(path) as file:
        return file.read()


def let_go(path: str) -> None:
    """Wait for somebody to wait at *path*, and let it go on."""
    with open(path, "w") as file:
        file.write("gone on")


def wait_for_ever() -> None:
    """Only a signal ends this."""
    time.sleep(1000)


def die(signum: int) -> None:
    """Say something, and end by a signal."""
    sys.stderr.write("so long\n")
    os.kill(os.getpid(), signum)


def noting() -> Callable[[str, float], int]:
    """Return a task, sent by value, that says that it was run and takes some time."""

    def note(path: str, seconds: float) -> int:
        with open(path, "a") as file:
            file.write("x")
        time.sleep(seconds)
        return len(path)

    return note
