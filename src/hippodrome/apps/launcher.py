"""ipyparallel's older name for `hippodrome.cluster.launcher`."""

from __future__ import annotations

from hippodrome.cluster.launcher import (
    ControllerLauncher,
    EngineLauncher,
    LauncherError,
    LocalControllerLauncher,
    LocalEngineSetLauncher,
    find_launcher_class,
)

__all__ = [
    "ControllerLauncher",
    "EngineLauncher",
    "LauncherError",
    "LocalControllerLauncher",
    "LocalEngineSetLauncher",
    "find_launcher_class",
]
