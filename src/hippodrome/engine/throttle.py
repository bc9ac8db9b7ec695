"""Passes error output on to whoever watches this process, but no flood of it.

A flood would fill logs, and make its task wait for the supervisor. Of what comes too fast, only the
end is passed on, a little later, and a note says how much is missing.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic
from typing import Final

from hippodrome.process.descriptors import write_all
from hippodrome.protocol.allowance import Allowance

RATE: Final = 1 << 18  # bytes per second
BURST: Final = 1 << 20
HELD_BYTES: Final = 1 << 13


class Passage:
    """Writes to one descriptor. Any thread.

    Args:
        descriptor: where to.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.RLock()  # a signal's handler may print while somebody prints
        self._room = Allowance(RATE, BURST, monotonic())
        self._held = b""
        self._n_held = 0  # bytes since the last that was written, those that are gone included

    def write(self, text: str) -> None:
        """Write *text*, or its end later."""
        data = encoded(text)
        with self._lock:
            if not self._n_held and self._room.left(monotonic()) >= len(data):
                self._room.take(len(data))
                write_out(self._descriptor, data)
            else:
                self._n_held += len(data)
                self._held = (self._held + data[-HELD_BYTES:])[-HELD_BYTES:]

    def settle(self) -> None:
        """Write what is held; to be called now and then, and in the end."""
        if not self._n_held:
            return
        with self._lock:
            n, held = self._n_held - len(self._held), self._held
            self._n_held, self._held = 0, b""
            note = f"\n[{n} bytes were not passed on]\n".encode() if n else b""
            write_out(self._descriptor, note + held)


def encoded(text: str) -> bytes:
    """Return *text* as bytes, also what UTF-8 cannot say."""
    return text.encode("utf-8", "backslashreplace")


def write_out(descriptor: int, data: bytes) -> None:
    """Write *data*, if anybody listens; if not, that is no reason to fail a task."""
    with suppress(OSError):
        write_all(descriptor, data)
