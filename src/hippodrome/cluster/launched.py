"""How far what was launched elsewhere is: jobs that wait, run, have failed; in words, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hippodrome.launch.base import EngineSetLauncher, LaunchState, describe


def in_words(engine_sets: Mapping[str, EngineSetLauncher]) -> str:
    """Return how far sets of engines are; those of this host are not worth a word."""
    states = {
        name: describe(launcher.state())
        for name, launcher in engine_sets.items()
        if launcher.is_elsewhere
    }
    if len(states) < 2:
        return "".join(states.values())
    return "; ".join(f"set {name}: {state}" for name, state in states.items())


def as_json(state: LaunchState) -> dict[str, Any]:  # Any: whatever JSON may hold
    """Return how far a set of engines is, for programs."""
    return {
        "noun": state.noun,
        "total": sum(state.parts.values()),
        **{phase.value: n for phase, n in state.parts.items()},
        "reasons": {phase.value: list(reasons) for phase, reasons in state.reasons.items()},
        "engines": state.engines,
        "trouble": state.trouble,
        "text": describe(state),
    }
