"""Clusters that end with this process: stopped in order when it ends in order.

A process that is killed cannot do that; then the pipes close that its children watch.
"""

from __future__ import annotations

import atexit
import os
from typing import Final, Protocol


class Stoppable(Protocol):
    """A cluster or process that can be stopped."""

    def stop_cluster_sync(self) -> None: ...


_running: Final[dict[int, tuple[Stoppable, int]]] = {}


def stop_at_exit(cluster: Stoppable) -> None:
    """Stop *cluster* when this process ends; it is kept alive until then."""
    if not _running:
        atexit.register(_stop_all)
    _running[id(cluster)] = (cluster, os.getpid())


def stopped(cluster: Stoppable) -> None:
    """Forget *cluster*."""
    _running.pop(id(cluster), None)
    if not _running:
        atexit.unregister(_stop_all)


def _stop_all() -> None:
    for cluster, pid in list(_running.values()):
        if pid == os.getpid():  # a forked child must not stop its parent's clusters
            cluster.stop_cluster_sync()
