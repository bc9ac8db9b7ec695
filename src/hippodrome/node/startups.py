"""The start-ups of a supervisor's engines: which have failed, and what is told of them.

A start-up that fails is a failure of the whole set for whoever waits for it, unless that is to be
ignored; the engines that have none go on. What fails at once is told together.
"""

from __future__ import annotations

import json
import math
from typing import Final

import msgspec

from hippodrome.protocol.messages import Death, EngineId

SLOW_S: Final = 5.0  # before it is said that start-ups take long; then ever more rarely
TOGETHER_S: Final = 1.0
MOST_LINES: Final = 20
FAILED: Final = 1


class StartupFailure(msgspec.Struct, frozen=True):
    """What an engine told of the failure of its start-up: a line, and the traceback."""

    summary: str
    text: str = ""


class Startups:
    """Counts them.

    Args:
        n: how many engines there should be.
        ignores: failures are no reason not to be ready.
    """

    def __init__(self, n: int, *, ignores: bool = False) -> None:
        self._n = n
        self._ignores = ignores
        self._told = ""
        self._failed: dict[EngineId, StartupFailure] = {}
        self._is_reported = ignores
        self._report_at = math.inf
        self._slow_at = math.inf
        self._slow_s = SLOW_S

    @property
    def exit_code(self) -> int:
        """What the supervisor ends with, if there is no other reason."""
        return FAILED if self._failed and not self._ignores else 0

    def note(self, n_ready: int, n_starting: int) -> list[str]:
        """Return what is to be told of these numbers."""
        line = f"state {n_ready} {n_starting} {self._n}"
        if line == self._told:
            return []
        self._told = line
        return [line]

    def fail(
        self, engine: EngineId | None, told: StartupFailure | None, death: Death, now: float
    ) -> Death:
        """An engine has ended in its start-up; return its death with the reason."""
        assert engine is not None
        if told is None:
            told = StartupFailure(death.reason, death.stderr)
            reason = f"{death.reason} in its start-up"
        else:
            reason = f"failed in its start-up: {told.summary}"
        if not self._failed:
            self._report_at = now + TOGETHER_S
        self._failed[engine] = told
        return msgspec.structs.replace(death, reason=reason)

    def report(self) -> list[str]:
        """Return what is to be told of failures, once."""
        if self._is_reported or not self._failed:
            return []
        self._is_reported = True
        return [f"failed {json.dumps(self.describe())}"]

    def report_late(self, now: float) -> list[str]:
        """Return the same, if there has been time for others to fail, too."""
        return self.report() if now >= self._report_at else []

    def describe(self) -> str:
        """Say which start-ups have failed, and how, those that did alike together."""
        n = len(self._failed)
        head = f"{n} of {self._n} engines failed in {'its' if n == 1 else 'their'} start-up"
        alike: dict[str, list[EngineId]] = {}
        for engine, failure in sorted(self._failed.items()):
            alike.setdefault(failure.summary, []).append(engine)
        parts = [head]
        for summary, engines in alike.items():
            noun = "engine" if len(engines) == 1 else "engines"
            parts.append(f"{noun} {', '.join(map(str, engines))}: {summary}")
            text = self._failed[engines[0]].text.rstrip()
            if text and text != summary:
                parts += text.splitlines()[-MOST_LINES:]
        return "\n".join(parts)

    def tick(self, n_starting: int, now: float) -> str:
        """Return what is to be said of *n_starting* start-ups that take long; may be nothing."""
        if not n_starting:
            self._slow_at, self._slow_s = math.inf, SLOW_S
            return ""
        if self._slow_at == math.inf:
            self._slow_at = now + self._slow_s
        if now < self._slow_at:
            return ""
        self._slow_s *= 2
        self._slow_at = now + self._slow_s
        return still_starting(n_starting, self._n)


def still_starting(n_starting: int, n: int) -> str:
    """Say how many engines are not through with their start-up."""
    verb, whose = ("is", "its") if n_starting == 1 else ("are", "their")
    noun = "engine" if n == 1 else "engines"
    return f"{n_starting} of {n} {noun} {verb} still in {whose} start-up"
