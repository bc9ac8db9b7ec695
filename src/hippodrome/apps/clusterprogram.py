"""What the subcommands of ``ipcluster`` have in common, and how they speak."""

from __future__ import annotations

import sys
from typing import ClassVar

from hippodrome.apps.base import Program
from hippodrome.apps.words import options_of
from hippodrome.cluster.found import Found


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

    def options_for(self, found: Found) -> str:
        """Return the options by which a command means this cluster, to be copied into a shell."""
        return options_of(found.profile_dir, found.cluster_id, self.ipython_home)


def say(text: str) -> None:
    """Print a line that the user asked for, at once even into a pipe."""
    print(text, flush=True)


def remark(text: str) -> None:
    """Print a line beside what was asked for, at once."""
    print(text, file=sys.stderr, flush=True)
