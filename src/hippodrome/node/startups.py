"""The start-ups of a supervisor's engines: which have failed, and what is told of them.

A start-up that fails is a failure of the whole set for whoever waits for it, unless that is to be
ignored; the engines that have none go on. What fails at once is told together.
"""

from __future__ import annotations

import json
import math
from typing import Final

import msgspec

from hippodrome.headings import listed
from hippodrome.node import actions as do
from hippodrome.node.actions import Action
from hippodrome.node.engines import OwnEngine, OwnEngines, StartupFailure
from hippodrome.protocol.messages import Death, EngineId

SLOW_S: Final = 5.0  # before it is said that start-ups take long; then ever more rarely
TOGETHER_S: Final = 1.0
MOST_LINES: Final = 20
MOST_KINDS: Final = 8
FAILED: Final = 1


class Startups:
    """Counts them.

    Args:
        engines: all that there should be.
        ignores: failures are no reason not to be ready.

    Attributes:
        are_over: all engines are ready that have not failed.
    """

    def __init__(self, engines: OwnEngines, *, ignores: bool = False) -> None:
        self.are_over: bool = False
        self._engines = engines
        self._n = len(engines)
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

    def note(self) -> list[Action]:
        """Tell how many have come how far; say so once all are ready that have not failed."""
        if self.are_over:
            return []
        staying = self._engines.staying()
        ready = [e.engine for e in staying if e.engine is not None and e.is_ready]
        line = f"state {len(ready)} {sum(e.is_starting for e in staying)} {self._n}"
        news: list[Action] = [do.Tell(line)] if line != self._told else []
        self._told = line
        if not ready or len(ready) < len(staying):
            return news
        self.are_over = True
        return [*news, *self.report(), do.AllRegistered(tuple(sorted(ready)))]

    def fail(self, engine: OwnEngine, death: Death, now: float) -> Death:
        """An engine has ended in its start-up; return its death with the reason."""
        assert engine.engine is not None
        told = engine.failure
        if told is None:
            told = StartupFailure(death.reason, death.stderr)
            reason = f"{death.reason} in its start-up"
        else:
            reason = f"failed in its start-up: {told.summary}"
        if not self._failed:
            self._report_at = now + TOGETHER_S
        self._failed[engine.engine] = told
        return msgspec.structs.replace(death, reason=reason)

    def report(self) -> list[Action]:
        """Tell of failures, once."""
        if self._is_reported or not self._failed:
            return []
        self._is_reported = True
        return [do.Tell(f"failed {json.dumps(self.describe())}")]

    def describe(self) -> str:
        """Say which start-ups have failed, and how, those that did alike together."""
        n = len(self._failed)
        head = f"{n} of {self._n} engines failed in {'its' if n == 1 else 'their'} start-up"
        alike: dict[str, list[EngineId]] = {}
        for engine, failure in sorted(self._failed.items()):
            alike.setdefault(failure.summary, []).append(engine)
        parts = [head]
        for summary, engines in list(alike.items())[:MOST_KINDS]:
            noun = "engine" if len(engines) == 1 else "engines"
            parts.append(f"{noun} {listed(engines)}: {summary}")
            text = self._failed[engines[0]].text.rstrip()
            if text and text != summary:
                parts += text.splitlines()[-MOST_LINES:]
        if len(alike) > MOST_KINDS:
            parts.append(f"and {len(alike) - MOST_KINDS} other failures")
        return "\n".join(parts)

    def tick(self, now: float) -> list[Action]:
        """Say which start-ups take long; tell of those that failed, though others go on."""
        n_starting = sum(engine.is_starting for engine in self._engines.staying())
        actions = self._say_slow(n_starting, now)
        return actions + self.report() if now >= self._report_at else actions

    def _say_slow(self, n_starting: int, now: float) -> list[Action]:
        if not n_starting:
            self._slow_at, self._slow_s = math.inf, SLOW_S
            return []
        if self._slow_at == math.inf:
            self._slow_at = now + self._slow_s
        if now < self._slow_at:
            return []
        self._slow_s *= 2
        self._slow_at = now + self._slow_s
        return [do.Say(still_starting(n_starting, self._n), is_error=False)]


def still_starting(n_starting: int, n: int) -> str:
    """Say how many engines are not through with their start-up."""
    verb, whose = ("is", "its") if n_starting == 1 else ("are", "their")
    noun = "engine" if n == 1 else "engines"
    return f"{n_starting} of {n} {noun} {verb} still in {whose} start-up"
