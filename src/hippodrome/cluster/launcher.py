"""ipyparallel's name for `hippodrome.launch`."""

from __future__ import annotations

from hippodrome.errors import LaunchError as LauncherError
from hippodrome.launch.base import ControllerLauncher
from hippodrome.launch.base import EngineSetLauncher as EngineLauncher
from hippodrome.launch.base import Launcher as BaseLauncher
from hippodrome.launch.find import controller_launcher, engine_launcher
from hippodrome.launch.local import LocalControllerLauncher, LocalEngineSetLauncher

__all__ = [
    "BaseLauncher",
    "ControllerLauncher",
    "EngineLauncher",
    "LauncherError",
    "LocalControllerLauncher",
    "LocalEngineSetLauncher",
    "find_launcher_class",
]


def find_launcher_class(name: str, kind: str) -> type[BaseLauncher]:
    """Return the class of launchers called *name*.

    Args:
        name: as for `Cluster`.
        kind: ``"engine"`` or ``"controller"``.

    Raises:
        LauncherError: there is none of this name.
        ValueError: there is no such kind.
    """
    if kind.lower() not in {"engine", "controller"}:
        raise ValueError(f"kind is 'engine' or 'controller', not {kind!r}")
    return engine_launcher(name) if kind.lower() == "engine" else controller_launcher(name)
