"""Starts, finds and stops whole clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hippodrome.lazy import loader

if TYPE_CHECKING:
    from collections.abc import Callable

    from hippodrome.cluster.cluster import Cluster
    from hippodrome.cluster.manager import ClusterManager, clean_cluster_files

__all__ = ["Cluster", "ClusterManager", "clean_cluster_files"]

__getattr__: Callable[[str], Any] = loader(
    __name__,
    {
        "Cluster": "hippodrome.cluster.cluster",
        "ClusterManager": "hippodrome.cluster.manager",
        "clean_cluster_files": "hippodrome.cluster.manager",
    },
    {"app", "launcher", "manager"},
)
