"""The clusters that a Jupyter server knows: those made through it, and those of cluster files.

Whatever changes a cluster holds the lock of its key, so that of two that come at once, one is
first and the other finds what it did. Everything that may block runs in a thread. Clusters that
are to end with the server do so as those of any process: `hippodrome.cluster.atexit`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final  # Any: fields of records
from weakref import WeakValueDictionary

import msgspec

from hippodrome.cluster.cluster import Cluster
from hippodrome.cluster.manager import ClusterManager, cluster_key
from hippodrome.errors import ClusterError
from hippodrome.jupyter.messages import (
    ClusterInfo,
    ClusterOptions,
    ControllerInfo,
    EnginesInfo,
    NewCluster,
    ProcessInfo,
    SetInfo,
)
from hippodrome.launch.base import Launcher


class InvalidRequest(ClusterError):
    """The cluster that was asked for cannot be."""

    code = "invalid_request"


class UnknownCluster(ClusterError):
    """There is no cluster with this key."""

    code = "unknown_cluster"

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"there is no cluster {self.key!r}"


class Conflict(ClusterError):
    """The state of the cluster forbids it."""

    code = "conflict"


class Clusters:
    """Makes, finds, starts and stops clusters by key."""

    def __init__(self) -> None:
        self._made: Final[dict[str, Cluster]] = {}
        # a lock is gone when nobody holds it or waits for it
        self._locks: Final[WeakValueDictionary[str, asyncio.Lock]] = WeakValueDictionary()

    async def describe_all(self) -> list[ClusterInfo]:
        """Return what there is: those that run, and then the others, each by key."""
        return await asyncio.to_thread(self._describe_all)

    async def describe(self, key: str) -> ClusterInfo:
        """Return one cluster as it is.

        Raises:
            UnknownCluster: there is none with this key.
        """
        return await asyncio.to_thread(describe, key, await self._get(key))

    async def create(self, wanted: NewCluster) -> ClusterInfo:
        """Make a cluster, without starting it.

        Raises:
            InvalidRequest: it names a profile or a launcher that cannot be.
            Conflict: there is one of this name.
        """
        try:
            options = msgspec.structs.asdict(wanted)
            named = {"profile": wanted.profile or "", "cluster_id": wanted.cluster_id or None}
            cluster = Cluster(**options | named)
        except ClusterError as error:
            raise InvalidRequest(str(error)) from error
        key = cluster_key(cluster)
        async with self._lock(key):
            if key in await self._all():
                raise Conflict(f"there is a cluster {key!r} already")
            self._made[key] = cluster
        return await asyncio.to_thread(describe, key, cluster)

    async def start(self, key: str, n: int | None) -> ClusterInfo:
        """Start the controller and *n* engines, by default the cluster's number, and wait for them.

        Raises:
            UnknownCluster: there is none with this key.
            Conflict: it runs already.
            ClusterError: it did not start; nothing is left running then.
        """
        async with self._lock(key):
            cluster = await self._get(key)
            if await asyncio.to_thread(lambda: cluster.has_processes):
                raise Conflict(f"the cluster {key!r} runs already")
            if self._made.get(key) is not cluster:  # found dead: from here on it is this server's
                cluster.shutdown_atexit = True
                self._made[key] = cluster
            await cluster.stop_cluster()  # forgets processes that ended by themselves
            await cluster.start_cluster(n)
        return await asyncio.to_thread(describe, key, cluster)

    async def remove(self, key: str) -> None:
        """Stop a cluster and forget it.

        Raises:
            UnknownCluster: there is none with this key.
        """
        async with self._lock(key):
            cluster = await self._get(key)
            await cluster.stop_cluster()
            self._made.pop(key, None)

    def _lock(self, key: str) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())

    async def _get(self, key: str) -> Cluster:
        clusters = await self._all()
        if key not in clusters:
            raise UnknownCluster(key)
        return clusters[key]

    async def _all(self) -> dict[str, Cluster]:
        return await asyncio.to_thread(self._find_all)

    def _find_all(self) -> dict[str, Cluster]:
        """Return all clusters; runs in a thread, as whatever looks for files and processes.

        Each profile has its default one, started or not. Where one of a file and one that was made
        here have the same key, it is the one that runs.
        """
        clusters = ClusterManager().load_clusters(init_default_clusters=True)
        for key, cluster in self._made.copy().items():
            if cluster.has_processes or key not in clusters or not clusters[key].has_processes:
                clusters[key] = cluster
        return clusters

    def _describe_all(self) -> list[ClusterInfo]:
        found = [describe(key, cluster) for key, cluster in self._find_all().items()]
        return sorted(found, key=lambda one: (one.controller is msgspec.UNSET, one.id))


def describe(key: str, cluster: Cluster) -> ClusterInfo:
    """Return *cluster* as it is; another thread may change it meanwhile."""
    controller = cluster.controller
    launchers = {name: each for name, each in cluster.engines.copy().items() if each.poll() is None}
    sets = {name: SetInfo(**_process(cluster, each), n=each.n) for name, each in launchers.items()}
    runs = controller is not None and controller.poll() is None
    return ClusterInfo(
        ClusterOptions(
            class_=f"{Cluster.__module__}.{Cluster.__qualname__}",
            cluster_id=cluster.cluster_id,
            controller_args=cluster.controller_args,
            controller_ip=cluster.controller_ip,
            controller_location=cluster.controller_location,
            delay=cluster.delay,
            n=cluster.n,
            profile=key.rpartition(":")[0],
            profile_dir=str(cluster.profile_dir),
        ),
        EnginesInfo(
            next((one.name for one in launchers.values()), cluster.engine_launcher_class.name),
            sets,
            sum(one.n for one in sets.values()),
        ),
        key,
        str(cluster.cluster_file),
        ControllerInfo(controller.name, ProcessInfo(**_process(cluster, controller)))
        if controller is not None and runs
        else msgspec.UNSET,
    )


def _process(cluster: Cluster, launcher: Launcher) -> dict[str, Any]:
    return {
        "cluster_id": cluster.cluster_id,
        "pid": getattr(launcher, "pid", -1),  # of those on this host
        "profile_dir": str(cluster.profile_dir),
    }
