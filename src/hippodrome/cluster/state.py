"""A cluster has options, processes, and a file that tells of them."""

from __future__ import annotations

import contextlib
import logging
import operator
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from hippodrome import paths
from hippodrome.briefly import brief_methods
from hippodrome.client.hints import Hinting, by_keyword, by_name
from hippodrome.cluster import files
from hippodrome.errors import ClusterError
from hippodrome.launch.base import ControllerLauncher, EngineSetLauncher, Launcher
from hippodrome.launch.find import controller_launcher, engine_launcher
from hippodrome.launch.options import AUTO, read_options
from hippodrome.live import Live
from hippodrome.paths import PathText
from hippodrome.security.connection_file import client_file, engine_file

log: logging.Logger = logging.getLogger(__name__)


@brief_methods("__init__")
class ClusterState(Hinting, Live):
    """One controller and its engines, as far as known here.

    Args:
        n: how many engines; by default, and with ``"auto"``, one for each core that is ours:
            by affinity, by quota, and by what a batch system said.
        profile: name of the IPython profile.
        profile_dir: path of the profile; wins over *profile*.
        ipython_dir: IPython's directory.
        cluster_id: tells clusters of one profile apart; by default a new one.
        cluster_file: where to keep which processes belong to it; by default in the profile.
        engines: name or class of the launcher of engines.
        controller: name or class of the launcher of the controller.
        engine_launcher_class: another name of *engines*.
        controller_launcher_class: another name of *controller*.
        engine_args: further options for ``ipengine``.
        controller_args: further options for ``ipcontroller``.
        controller_ip: address for the controller to listen on; by default this host only.
        controller_location: how other hosts reach the controller.
        engine_timeout: how long to wait for engines, in seconds.
        shutdown_atexit: whether everything ends with this process, however that ends.
        log_level: what controller and engines log, by name or number.
        delay: accepted: nothing has to be waited for between controller and engines.
        load_profile: accepted: the profile's ``ipcluster_config.py`` is for ``ipcluster``.
        send_engines_connection_env: accepted: engines read their connection file.
        options: those of the launcher of engines, as *jobs* and *time* are of ``"slurm"``.

    Attributes:
        controller: what started the controller, None if it has not been started.
        engines: what started each set of engines, by the set's id.
        engine_options: what the launcher of engines is told, as it has been read.
        profile_dir: the path of its profile, text that has what a `Path` has too.
        cluster_file: the path of its file, likewise.
        has_own_id: whether the cluster id was made up here.
        tell: takes a sentence now and then while engines take long to start.
    """

    profile_dir: PathText
    cluster_file: PathText
    engine_launcher_class: type[EngineSetLauncher]

    @by_name("Cluster(n=4)")
    def __init__(
        self,
        *,
        n: int | str | None = None,
        profile: str = "",
        profile_dir: str | Path | None = None,
        ipython_dir: str | Path | None = None,
        cluster_id: str | None = None,
        cluster_file: str | Path | None = None,
        engines: str | type[EngineSetLauncher] = "local",
        controller: str | type[ControllerLauncher] = "local",
        engine_launcher_class: str | type[EngineSetLauncher] | None = None,
        controller_launcher_class: str | type[ControllerLauncher] | None = None,
        engine_args: Sequence[str] = (),
        controller_args: Sequence[str] = (),
        controller_ip: str = "",
        controller_location: str = "",
        engine_timeout: float = 60.0,
        shutdown_atexit: bool = True,
        log_level: str | int = "INFO",
        delay: float = 1.0,
        load_profile: bool = True,
        send_engines_connection_env: bool = True,
        **options: Any,
    ) -> None:
        self.profile = profile
        self.profile_dir = PathText(paths.find_profile_dir(profile, profile_dir, ipython_dir))
        self.has_own_id: bool = cluster_id is None
        self.cluster_id: str = new_cluster_id() if cluster_id is None else cluster_id
        default_file = files.cluster_file(self.profile_dir / "security", self.cluster_id)
        self.cluster_file = PathText(Path(cluster_file or default_file).expanduser())
        self.engine_launcher_class = engine_launcher(engine_launcher_class or engines)
        self.engine_options: dict[str, Any] = _read_options(self.engine_launcher_class, options)
        self.n: int = self.engine_launcher_class.count(_count(n), self.engine_options)
        self.controller_launcher_class: type[ControllerLauncher] = controller_launcher(
            controller_launcher_class or controller
        )
        self.engine_args: list[str] = list(engine_args)
        self.controller_args: list[str] = list(controller_args)
        self.controller_ip = controller_ip
        self.controller_location = controller_location
        self.engine_timeout = engine_timeout
        self.shutdown_atexit = shutdown_atexit
        self.log_level = log_level
        self.delay = delay
        self.load_profile = load_profile
        self.send_engines_connection_env = send_engines_connection_env
        self.controller: ControllerLauncher | None = None
        self.engines: dict[str, EngineSetLauncher] = {}
        self.tell: Callable[[str], None] = log.warning
        self._is_made = True

    def __repr__(self) -> str:
        running = "running" if self.is_running else "stopped"
        return (
            f"<{type(self).__name__}(cluster_id={self.cluster_id!r}, "
            f"profile_dir={str(self.profile_dir)!r}, n={self.n}, {running})>"
        )

    def _repr_html_(self) -> str:
        from hippodrome.cluster.looks import of_cluster

        return of_cluster(self)

    @property
    def engine_set(self) -> EngineSetLauncher | None:
        """The first set of engines, if any has been started.

        >>> cluster.engine_set.n
        1
        """
        return next(iter(self.engines.values()), None)

    @property
    def n_ready(self) -> int:
        """How many engines there were when they had been waited for, as far as anybody knows.

        >>> cluster.n_ready
        1
        """
        known = [(launcher.n_ready, launcher.n) for launcher in self.engines.values()]
        return sum(n if n_ready is None else n_ready for n_ready, n in known)

    @property
    def launched(self) -> str:
        """How far jobs and other hosts are that run its engines; empty if all run on this host.

        >>> cluster.launched
        ''
        """
        from hippodrome.cluster.launched import in_words

        return in_words(self.engines)

    @property
    def is_running(self) -> bool:
        """Whether its controller runs.

        >>> cluster.is_running
        True
        """
        return self.controller is not None and self.controller.poll() is None

    @property
    def has_processes(self) -> bool:
        """Whether any of its processes runs.

        >>> cluster.has_processes
        True
        """
        return any(launcher.poll() is None for launcher in self.launchers())

    @property
    def connection_file(self) -> Path:
        """The connection file for clients.

        >>> cluster.connection_file.name
        'ipcontroller-...-client.json'
        """
        return self.connection_files[0]

    @property
    def connection_files(self) -> tuple[Path, Path]:
        """The connection files, for clients and for engines.

        >>> [file.name for file in cluster.connection_files]
        ['ipcontroller-...-client.json', 'ipcontroller-...-engine.json']
        """
        directory = Path(self.profile_dir, "security")
        return client_file(directory, self.cluster_id), engine_file(directory, self.cluster_id)

    def to_dict(self) -> dict[str, Any]:  # Any: whatever JSON may hold
        """Return what `from_dict` needs to find the running processes again.

        >>> ipp.Cluster.from_dict(cluster.to_dict()).is_running
        True
        """
        name = self.engine_launcher_class.name
        return {
            "cluster": {
                **({"engines": name, **self.engine_options} if self.engine_options else {}),
                "cluster_id": self.cluster_id,
                "profile": self.profile,
                "profile_dir": str(self.profile_dir),
                "cluster_file": str(self.cluster_file),
                "n": self.n,
            },
            "controller": self.controller and self.controller.to_dict(),
            "engines": {name: launcher.to_dict() for name, launcher in self.engines.items()},
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], **options: Any) -> Self:
        """Return the cluster that `to_dict` described; it does not end with this process.

        Args:
            d: the description.
            **options: as for `Cluster`, in place of what is described.

        >>> ipp.Cluster.from_dict(cluster.to_dict()).is_running
        True
        """
        cluster = cls(**{**d["cluster"], "shutdown_atexit": False, **options})
        if controller := d.get("controller"):
            kind = controller_launcher(controller["launcher"])
            cluster.controller = kind.from_dict(controller)
        for name, engines in d.get("engines", {}).items():
            cluster.engines[name] = engine_launcher(engines["launcher"]).from_dict(engines)
        return cluster

    @classmethod
    def from_file(
        cls,
        cluster_file: str | Path | None = None,
        *,
        profile: str = "",
        profile_dir: str | Path | None = None,
        cluster_id: str = "",
        log_level: str | int = "INFO",
    ) -> Self:
        """Return a cluster that was started elsewhere, as its file describes it.

        Args:
            cluster_file: the file; by default the one of the profile and *cluster_id*.
            profile: as for `Cluster`.
            profile_dir: as for `Cluster`.
            cluster_id: as for `Cluster`; empty for the default cluster.
            log_level: as for `Cluster`, for engines that this object will start.

        Raises:
            MissingFileError: there is no such file.
            ConnectionFileError: it is damaged or open to others.

        >>> ipp.Cluster.from_file(cluster.cluster_file).is_running
        True
        """
        directory = paths.find_profile_dir(profile, profile_dir)
        default = files.cluster_file(directory / "security", cluster_id)
        path = Path(cluster_file).expanduser() if cluster_file else default
        state = files.load(path)
        try:
            cluster = cls.from_dict(state)
        except (KeyError, TypeError, ValueError) as error:
            raise ClusterError(f"the cluster file {path} is damaged: {error!r}") from error
        cluster.cluster_file = PathText(path)
        cluster.log_level = log_level
        return cluster

    def write_cluster_file(self) -> None:
        """Write which processes belong to this cluster.

        >>> cluster.write_cluster_file()
        >>> ipp.Cluster.from_file(cluster.cluster_file).n
        1
        """
        files.save(Path(self.cluster_file), self.to_dict())

    def update_cluster_file(self) -> None:
        """Write the file if anything runs, else remove it.

        >>> cluster.update_cluster_file()
        """
        if self.controller is not None or self.engines:
            self.write_cluster_file()
        else:
            self.remove_cluster_file()

    def remove_cluster_file(self) -> None:
        """Remove the file if it is there.

        >>> cluster.remove_cluster_file()
        >>> cluster.write_cluster_file()
        """
        with contextlib.suppress(OSError):
            Path(self.cluster_file).unlink(missing_ok=True)

    def launchers(self) -> list[Launcher]:
        """Return everything that was started, in the order in which it should end.

        >>> len(cluster.launchers())
        2
        """
        controllers = [] if self.controller is None else [self.controller]
        return [*self.engines.values(), *controllers]


def count_cores() -> int:
    """Return how many cores are ours: by affinity, by quota, by what a batch system said."""
    from hippodrome.launch.cores import usable_cores  # which few need

    return usable_cores()


def _count(n: int | str | None) -> int | None:
    """Return how many engines are wanted; None for as many as whoever runs them says."""
    if n is None or n == AUTO:
        return None
    try:
        number = operator.index(n)  # type: ignore[arg-type]  # a text is an error, too
    except TypeError:
        raise TypeError(f"n is how many engines to start, or {AUTO!r}, not {n!r:.60}") from None
    if number < 0:
        raise ValueError(f"n is how many engines to start, and cannot be {number}")
    return number


def _read_options(kind: type[EngineSetLauncher], given: Mapping[str, Any]) -> dict[str, Any]:
    others = by_keyword(ClusterState.__init__)
    return read_options(kind.name or kind.__name__, kind.OPTIONS, given, others=others)


def new_cluster_id() -> str:
    """Return an id that no other cluster has."""
    return f"{int(time.time())}-{os.urandom(2).hex()}"
