"""The clusters that a Jupyter server knows: those made through it, and those of cluster files.

Whatever changes a cluster holds the lock of its key, so that of two that come at once, one is
first and the other finds what it did. Everything that may block runs in a thread. Clusters that
are to end with the server do so as those of any process: `hippodrome.cluster.atexit`.
"""

from __future__ import annotations

import asyncio
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from hippodrome.cluster.cluster import Cluster
from hippodrome.cluster.manager import ClusterManager, cluster_key
from hippodrome.errors import ClusterError
from hippodrome.jupyter.messages import (
    ClusterInfo,
    EnginesInfo,
    NewCluster,
    Options,
    ProcessInfo,
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

    async def describe_all(self) -> dict[str, ClusterInfo]:
        """Return what there is, by key."""
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
            cluster = Cluster(**msgspec.structs.asdict(wanted))
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

        Where one of a file and one that was made here have the same key, it is the one that runs.
        """
        clusters = ClusterManager().load_clusters()
        for key, cluster in self._made.copy().items():
            if cluster.has_processes or key not in clusters or not clusters[key].has_processes:
                clusters[key] = cluster
        return clusters

    def _describe_all(self) -> dict[str, ClusterInfo]:
        return {key: describe(key, cluster) for key, cluster in self._find_all().items()}


def describe(key: str, cluster: Cluster) -> ClusterInfo:
    """Return *cluster* as it is; another thread may change it meanwhile."""
    controller = cluster.controller
    sets = {name: _process(each, each.n) for name, each in cluster.engines.copy().items()}
    return ClusterInfo(
        id=key,
        cluster=Options(
            profile=key.rpartition(":")[0],
            profile_dir=str(cluster.profile_dir),
            cluster_id=cluster.cluster_id,
            cluster_file=str(cluster.cluster_file),
            n=cluster.n,
        ),
        controller=None if controller is None else _process(controller),
        engines=EnginesInfo(sum(s.n for s in sets.values() if s.exit_code is None), sets),
    )


def _process(launcher: Launcher, n: int = 1) -> ProcessInfo:
    code = launcher.poll()
    return ProcessInfo(launcher.name, "running" if code is None else "ended", code, n)
