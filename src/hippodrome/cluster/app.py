"""ipyparallel's name for `hippodrome.apps.ipcluster`, one of two."""

from __future__ import annotations

from hippodrome.apps.ipclusterapp import (
    IPClusterClean,
    IPClusterEngines,
    IPClusterList,
    IPClusterStart,
    IPClusterStop,
    launch_new_instance,
)

main = launch_new_instance

__all__ = [
    "IPClusterClean",
    "IPClusterEngines",
    "IPClusterList",
    "IPClusterStart",
    "IPClusterStop",
    "launch_new_instance",
    "main",
]
