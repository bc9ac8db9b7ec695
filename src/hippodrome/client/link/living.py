"""The I/O threads of this process, which leave before it ends, and know when they were forked."""

from __future__ import annotations

import atexit
import os
from typing import Final, Protocol


class Living(Protocol):
    """A thread that ends when it is asked to."""

    def leave(self, reason: str) -> None:
        """Begin to end."""

    def close(self) -> None:
        """End."""

    def on_fork(self) -> None:
        """This is a child, which does not have the thread."""


living: Final[set[Living]] = set()  # no weak ones: others must not change it while it is read


def _on_fork() -> None:
    for io in list(living):
        io.on_fork()
    living.clear()


def _on_exit() -> None:
    """Leave before the interpreter does: daemon threads do not survive that."""
    for io in list(living):
        io.leave("the client's process ends")
    for io in list(living):
        io.close()


atexit.register(_on_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_on_fork)
