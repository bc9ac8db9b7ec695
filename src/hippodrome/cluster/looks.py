"""Notebooks show a cluster by these panels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hippodrome.client.looks.html import Panel, render
from hippodrome.client.looks.timeline import ERROR, OK, PENDING
from hippodrome.client.looks.words import count
from hippodrome.launch.base import describe

if TYPE_CHECKING:
    from hippodrome.cluster.state import ClusterState
    from hippodrome.launch.base import EngineSetLauncher, Launcher


def of_cluster(cluster: ClusterState) -> str:
    """Return HTML for a `Cluster`."""
    state, tone = _state(cluster)
    facts = [
        ("controller", _process(cluster.controller)),
        *((f"engine set {name}", _engine_set(each)) for name, each in cluster.engines.items()),
        ("profile", cluster.profile or Path(cluster.profile_dir).name.removeprefix("profile_")),
        ("directory", str(cluster.profile_dir)),
    ]
    if not cluster.engines:
        facts.insert(1, ("engines when started", f"{cluster.n:,}"))
    return render(Panel(type(cluster).__name__, cluster.cluster_id, state, tone, facts))


def _state(cluster: ClusterState) -> tuple[str, str]:
    if cluster.is_running:
        return "running", OK
    if cluster.has_processes:
        return "without controller", ERROR
    return "stopped", PENDING


def _process(launcher: Launcher | None) -> str:
    if launcher is None:
        return "not started"
    code = launcher.poll()
    if code is None:
        return "running"
    return "ended" if code == -1 else f"ended with exit code {code}"


def _engine_set(launcher: EngineSetLauncher) -> str:
    if launcher.is_elsewhere:
        return describe(launcher.state())
    return f"{count(launcher.n, 'engine')}, {_process(launcher)}"
