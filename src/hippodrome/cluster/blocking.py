"""The methods of `Cluster` that block: here the work is done.

What is started is what the cluster file tells of, and whatever fails leaves nothing running.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from hippodrome import paths
from hippodrome.briefly import brief_methods
from hippodrome.cluster import files
from hippodrome.cluster.atexit import stop_at_exit, stopped
from hippodrome.cluster.cells import note_start
from hippodrome.cluster.state import ClusterState
from hippodrome.errors import (
    ClusterError,
    ClusterRunningError,
    ConnectionFileError,
    LaunchError,
    UnknownNameError,
)
from hippodrome.launch.base import EngineSetLauncher, Launcher, LaunchOrder
from hippodrome.security.foreign import WHOSE, in_the_way

if TYPE_CHECKING:
    from hippodrome.client.client import Client

CONTROLLER_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 5.0


@brief_methods("__enter__")
class BlockingCluster(ClusterState):
    """Starts and stops a controller and its engines; see `Cluster`."""

    _client: Client | None = None

    def start_controller_sync(self) -> None:
        """Start the controller, and wait until peers may connect.

        Raises:
            ClusterRunningError: it runs already.
            LaunchError: it did not start; the text ends with what it wrote last.

        >>> own = ipp.Cluster()
        >>> own.start_controller_sync()
        >>> own.stop_cluster_sync()
        """
        self._refuse_running()
        with self._stopped_on_error():
            self._spawn_controller()
            self.write_cluster_file()
            self._wait_controller()

    def start_engines_sync(self, n: int | None = None, engine_set_id: str | None = None) -> str:
        """Start a set of engines, and wait until they are registered.

        Args:
            n: how many; by default the cluster's number.
            engine_set_id: what to call the set; by default the next number.

        Returns:
            the id of the set.

        Raises:
            LaunchError: they did not start; the text ends with what they wrote last.

        >>> cluster.start_engines_sync(1, "more")
        'more'
        >>> cluster.stop_engines_sync("more")
        """
        engine_set = self._spawn_engines(n, engine_set_id)
        try:
            self._wait_engines(engine_set)
        except BaseException:
            self.stop_engines_sync(engine_set)
            raise
        return engine_set

    def start_cluster_sync(self, n: int | None = None) -> Self:
        """Start the controller and one set of engines, and wait until they are registered.

        Args:
            n: how many engines; by default the cluster's number.

        Raises:
            ClusterRunningError: it runs already.
            LaunchError: something did not start; nothing is left running then.

        >>> own = ipp.Cluster(n=1).start_cluster_sync()
        >>> own.is_running
        True
        >>> own.stop_cluster_sync()
        """
        self._refuse_running()
        with self._stopped_on_error():
            engine_set = self._spawn_both(n)
            self._wait_controller()
            self._wait_engines(engine_set)
        return self

    def start_and_connect_sync(self, n: int | None = None, activate: bool = False) -> Client:
        """Start everything, connect a client, and wait for the engines.

        Args:
            n: how many engines; by default the cluster's number.
            activate: whether ``%px`` and its family run cells on these engines from now on.

        Raises:
            ClusterRunningError: it runs already.
            LaunchError: something did not start; nothing is left running then.

        >>> own = ipp.Cluster(n=2)
        >>> rc = own.start_and_connect_sync()
        >>> rc.ids
        [0, 1]
        >>> own.stop_cluster_sync()
        """
        self._refuse_running()
        with self._stopped_on_error():
            engine_set = self._spawn_both(n)
            # its modules are loaded while the processes are starting
            from hippodrome.client import client as _  # noqa: F401

            self._wait_controller()
            rc = self.connect_client_sync()
            try:
                self._wait_engines(engine_set)
                rc.wait_for_engines(self.n_ready, timeout=self.engine_timeout)
            except BaseException:
                rc.close()
                raise
        if activate:
            rc.activate()
        return rc

    def connect_client_sync(self, **options: Any) -> Client:  # Any: the client's own
        """Return a client of this cluster.

        Args:
            options: as for `hippodrome.Client`.

        Raises:
            ConnectionFileError: it does not run; the others as from `Client`.

        >>> with cluster.connect_client_sync() as rc:
        ...     rc[:].apply_sync(pow, 2, 5)
        [32]
        """
        from hippodrome.client.client import Client

        return Client(str(self.connection_file), cluster=self, **options)

    def stop_engines_sync(self, engine_set_id: str | None = None) -> None:
        """Stop a set of engines, or all of them.

        Raises:
            UnknownNameError: there is no such set.

        >>> more = cluster.start_engines_sync(1)
        >>> cluster.stop_engines_sync(more)
        """
        chosen = self._chosen(engine_set_id)
        for launcher in chosen.values():
            launcher.request_stop()
        for name, launcher in chosen.items():
            self._end(launcher)
            del self.engines[name]
        self.update_cluster_file()

    def stop_controller_sync(self) -> None:
        """Stop the controller, if it runs; its engines leave it then.

        >>> own = ipp.Cluster(n=1).start_cluster_sync()
        >>> own.stop_controller_sync()
        >>> own.is_running
        False
        >>> own.stop_cluster_sync()
        """
        if self.controller is not None:
            self._end(self.controller)
            self.controller = None
        self.update_cluster_file()

    def stop_cluster_sync(self) -> None:
        """Stop everything, and remove the cluster file; what does not stop in time is killed.

        >>> own = ipp.Cluster(n=1).start_cluster_sync()
        >>> own.stop_cluster_sync()
        >>> own.is_running
        False
        """
        launchers = self.launchers()
        for launcher in launchers:
            launcher.request_stop()
        for launcher in launchers:
            self._end(launcher)
        # what nobody could be asked about may be there still: whoever stops it again finds it
        for name in [name for name, each in self.engines.items() if not each.may_be_left]:
            del self.engines[name]
        self.controller = None
        self.update_cluster_file()
        files.clean_connection_files(self.connection_files)  # of one that had to be killed
        stopped(self)

    def restart_engines_sync(self, engine_set_id: str | None = None) -> None:
        """Stop a set of engines, or all, and start as many again under the same set id.

        Raises:
            UnknownNameError: there is no such set.
            LaunchError: they did not start again.

        >>> own = ipp.Cluster(n=1).start_cluster_sync()
        >>> own.restart_engines_sync()
        >>> own.stop_cluster_sync()
        """
        sizes = {name: launcher.n for name, launcher in self._chosen(engine_set_id).items()}
        self.stop_engines_sync(engine_set_id)
        for name, n in sizes.items():
            self._spawn_engines(n, name)
        for name in sizes:
            try:
                self._wait_engines(name)
            except BaseException:
                self.stop_engines_sync(name)
                raise

    def signal_engines_sync(self, signum: int, engine_set_id: str | None = None) -> None:
        """Deliver a signal to each engine of a set, or to all.

        Raises:
            UnknownNameError: there is no such set.

        >>> import signal
        >>> cluster.signal_engines_sync(signal.SIGCONT)
        """
        for launcher in self._chosen(engine_set_id).values():
            # what is elsewhere is reached by who started it in a roundabout way, and not alone
            if not (launcher.engine_ids and self._is_passed_on(signum, launcher.engine_ids)):
                launcher.signal(signum)

    def submissions(self, n: int | None = None) -> dict[str, str]:
        """Return what starting would submit: each command, and the text that it submits.

        Nothing is written, and nothing is run. It is empty where nothing is submitted, as on this
        host.

        Args:
            n: how many engines; by default the cluster's number.

        >>> [command] = ipp.Cluster(engines="slurm", n=4, time="1h").submissions()
        >>> command.split()[:2]
        ['sbatch', '--parsable']
        """
        return self._engine_launcher(self.n if n is None else n, "0").submissions()

    def script(self, n: int | None = None) -> str:
        """Return the script that starting would submit, of the first job of several.

        Args:
            n: how many engines; by default the cluster's number.

        Raises:
            LaunchError: nothing would be submitted.

        >>> script = ipp.Cluster(engines="slurm", n=4, time="1h").script()
        >>> "#SBATCH --time=01:00:00" in script.splitlines()
        True
        """
        for text in self.submissions(n).values():
            return text
        name = self.engine_launcher_class.name
        raise LaunchError(f"engines={name!r} submits no script: it starts ipengine itself")

    def _is_passed_on(self, signum: int, engines: Collection[int]) -> bool:
        """Have the controller pass a signal on; return whether it has taken it."""
        from hippodrome.cluster.asking import line_to

        try:
            with line_to(self.connection_file) as line:
                there = [engine for engine in line.engines if engine in engines]
                line.ask("signal", targets=there, signum=signum)
        except ClusterError:
            return False
        return True

    def __enter__(self) -> Client:
        self._client = self.start_and_connect_sync()
        return self._client

    def __exit__(self, *exc_info: object) -> None:
        client, self._client = self._client, None
        try:
            if client is not None:
                client.close()
        finally:
            self.stop_cluster_sync()

    def _spawn_both(self, n: int | None) -> str:
        """Start both at once: the engines wait for the controller's connection file."""
        self._spawn_controller()
        return self._spawn_engines(n, None)

    def _refuse_running(self) -> None:
        """Make sure that neither this cluster runs, nor one of its name that was started elsewhere.

        Raises:
            ClusterRunningError: it does.
        """
        runs = self.is_running
        if foreign := in_the_way(Path(self.profile_dir, "security"), self.cluster_id):
            raise ClusterRunningError(f"{foreign} {WHOSE}")
        if not (runs or self.has_own_id):
            with contextlib.suppress(ConnectionFileError):
                runs = self.from_file(self.cluster_file).has_processes
        if runs:
            raise ClusterRunningError(
                f"the cluster of {self.cluster_file} runs already: "
                "use Cluster.from_file, or another cluster_id"
            )

    def _spawn_controller(self) -> None:
        address = self.controller_ip or "*" * self.engine_launcher_class.needs_port(
            self.engine_options
        )
        options = [f"--ip={address}"] if address else []
        options += reached_by(address, self.engine_options.get("hosts"))
        if self.controller_location:
            options.append(f"--location={self.controller_location}")
        self._prepare()
        arguments = (*self._log_options(), *options, *self.controller_args)
        launcher = self.controller_launcher_class(self._order(arguments))
        launcher.start()
        self.controller = launcher
        note_start(self)

    def _spawn_engines(self, n: int | None, engine_set_id: str | None) -> str:
        name = engine_set_id or next(str(i) for i in count() if str(i) not in self.engines)
        if name in self.engines:
            raise UnknownNameError(f"there is an engine set {name!r} already")
        size = self.n if n is None else n
        if size < 1 and self.engine_launcher_class.knows_n:
            raise ClusterError(f"a set of {size} engines makes no sense: n must be 1 or more")
        self._prepare()
        launcher = self._engine_launcher(size, name)
        launcher.start()
        self.engines[name] = launcher
        self.write_cluster_file()
        return name

    def _engine_launcher(self, n: int, engine_set: str) -> EngineSetLauncher:
        arguments = (*self._log_options(), *self.engine_args)
        return self.engine_launcher_class(self._order(arguments, n, engine_set))

    def _prepare(self) -> None:
        paths.profile_dir(None, self.profile_dir)
        if self.shutdown_atexit:
            stop_at_exit(self)

    def _order(self, arguments: tuple[str, ...], n: int = 1, engine_set: str = "") -> LaunchOrder:
        return LaunchOrder(
            Path(self.profile_dir),
            self.cluster_id,
            arguments,
            self.shutdown_atexit,
            n,
            engine_set,
            self.engine_timeout,
            self.engine_options if engine_set else {},
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
        launcher = self.engines[engine_set]
        launcher.tell = self.tell
        launcher.wait_ready(self.engine_timeout)

    def _chosen(self, engine_set_id: str | None) -> dict[str, EngineSetLauncher]:
        if engine_set_id is None:
            return dict(self.engines)
        if engine_set_id not in self.engines:
            known = ", ".join(self.engines) or "none"
            raise UnknownNameError(f"there is no engine set {engine_set_id!r}; there are: {known}")
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


def reached_by(address: str, hosts: Any) -> list[str]:  # Any: as the launcher takes them
    """Return what a controller is told that is to listen where *hosts* are reached."""
    if "auto" not in address.split(",") or not hosts:
        return []
    names = hosts.split(",") if isinstance(hosts, str) else hosts
    return [f"--reached-by={','.join(str(name).strip() for name in names)}"]
