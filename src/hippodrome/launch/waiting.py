"""Waiting for a program that says over a pipe how it gets on, until it is ready.

Its lines: ``state <ready> <in their start-up> <all>`` whenever these numbers change, ``failed
<text, as JSON>`` if it cannot become what it was asked to be, ``say <text, as JSON>`` for people
who wait, and ``ready <numbers>``.
"""

from __future__ import annotations

import enum
import json
import os
import select
import time
from collections.abc import Callable
from typing import Final

TELL_AFTER_S: Final = 5.0  # then ever more rarely
_READ_BYTES: Final = 1 << 16


class StartOutcome(enum.Enum):
    """How a wait has ended."""

    READY = "ready"
    FAILED = "failed"
    ENDED = "ended"  # the process has, without a word
    LATE = "late"


class Waiting:
    """One wait.

    Args:
        descriptor: the reading end of the pipe.
        timeout_s: for how long.
        tell: called with a sentence when it takes long.

    Attributes:
        ready: the numbers that the program said when it was ready; None before.
    """

    def __init__(self, descriptor: int, timeout_s: float, tell: Callable[[str], None]) -> None:
        self.ready: tuple[int, ...] | None = None
        self._descriptor = descriptor
        self._timeout_s = max(timeout_s, 0.0)
        self._tell = tell
        self._rest = b""
        self._state = ""

    def wait(self) -> tuple[StartOutcome, str]:
        """Wait; return how that ended, and what there is to say."""
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        began = time.monotonic()
        pause_s, told_at = TELL_AFTER_S, began
        while True:
            now = time.monotonic()
            if now >= began + self._timeout_s and not poller.poll(0):
                return StartOutcome.LATE, self._state
            if now >= told_at + pause_s:
                told_at, pause_s = now, 2 * pause_s
                if self._state:
                    self._tell(self._state)
            due = min(began + self._timeout_s, told_at + pause_s)
            if poller.poll(max(due - now, 0.0) * 1000 + 1):
                data = os.read(self._descriptor, _READ_BYTES)
                if not data:
                    return StartOutcome.ENDED, ""
                outcome = self._read(data)
                if outcome is not None:
                    return outcome

    def _read(self, data: bytes) -> tuple[StartOutcome, str] | None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            word, _, more = line.decode("utf-8", "replace").partition(" ")
            if outcome := self.take(word, more):
                return outcome
        return None

    def take(self, word: str, more: str) -> tuple[StartOutcome, str] | None:
        """Take what the program has said: a word, and what follows it."""
        if word == "ready":
            self.ready = tuple(int(number) for number in more.split() if number.isdecimal())
            return StartOutcome.READY, ""
        if word == "failed":
            return StartOutcome.FAILED, _text(more)
        if word == "say":
            self._tell(_text(more))
        if word == "state":
            self._state = _sentence(more.split())
        return None


def _text(more: str) -> str:
    try:
        return str(json.loads(more))
    except ValueError:
        return more


def _sentence(numbers: list[str]) -> str:
    """Say how far engines are."""
    if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        return ""
    n_ready, n_starting, n = map(int, numbers)
    noun = "engine" if n == 1 else "engines"
    if n_starting:
        verb, whose = ("is", "its") if n_starting == 1 else ("are", "their")
        return f"{n_starting} of {n} {noun} {verb} still in {whose} start-up"
    return f"{n_ready} of {n} {noun} {'is' if n_ready == 1 else 'are'} ready"
