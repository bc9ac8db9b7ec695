"""What ``kubectl`` answers when it is asked about pods. Pure: its text in, reports out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from hippodrome.launch.answers import as_number
from hippodrome.launch.batchsystem import Report, Reports
from hippodrome.launch.state import LaunchPhase

_PENDING, _RUNNING, _ENDED = LaunchPhase.PENDING, LaunchPhase.RUNNING, LaunchPhase.ENDED

_POD_PHASES: Final[Mapping[str, LaunchPhase]] = {
    "Pending": _PENDING,
    "Running": _RUNNING,
    "Unknown": _RUNNING,
    "Succeeded": _ENDED,
    "Failed": _ENDED,
}


def parse_pods(text: str) -> Reports:
    """Return what ``kubectl get pods -o json`` says, by the names of the Jobs."""
    found = {}
    for pod in json.loads(text or "{}").get("items", ()):
        labels, status = pod["metadata"].get("labels", {}), pod.get("status", {})
        job = labels.get("batch.kubernetes.io/job-name") or labels.get("job-name")
        if job and status.get("phase") in _POD_PHASES:
            phase = _POD_PHASES[status["phase"]]
            host = pod.get("spec", {}).get("nodeName") or ""
            reason, code = _pod_why(phase, status)
            found[job] = Report(phase, reason, None, code, host)
    return found


def _pod_why(phase: LaunchPhase, status: Mapping[str, Any]) -> tuple[str, int | None]:
    """Return why a pod is no further, and its exit code."""
    states = [one.get("state", {}) for one in status.get("containerStatuses") or ()]
    if phase is _PENDING:
        hindrances = [state["waiting"] for state in states if state.get("waiting")]
        hindrances += filter(_hinders, status.get("conditions") or ())
        words = [_joined(one.get("reason"), one.get("message")) for one in hindrances]
        return next(iter(words), ""), None
    over: Mapping[str, Any] = next(
        (state["terminated"] for state in states if state.get("terminated")), {}
    )
    word = str(over.get("reason", ""))
    why = str(status.get("reason") or ("" if word in ("Completed", "Error") else word))
    return why, as_number(over.get("exitCode"))


def _hinders(condition: Mapping[str, Any]) -> bool:
    return condition.get("type") == "PodScheduled" and condition.get("status") == "False"


def _joined(*words: object) -> str:
    return ": ".join(str(word) for word in words if word)
