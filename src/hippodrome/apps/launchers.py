"""The options that name a launcher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from traitlets import TraitType

from hippodrome.launch.base import Launcher
from hippodrome.launch.find import controller_launcher, engine_launcher

_ANYWHERE: Final[Mapping[str, str]] = {
    "a.b.Class": "by a launcher that can be imported from there, or another package's by its name",
}
CONTROLLER_LAUNCHERS: Final[Mapping[str, str]] = {
    "local": "as a process of this host",
    "ssh://HOST": "on another host, by ssh, through which clients and engines tunnel",
    **_ANYWHERE,
}
ENGINE_LAUNCHERS: Final[Mapping[str, str]] = {
    "local": "as processes of this host",
    "mpi": "as ranks of MPI, by mpiexec",
    "slurm": "as jobs of Slurm",
    "ssh": "on the hosts that --hosts names, by ssh",
    **_ANYWHERE,
}


class LauncherName(TraitType[Any, Any]):
    """The name of a launcher, where it is imported from, or its class."""

    info_text = "the name of a launcher, as local is, or where its class is imported from"
    default_value = "local"

    def validate(self, obj: Any, value: Any) -> Any:  # Any: what users write
        if not isinstance(value, str | type):
            self.error(obj, value)
        self.find(value)
        return value

    def find(self, name: Any) -> type[Launcher]:
        """Return the class that *name* means.

        Raises:
            LaunchError: there is none.
        """
        raise NotImplementedError

    def from_string(self, s: str) -> str:
        return s


class EngineLauncherName(LauncherName):
    """The name of a launcher of engines."""

    def find(self, name: Any) -> type[Launcher]:
        return engine_launcher(name)


class ControllerLauncherName(LauncherName):
    """The name of a launcher of controllers."""

    def find(self, name: Any) -> type[Launcher]:
        return controller_launcher(name)
