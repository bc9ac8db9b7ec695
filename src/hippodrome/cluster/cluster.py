"""`Cluster`: one controller and its engines, started and stopped together.

Every method is a coroutine and has a twin that blocks, ``<name>_sync``. The twin does the work;
the coroutine runs it in a thread, so that neither needs an event loop inside another.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from hippodrome.briefly import brief_methods
from hippodrome.cluster.blocking import BlockingCluster
from hippodrome.cluster.in_thread import in_thread
from hippodrome.lazy import loader

if TYPE_CHECKING:
    from collections.abc import Callable

    from hippodrome.client.client import Client
    from hippodrome.cluster.manager import ClusterManager as ClusterManager
    from hippodrome.cluster.manager import clean_cluster_files as clean_cluster_files

# Programs import them from here too.
_HOMES = dict.fromkeys(("ClusterManager", "clean_cluster_files"), "hippodrome.cluster.manager")
__getattr__: Callable[[str], Any] = loader(__name__, _HOMES)


@brief_methods()
class Cluster(BlockingCluster):
    """A controller and its engines.

    As a context manager, with or without ``async``, it starts them, connects a client, waits for
    the engines, and stops everything at the end::

        with Cluster(n=4) as rc:
            rc[:].apply_sync(os.getpid)

    The arguments are those of `ClusterState`. A coroutine that is cancelled ends once its work has,
    as a thread cannot be interrupted; then what it has started is stopped.

    >>> with ipp.Cluster(n=2) as rc:
    ...     rc[:].apply_sync(pow, 2, 5)
    [32, 32]
    """

    @classmethod
    def here(cls, n: int | str = "auto", *, least: int = 0, **options: Any) -> Cluster:
        """Return the cluster of all hosts that are ours, to be entered.

        In a job of a batch system these are the job's hosts, and this one alone without a job. In
        what ``mpirun`` or ``srun`` has started several times, the first process has the cluster,
        and the others serve it, until it ends and they do. In a program that ``ipcluster run`` has
        started it is the cluster that runs.

        Args:
            n: how many engines on each host; ``"auto"`` is one for each core that is ours there.
            least: how many engines are enough to begin with; 0 waits for all.
            options: as for `Cluster`.

        Raises:
            ClusterError: what the environment says of the job makes no sense.

        >>> with ipp.Cluster.here(n=2) as rc:
        ...     rc[:].apply_sync(pow, 2, 5)
        [32, 32]
        """
        from hippodrome.cluster.here import HereCluster  # which few need

        return HereCluster(n=n, least=least, **options)

    async def start_controller(self) -> None:
        """Start the controller as `start_controller_sync` does, without blocking.

        >>> own = ipp.Cluster()
        >>> await own.start_controller()
        >>> await own.stop_cluster()
        """
        await in_thread(self.start_controller_sync, self._stop_again)

    async def start_engines(self, n: int | None = None, engine_set_id: str | None = None) -> str:
        """Start a set of engines as `start_engines_sync` does, without blocking.

        >>> await cluster.start_engines(1, "more")
        'more'
        >>> await cluster.stop_engines("more")
        """
        start = partial(self.start_engines_sync, n, engine_set_id)
        return await in_thread(start, self.stop_engines_sync)

    async def start_cluster(self, n: int | None = None) -> Self:
        """Start controller and engines as `start_cluster_sync` does, without blocking.

        >>> own = await ipp.Cluster(n=1).start_cluster()
        >>> await own.stop_cluster()
        """
        return await in_thread(partial(self.start_cluster_sync, n), self._stop_again)

    async def start_and_connect(self, n: int | None = None, activate: bool = False) -> Client:
        """Start everything and connect as `start_and_connect_sync` does, without blocking.

        >>> own = ipp.Cluster(n=2)
        >>> rc = await own.start_and_connect()
        >>> rc.ids
        [0, 1]
        >>> await own.stop_cluster()
        """
        start = partial(self.start_and_connect_sync, n, activate)
        return await in_thread(start, self._leave_and_stop)

    async def connect_client(self, **options: Any) -> Client:  # Any: the client's own
        """Return a client of this cluster as `connect_client_sync` does, without blocking.

        >>> rc = await cluster.connect_client()
        >>> await rc[:].apply_async(pow, 2, 5)
        [32]
        """
        return await in_thread(partial(self.connect_client_sync, **options), _leave)

    async def stop_engines(self, engine_set_id: str | None = None) -> None:
        """Stop a set of engines, or all, as `stop_engines_sync` does, without blocking.

        >>> more = await cluster.start_engines(1)
        >>> await cluster.stop_engines(more)
        """
        await in_thread(partial(self.stop_engines_sync, engine_set_id))

    async def stop_controller(self) -> None:
        """Stop the controller as `stop_controller_sync` does, without blocking.

        >>> own = await ipp.Cluster(n=1).start_cluster()
        >>> await own.stop_controller()
        >>> await own.stop_cluster()
        """
        await in_thread(self.stop_controller_sync)

    async def stop_cluster(self) -> None:
        """Stop everything as `stop_cluster_sync` does, without blocking.

        >>> own = await ipp.Cluster(n=1).start_cluster()
        >>> await own.stop_cluster()
        """
        await in_thread(self.stop_cluster_sync)

    async def restart_engines(self, engine_set_id: str | None = None) -> None:
        """Start engines again as `restart_engines_sync` does, without blocking.

        >>> own = await ipp.Cluster(n=1).start_cluster()
        >>> await own.restart_engines()
        >>> await own.stop_cluster()
        """
        await in_thread(partial(self.restart_engines_sync, engine_set_id))

    async def signal_engines(self, signum: int, engine_set_id: str | None = None) -> None:
        """Deliver a signal as `signal_engines_sync` does, without blocking.

        >>> import signal
        >>> await cluster.signal_engines(signal.SIGCONT)
        """
        await in_thread(partial(self.signal_engines_sync, signum, engine_set_id))

    async def __aenter__(self) -> Client:
        return await in_thread(self.__enter__, lambda _: self.__exit__(None, None, None))

    async def __aexit__(self, *exc_info: object) -> None:
        await in_thread(partial(self.__exit__, *exc_info))

    def _stop_again(self, _: object) -> None:
        self.stop_cluster_sync()

    def _leave_and_stop(self, client: Client) -> None:
        _leave(client)
        self.stop_cluster_sync()


def _leave(client: Client) -> None:
    client.close()
