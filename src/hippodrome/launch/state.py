"""How far what was launched is, and why it is no further: counts, reasons, and a sentence."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

# Which stopping leaves beside the scripts of jobs: one that starts later runs nothing.
STOP_FILE: Final = "stop"


class LaunchPhase(enum.Enum):
    """How far one part of what was launched is, as a job or a host; the value is the word."""

    PENDING = "pending"
    RUNNING = "running"
    FAILED = "failed"  # it ended before it was of use
    ENDED = "ended"
    UNKNOWN = "unknown"  # whoever knows does not answer


@dataclass(frozen=True, slots=True)
class LaunchState:
    """How far what was launched is, and why it is no further.

    Attributes:
        parts: how many parts are in each phase that any is in.
        noun: what one part is called.
        reasons: why parts are in a phase, by the phase; as the batch system says it.
        engines: how many engines have been ready; None if the launcher does not know.
        trouble: what hinders asking, in words; empty if nothing does.
    """

    parts: Mapping[LaunchPhase, int]
    noun: str = "process"
    reasons: Mapping[LaunchPhase, tuple[str, ...]] = field(default_factory=dict)
    engines: int | None = None
    trouble: str = ""


def describe(state: LaunchState) -> str:
    """Return a state in words: ``2 of 4 jobs run, 2 are pending (Resources), 16 engines``."""
    return ", ".join(_parts(state))


def _parts(state: LaunchState) -> Iterator[str]:
    n = sum(state.parts.values())
    running = state.parts.get(LaunchPhase.RUNNING, 0)
    noun = state.noun if n == 1 else _plural(state.noun)
    verb = "runs" if running == 1 else "run"
    yield f"{running} of {n} {noun} {verb}"
    for phase, verb in _VERBS.items():
        if count := state.parts.get(phase, 0):
            reasons = "; ".join(state.reasons.get(phase, ())[:3])
            said = verb.format("is" if count == 1 else "are", "has" if count == 1 else "have")
            yield f"{count} {said}{f' ({reasons})' if reasons else ''}"
    if state.engines is not None:
        yield f"{state.engines} engine{'' if state.engines == 1 else 's'}"
    if state.trouble:
        yield state.trouble


_VERBS: Final[Mapping[LaunchPhase, str]] = {
    LaunchPhase.PENDING: "{0} pending",
    LaunchPhase.FAILED: "{1} failed",
    LaunchPhase.ENDED: "{1} ended",
    LaunchPhase.UNKNOWN: "{0} not known of",
}


def _plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"
