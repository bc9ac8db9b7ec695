"""Launchers by name: the local ones, and those that other packages bring as entry points."""

from __future__ import annotations

from importlib import import_module
from typing import Final, TypeVar

from hippodrome.errors import LaunchError
from hippodrome.launch.base import ControllerLauncher, EngineSetLauncher, Launcher
from hippodrome.launch.local import LocalControllerLauncher, LocalEngineSetLauncher

CONTROLLERS: Final = "hippodrome.controller_launchers"
ENGINE_SETS: Final = "hippodrome.engine_launchers"

L = TypeVar("L", bound=Launcher)


def controller_launcher(name: str | type[ControllerLauncher]) -> type[ControllerLauncher]:
    """Return the class of launchers called *name*; a class is returned as it is.

    Raises:
        LaunchError: there is none of this name.
    """
    if _is_name_of(LocalControllerLauncher, name):
        return LocalControllerLauncher
    return _find(CONTROLLERS, name, ControllerLauncher)  # type: ignore[type-abstract]


def engine_launcher(name: str | type[EngineSetLauncher]) -> type[EngineSetLauncher]:
    """Return the class of launchers called *name*; a class is returned as it is.

    Raises:
        LaunchError: there is none of this name.
    """
    if _is_name_of(LocalEngineSetLauncher, name):
        return LocalEngineSetLauncher
    return _find(ENGINE_SETS, name, EngineSetLauncher)  # type: ignore[type-abstract]


def _is_name_of(kind: type[Launcher], name: str | type[Launcher]) -> bool:
    """Whether *name* is what *kind* is found by, or what the class is called."""
    return isinstance(name, str) and name.lower() in (kind.name, kind.__name__.lower())


def _find(group: str, name: str | type[L], kind: type[L]) -> type[L]:
    if isinstance(name, type):
        return name
    if "." in name:
        return _import(name, kind)
    from importlib.metadata import entry_points

    found = entry_points(group=group)
    for entry in found:
        if entry.name.lower() == name.lower():
            launcher = entry.load()
            if isinstance(launcher, type) and issubclass(launcher, kind):
                return launcher
            raise LaunchError(f"{entry.value} in {group} is no {kind.__name__}")
    known = ", ".join(sorted({"local", *(entry.name for entry in found)}))
    raise LaunchError(f"there is no launcher {name!r}; there are: {known}")


def _import(path: str, kind: type[L]) -> type[L]:
    """Return the class at ``package.module.Class``."""
    module, _, name = path.rpartition(".")
    try:
        launcher = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise LaunchError(f"there is no launcher {path!r}: {error}") from error
    if isinstance(launcher, type) and issubclass(launcher, kind):
        return launcher
    raise LaunchError(f"{path} is no {kind.__name__}")
