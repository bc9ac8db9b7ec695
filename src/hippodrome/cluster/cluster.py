"""`Cluster`: one controller and its engines, started and stopped together.

Every method is a coroutine and has a twin that blocks, ``<name>_sync``. The twin does the work;
the coroutine runs it in a thread, so that neither needs an event loop inside another.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from hippodrome.cluster import files
from hippodrome.cluster.atexit import stop_at_exit, stopped
from hippodrome.cluster.twins import in_thread
from hippodrome.errors import ClusterError
from hippodrome.launch.base import ControllerLauncher, EngineSetLauncher, Launcher, Order
from hippodrome.launch.find import controller_launcher, engine_launcher
from hippodrome.security import paths
from hippodrome.security.connection_file import client_file

if TYPE_CHECKING:
    from hippodrome.client.client import Client

CONTROLLER_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 5.0


class Cluster:
    """A controller and its engines.

    As a context manager, with or without ``async``, it starts them, connects a client, waits for
    the engines, and stops everything at the end::

        with Cluster(n=4) as rc:
            rc[:].apply_sync(os.getpid)

    Args:
        n: how many engines; by default one for each core that this process may use.
        profile: name of the IPython profile.
        profile_dir: path of the profile; wins over *profile*.
        ipython_dir: IPython's directory.
        cluster_id: tells clusters of one profile apart; by default a new one.
        cluster_file: where to keep which processes belong to it; by default in the profile.
        engines: name or class of the launcher of engines.
        controller: name or class of the launcher of the controller.
        engine_args: further options for ``ipengine``.
        controller_args: further options for ``ipcontroller``.
        controller_ip: address for the controller to listen on; by default this host only.
        controller_location: how other hosts reach the controller.
        engine_timeout: how long to wait for engines, in seconds.
        shutdown_atexit: whether everything ends with this process, however that ends.
        log_level: what controller and engines log, by name or number.
    """

    def __init__(
        self,
        *,
        n: int | None = None,
        profile: str = "",
        profile_dir: str | Path | None = None,
        ipython_dir: str | Path | None = None,
        cluster_id: str | None = None,
        cluster_file: str | Path | None = None,
        engines: str | type[EngineSetLauncher] = "local",
        controller: str | type[ControllerLauncher] = "local",
        engine_args: Sequence[str] = (),
        controller_args: Sequence[str] = (),
        controller_ip: str = "",
        controller_location: str = "",
        engine_timeout: float = 60.0,
        shutdown_atexit: bool = True,
        log_level: str | int = "INFO",
    ) -> None:
        self.n = count_cores() if n is None else n
        self.profile = profile
        self.profile_dir = paths.find_profile_dir(profile, profile_dir, ipython_dir)
        self.has_own_id = cluster_id is None
        self.cluster_id = new_cluster_id() if cluster_id is None else cluster_id
        default_file = files.cluster_file(self.profile_dir / "security", self.cluster_id)
        self.cluster_file = Path(cluster_file).expanduser() if cluster_file else default_file
        self.engine_launcher_class = engine_launcher(engines)
        self.controller_launcher_class = controller_launcher(controller)
        self.engine_args = list(engine_args)
        self.controller_args = list(controller_args)
        self.controller_ip = controller_ip
        self.controller_location = controller_location
        self.engine_timeout = engine_timeout
        self.shutdown_atexit = shutdown_atexit
        self.log_level = log_level
        self.controller: ControllerLauncher | None = None
        self.engines: dict[str, EngineSetLauncher] = {}
        self._client: Client | None = None

    def __repr__(self) -> str:
        running = "running" if self.is_running else "stopped"
        return (
            f"<Cluster(cluster_id={self.cluster_id!r}, profile_dir={str(self.profile_dir)!r}, "
            f"n={self.n}, {running})>"
        )

    @property
    def engine_set(self) -> EngineSetLauncher | None:
        """The first set of engines, if any has been started."""
        return next(iter(self.engines.values()), None)

    @property
    def is_running(self) -> bool:
        """Whether its controller runs."""
        return self.controller is not None and self.controller.poll() is None

    @property
    def has_processes(self) -> bool:
        """Whether any of its processes runs."""
        return any(launcher.poll() is None for launcher in self._launchers())

    @property
    def connection_file(self) -> Path:
        """The connection file for clients."""
        return client_file(self.profile_dir / "security", self.cluster_id)

    # ------------------------------------------------------------ start

    def start_controller_sync(self) -> None:
        """Start the controller, and wait until peers may connect.

        Raises:
            LaunchError: it did not start; the text ends with what it wrote last.
        """
        self._spawn_controller()
        self._wait_controller()

    start_controller = in_thread(start_controller_sync)

    def start_engines_sync(self, n: int | None = None, engine_set_id: str | None = None) -> str:
        """Start a set of engines, and wait until they are registered.

        Args:
            n: how many; by default the cluster's number.
            engine_set_id: what to call the set; by default the next number.

        Returns:
            the id of the set.

        Raises:
            LaunchError: they did not start; the text ends with what they wrote last.
        """
        engine_set = self._spawn_engines(n, engine_set_id)
        self._wait_engines(engine_set)
        return engine_set

    start_engines = in_thread(start_engines_sync)

    def start_cluster_sync(self, n: int | None = None) -> Self:
        """Start the controller and one set of engines, and wait until they are registered.

        Args:
            n: how many engines; by default the cluster's number.

        Raises:
            LaunchError: something did not start; nothing is left running then.
        """
        with self._stopped_on_error():
            engine_set = self._spawn_both(n)
            self._wait_controller()
            self._wait_engines(engine_set)
        return self

    start_cluster = in_thread(start_cluster_sync)

    def start_and_connect_sync(self, n: int | None = None) -> Client:
        """Start everything, connect a client, and wait for the engines.

        Args:
            n: how many engines; by default the cluster's number.

        Raises:
            LaunchError: something did not start; nothing is left running then.
        """
        with self._stopped_on_error():
            engine_set = self._spawn_both(n)
            # its modules are loaded while the processes are starting
            from hippodrome.client import client as _  # noqa: F401

            self._wait_controller()
            rc = self.connect_client_sync()
            try:
                self._wait_engines(engine_set)
                rc.wait_for_engines(self._count_engines(), timeout=self.engine_timeout)
            except BaseException:
                rc.close()
                raise
        return rc

    start_and_connect = in_thread(start_and_connect_sync)

    def connect_client_sync(self, **options: Any) -> Client:  # Any: the client's own
        """Return a client of this cluster.

        Args:
            options: as for `hippodrome.Client`.
        """
        from hippodrome.client.client import Client

        return Client(str(self.connection_file), cluster=self, **options)

    connect_client = in_thread(connect_client_sync)

    # ------------------------------------------------------------ stop

    def stop_engines_sync(self, engine_set_id: str | None = None) -> None:
        """Stop a set of engines, or all of them.

        Raises:
            ClusterError: there is no such set.
        """
        chosen = self._chosen(engine_set_id)
        for launcher in chosen.values():
            launcher.request_stop()
        for name, launcher in chosen.items():
            self._end(launcher)
            del self.engines[name]
        self.update_cluster_file()

    stop_engines = in_thread(stop_engines_sync)

    def stop_controller_sync(self) -> None:
        """Stop the controller, if it runs; its engines leave it then."""
        if self.controller is not None:
            self._end(self.controller)
            self.controller = None
        self.update_cluster_file()

    stop_controller = in_thread(stop_controller_sync)

    def stop_cluster_sync(self) -> None:
        """Stop everything, and remove the cluster file; what does not stop in time is killed."""
        launchers = self._launchers()
        for launcher in launchers:
            launcher.request_stop()
        for launcher in launchers:
            self._end(launcher)
        self.engines.clear()
        self.controller = None
        self.remove_cluster_file()
        stopped(self)

    stop_cluster = in_thread(stop_cluster_sync)

    def restart_engines_sync(self, engine_set_id: str | None = None) -> None:
        """Stop a set of engines, or all, and start as many again under the same set id.

        Raises:
            ClusterError: there is no such set.
            LaunchError: they did not start again.
        """
        sizes = {name: launcher.n for name, launcher in self._chosen(engine_set_id).items()}
        self.stop_engines_sync(engine_set_id)
        for name, n in sizes.items():
            self._spawn_engines(n, name)
        for name in sizes:
            self._wait_engines(name)

    restart_engines = in_thread(restart_engines_sync)

    def signal_engines_sync(self, signum: int, engine_set_id: str | None = None) -> None:
        """Deliver a signal to each engine of a set, or to all.

        Raises:
            ClusterError: there is no such set.
        """
        for launcher in self._chosen(engine_set_id).values():
            launcher.signal(signum)

    signal_engines = in_thread(signal_engines_sync)

    # ------------------------------------------------------------ state

    def to_dict(self) -> dict[str, Any]:  # Any: whatever JSON may hold
        """Return what `from_dict` needs to find the running processes again."""
        return {
            "cluster": {
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
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return the cluster that `to_dict` described; it does not end with this process."""
        cluster = cls(**state["cluster"], shutdown_atexit=False)
        if controller := state.get("controller"):
            kind = controller_launcher(controller["launcher"])
            cluster.controller = kind.from_dict(controller)
        for name, engines in state.get("engines", {}).items():
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
    ) -> Self:
        """Return a cluster that was started elsewhere, as its file describes it.

        Args:
            cluster_file: the file; by default the one of the profile and *cluster_id*.
            profile: as for `Cluster`.
            profile_dir: as for `Cluster`.
            cluster_id: as for `Cluster`; empty for the default cluster.

        Raises:
            ConnectionFileError: there is no such file, or it is damaged or open to others.
        """
        directory = paths.find_profile_dir(profile, profile_dir)
        default = files.cluster_file(directory / "security", cluster_id)
        path = Path(cluster_file).expanduser() if cluster_file else default
        state = files.load(path)
        try:
            cluster = cls.from_dict(state)
        except (KeyError, TypeError, ValueError) as error:
            raise ClusterError(f"the cluster file {path} is damaged: {error!r}") from error
        cluster.cluster_file = path
        return cluster

    def write_cluster_file(self) -> None:
        """Write which processes belong to this cluster."""
        files.save(self.cluster_file, self.to_dict())

    def update_cluster_file(self) -> None:
        """Write the file if anything runs, else remove it."""
        if self.controller is not None or self.engines:
            self.write_cluster_file()
        else:
            self.remove_cluster_file()

    def remove_cluster_file(self) -> None:
        """Remove the file if it is there."""
        with contextlib.suppress(OSError):
            self.cluster_file.unlink(missing_ok=True)

    # ------------------------------------------------------------ with

    def __enter__(self) -> Client:
        self._client = self.start_and_connect_sync()
        return self._client

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        client, self._client = self._client, None
        try:
            if client is not None:
                client.close()
        finally:
            self.stop_cluster_sync()

    async def __aenter__(self) -> Client:
        return await in_thread(self.__enter__)()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await in_thread(self.__exit__)(kind, error, traceback)

    # ------------------------------------------------------------ inside

    def _spawn_both(self, n: int | None) -> str:
        """Start both at once: the engines wait for the controller's connection file."""
        self._spawn_controller()
        return self._spawn_engines(n, None)

    def _spawn_controller(self) -> None:
        if self.is_running:
            raise ClusterError(f"the controller of {self.cluster_id!r} runs already")
        options = [f"--ip={self.controller_ip}"] if self.controller_ip else []
        if self.controller_location:
            options.append(f"--location={self.controller_location}")
        self._prepare()
        arguments = (*self._log_options(), *options, *self.controller_args)
        launcher = self.controller_launcher_class(self._order(arguments))
        launcher.start()
        self.controller = launcher

    def _spawn_engines(self, n: int | None, engine_set_id: str | None) -> str:
        name = engine_set_id or next(str(i) for i in count() if str(i) not in self.engines)
        if name in self.engines:
            raise ClusterError(f"there is an engine set {name!r} already")
        size = self.n if n is None else n
        if size < 1:
            raise ClusterError(f"a set of {size} engines makes no sense: n must be 1 or more")
        self._prepare()
        arguments = (*self._log_options(), *self.engine_args)
        launcher = self.engine_launcher_class(self._order(arguments, size, name))
        launcher.start()
        self.engines[name] = launcher
        self.write_cluster_file()
        return name

    def _prepare(self) -> None:
        paths.profile_dir(None, self.profile_dir)
        if self.shutdown_atexit:
            stop_at_exit(self)

    def _order(self, arguments: tuple[str, ...], n: int = 1, engine_set: str = "") -> Order:
        return Order(
            self.profile_dir,
            self.cluster_id,
            arguments,
            self.shutdown_atexit,
            n,
            engine_set,
            self.engine_timeout,
        )

    def _log_options(self) -> list[str]:
        if isinstance(self.log_level, str):
            return [f"--log-level={self.log_level}"]
        import logging

        return [f"--log-level={logging.getLevelName(self.log_level)}"]

    def _wait_controller(self) -> None:
        assert self.controller is not None
        self.controller.wait_ready(CONTROLLER_TIMEOUT_S)

    def _wait_engines(self, engine_set: str) -> None:
        self.engines[engine_set].wait_ready(self.engine_timeout)

    def _launchers(self) -> list[Launcher]:
        """Return everything that was started, in the order in which it should end."""
        controllers = [] if self.controller is None else [self.controller]
        return [*self.engines.values(), *controllers]

    def _count_engines(self) -> int:
        return sum(launcher.n for launcher in self.engines.values())

    def _chosen(self, engine_set_id: str | None) -> dict[str, EngineSetLauncher]:
        if engine_set_id is None:
            return dict(self.engines)
        if engine_set_id not in self.engines:
            known = ", ".join(self.engines) or "none"
            raise ClusterError(f"there is no engine set {engine_set_id!r}; there are: {known}")
        return {engine_set_id: self.engines[engine_set_id]}

    def _end(self, launcher: Launcher) -> None:
        """Stop one process; its log is kept if it ended badly, or belongs to a named cluster."""
        if launcher.stop(STOP_TIMEOUT_S) == 0 and self.has_own_id:
            launcher.forget_output()

    @contextlib.contextmanager
    def _stopped_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.stop_cluster_sync()
            raise


def count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def new_cluster_id() -> str:
    """Return an id that no other cluster has."""
    return f"{int(time.time())}-{os.urandom(2).hex()}"
