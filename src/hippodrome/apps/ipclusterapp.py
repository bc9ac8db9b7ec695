"""ipyparallel's name for `hippodrome.apps.ipcluster`."""

from __future__ import annotations

from hippodrome.apps.ipcluster import main as launch_new_instance
from hippodrome.apps.listing import IPClusterList
from hippodrome.apps.stopping import IPClusterClean, IPClusterStop
from hippodrome.apps.subcommands import IPClusterEngines, IPClusterStart

__all__ = [
    "IPClusterClean",
    "IPClusterEngines",
    "IPClusterList",
    "IPClusterStart",
    "IPClusterStop",
    "launch_new_instance",
]
