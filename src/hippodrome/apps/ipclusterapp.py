"""ipyparallel's name for `hippodrome.apps.ipcluster`."""

from __future__ import annotations

from hippodrome.apps.ipcluster import main as launch_new_instance
from hippodrome.apps.subcommands import (
    IPClusterClean,
    IPClusterEngines,
    IPClusterList,
    IPClusterStart,
    IPClusterStop,
)

__all__ = [
    "IPClusterClean",
    "IPClusterEngines",
    "IPClusterList",
    "IPClusterStart",
    "IPClusterStop",
    "launch_new_instance",
]
