"""ipyparallel's name for `hippodrome.launch`."""

from __future__ import annotations

from hippodrome.launch.base import ControllerLauncher
from hippodrome.launch.base import EngineSetLauncher as EngineLauncher
from hippodrome.launch.local import LocalControllerLauncher, LocalEngineSetLauncher

__all__ = [
    "ControllerLauncher",
    "EngineLauncher",
    "LocalControllerLauncher",
    "LocalEngineSetLauncher",
]
