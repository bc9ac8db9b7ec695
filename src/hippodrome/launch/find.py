"""Launchers by name: the local ones, and those that other packages bring as entry points."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final, TypeVar

from hippodrome.errors import LaunchError
from hippodrome.launch.base import ControllerLauncher, EngineSetLauncher, Launcher
from hippodrome.launch.local import LocalControllerLauncher, LocalEngineSetLauncher

CONTROLLERS: Final = "hippodrome.controller_launchers"
ENGINE_SETS: Final = "hippodrome.engine_launchers"

# Modules of ipyparallel, old and new, whose launchers for this host are called as those here.
_FOREIGN: Final = ("IPython.parallel.", "ipyparallel.")
_ANYWHERE: Final = "ipengine joins from wherever it is started with the connection file"
# What ipyparallel has launchers for, and what does without one.
_WITHOUT: Final[Mapping[str, str]] = {
    "batch": "a job that runs ipengine starts engines for a controller with --ip='*'",
    "sshproxy": "ssh HOST ipengine starts engines there for a controller with --ip='*'",
    "winhpc": f"Windows HPC Server has none here: {_ANYWHERE}",
    "windowshpc": f"Windows HPC Server has none here: {_ANYWHERE}",
}

# The others that are here, imported when they are used, by name; classes are found by theirs too.
_OURS: Final[Mapping[str, str]] = {
    "mpi": "hippodrome.launch.mpi:MPIEngineSetLauncher",
    "mpiexec": "hippodrome.launch.mpi:MPIEngineSetLauncher",
    "slurm": "hippodrome.launch.batch:SlurmEngineSetLauncher",
    "pbs": "hippodrome.launch.batchsets:PBSEngineSetLauncher",
    "torque": "hippodrome.launch.batchsets:TorqueEngineSetLauncher",
    "sge": "hippodrome.launch.batchsets:SGEEngineSetLauncher",
    "lsf": "hippodrome.launch.batchsets:LSFEngineSetLauncher",
    "htcondor": "hippodrome.launch.batchsets:HTCondorEngineSetLauncher",
    "flux": "hippodrome.launch.batchsets:FluxEngineSetLauncher",
    "oar": "hippodrome.launch.batchsets:OAREngineSetLauncher",
    "ssh": "hippodrome.launch.overssh:SSHEngineSetLauncher",
}

_SSH_CONTROLLER: Final = ("ssh", "sshcontrollerlauncher")
_MPI_CONTROLLER: Final = "hippodrome.launch.mpi.MPIControllerLauncher"

L = TypeVar("L", bound=Launcher)


def controller_launcher(name: str | type[ControllerLauncher]) -> type[ControllerLauncher]:
    """Return the class of launchers called *name*; a class is returned as it is.

    Raises:
        LaunchError: there is none of this name.
    """
    if _is_name_of(LocalControllerLauncher, name):
        return LocalControllerLauncher
    if isinstance(name, str) and (name.startswith("ssh://") or _short(name) in _SSH_CONTROLLER):
        from hippodrome.launch.overssh import SSHControllerLauncher  # which few need

        place = name.removeprefix("ssh://").rstrip("/")
        is_url = name.startswith("ssh://")
        return SSHControllerLauncher.configured({"location": place} if is_url else {})
    if isinstance(name, str) and _short(name) in ("mpi", "mpicontrollerlauncher"):
        return _import(_MPI_CONTROLLER, ControllerLauncher)  # type: ignore[type-abstract]
    return _find(CONTROLLERS, name, ControllerLauncher)  # type: ignore[type-abstract]


def engine_launcher(name: str | type[EngineSetLauncher]) -> type[EngineSetLauncher]:
    """Return the class of launchers called *name*; a class is returned as it is.

    Raises:
        LaunchError: there is none of this name.
    """
    if _is_name_of(LocalEngineSetLauncher, name):
        return LocalEngineSetLauncher
    if isinstance(name, str) and (path := _ours(name)):
        return _import(path.replace(":", "."), EngineSetLauncher)  # type: ignore[type-abstract]
    return _find(ENGINE_SETS, name, EngineSetLauncher)  # type: ignore[type-abstract]


def launcher_names(group: str) -> list[str]:
    """Return the names of the launchers of `ENGINE_SETS` or of `CONTROLLERS`."""
    from importlib.metadata import entry_points

    here = _OURS if group == ENGINE_SETS else ("ssh",)
    return sorted({"local", *here, *(entry.name for entry in entry_points(group=group))})


def _ours(name: str) -> str:
    """Return where the class is imported from that *name* means; empty if it is none of these."""
    short = _short(name)
    for key, path in _OURS.items():
        if short in (key, path.rpartition(":")[2].lower()):
            return path
    return ""


def _is_name_of(kind: type[Launcher], name: str | type[Launcher]) -> bool:
    """Whether *name* is what *kind* is found by, or what the class is called, there too."""
    return isinstance(name, str) and _short(name) in (kind.name, kind.__name__.lower())


def _short(name: str) -> str:
    """Return *name* in lower case, and without the module if that is one of ipyparallel's."""
    if name.startswith(_FOREIGN):
        name = name.replace(":", ".").rpartition(".")[2]
    return name.lower()


def _advice(name: str) -> str:
    """Return what does without a launcher that ipyparallel has."""
    short = _short(name)
    for ending in ("enginesetlauncher", "controllerlauncher", "launcher", "engineset"):
        short = short.removesuffix(ending)
    return f". {_WITHOUT[short]}" if short in _WITHOUT else ""


def _find(group: str, name: str | type[L], kind: type[L]) -> type[L]:
    if isinstance(name, type):
        return name
    if not isinstance(name, str):
        raise TypeError(f"a launcher is a name or a class, as engines='local', not {name!r:.60}")
    if "." in name and not name.startswith(_FOREIGN):
        return _import(name, kind)
    from importlib.metadata import entry_points

    found = entry_points(group=group)
    for entry in found:
        if entry.name.lower() == name.lower():
            launcher = entry.load()
            if isinstance(launcher, type) and issubclass(launcher, kind):
                return launcher
            raise LaunchError(f"{entry.value} in {group} is no {kind.__name__}")
    known = ", ".join(launcher_names(group))
    raise LaunchError(f"there is no launcher {name!r}; there are: {known}{_advice(name)}")


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
