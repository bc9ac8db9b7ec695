"""Runs workloads: in each repetition ours, then the peer, then the reference."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import environments, lives, peers
from benchmarks.figures import Contest, Measured, Turn
from benchmarks.session import PeerError, Session
from benchmarks.workloads import REFERENCE, Workload

QUICK_REPETITIONS: Final = 1
WARM_UP: Final = 200

Measure = Callable[[], Measured]


class Failed(Exception):
    """One side failed; ends the contest."""

    def __init__(self, side: str, error: Exception) -> None:
        super().__init__(f"{side}: {error}")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run.

    Attributes:
        repetitions: None is what each workload says.
        cache: where the environments of the peers are.
    """

    cache: Path
    repetitions: int | None = None
    quick: bool = False

    def repetitions_of(self, workload: Workload) -> int:
        if self.repetitions is not None:
            return self.repetitions
        return QUICK_REPETITIONS if self.quick else workload.repetitions


class Runner:
    """Runs contests; a peer that cannot be installed takes part in none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.pythons: dict[str, Path] = {}
        self._absent: dict[str, str] = {}

    def run(self, workload: Workload, names: Sequence[str]) -> Iterator[Contest]:
        """Yield each contest as soon as it is over; ours runs alone if no peer takes part."""
        rivals = [name for name in names if self._takes_part(name, workload)]
        for rival in rivals or [peers.OURS]:
            start = time.monotonic()
            contest = self._contest(workload, rival)
            took_s = time.monotonic() - start
            say(f"{took_s:6.1f} s  {workload.name} / {rival}")
            if contest.problem:
                say(f"  FAILED  {contest.problem}")
            yield contest

    def _takes_part(self, name: str, workload: Workload) -> bool:
        reason = peers.why_not(peers.adapter(name), workload)
        if reason is not None:
            say(f" skipped  {workload.name} / {name}: {reason}")
        return reason is None

    def _contest(self, workload: Workload, rival: str) -> Contest:
        referenced = workload.referenced and not self._settings.quick
        sides = [peers.OURS, rival, *([REFERENCE] if referenced else [])]
        sides = list(dict.fromkeys(sides))
        turns: list[Turn] = []
        try:
            for side in sides:
                self._install(side)
            with ExitStack() as stack:
                measures = {side: self._measure(stack, workload, side) for side in sides}
                for _ in range(self._settings.repetitions_of(workload)):
                    turns.append(take_turn(measures))  # noqa: PERF401, the last one may fail
        except Failed as failure:
            return Contest(workload.name, rival, turns, str(failure))
        return Contest(workload.name, rival, turns)

    def _install(self, side: str) -> None:
        """Make sure that *side* is installed; what failed once is not tried again."""
        if side in self._absent:
            raise Failed(side, PeerError(self._absent[side]))
        if side not in self.pythons:
            try:
                self.pythons[side] = environments.python_of(side, self._settings.cache)
            except (PeerError, OSError) as error:
                self._absent[side] = str(error)
                raise Failed(side, error) from error

    def _measure(self, stack: ExitStack, workload: Workload, side: str) -> Measure:
        """Return what takes one measurement of *side*, with whatever it needs started."""
        python, arguments = self.pythons[side], workload.arguments(self._settings.quick)
        if workload.is_life:
            live = getattr(lives, workload.procedure)
            return lambda: live(side, python, workload.engines, **arguments)
        session = stack.enter_context(Session(side, python))
        try:
            session.ask("start", n=workload.engines)
            session.ask("ready")
            session.ask("run", procedure="warm_up", arguments={"n": WARM_UP})
        except PeerError as error:
            raise Failed(side, error) from error
        return lambda: session.ask(
            "run",
            timeout_s=workload.timeout_s,
            procedure=workload.procedure,
            arguments=arguments,
        )


def take_turn(measures: Mapping[str, Measure]) -> Turn:
    """Let each side measure once, in order."""
    turn = {}
    for side, measure in measures.items():
        try:
            turn[side] = measure()
        except PeerError as error:
            raise Failed(side, error) from error
    return turn


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
