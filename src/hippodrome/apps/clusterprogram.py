"""What the subcommands of ``ipcluster`` have in common, and how they speak."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

from hippodrome.apps.base import NoCluster, Program
from hippodrome.cluster import files
from hippodrome.cluster.cluster import Cluster


class ClusterProgram(Program):
    """What the subcommands have in common."""

    config_name = "ipcluster"
    siblings: ClassVar[tuple[str, ...]] = (
        "IPClusterClean",
        "IPClusterEngines",
        "IPClusterList",
        "IPClusterStart",
        "IPClusterStop",
    )

    def cluster_path(self, cluster_id: str) -> Path:
        """Return the file of one of the profile's clusters."""
        return files.cluster_file(self.find_profile_dir() / "security", cluster_id)

    def find_cluster(self, cluster_id: str) -> Cluster:
        """Return one of the profile's clusters.

        Raises:
            NoCluster: there is none of this id.
        """
        path = self.cluster_path(cluster_id)
        if not path.exists():
            raise NoCluster(
                f"there is no cluster {cluster_id!r} in {self.find_profile_dir()}: "
                "ipcluster list shows those that there are"
            )
        return Cluster.from_file(path)


def counted(n: int, noun: str) -> str:
    """Return ``1 engine`` or ``4 engines``."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def say(text: str) -> None:
    """Print a line that the user asked for, at once even into a pipe."""
    print(text, flush=True)


def remark(text: str) -> None:
    """Print a line beside what was asked for, at once."""
    print(text, file=sys.stderr, flush=True)
