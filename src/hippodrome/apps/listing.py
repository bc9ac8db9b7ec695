"""``ipcluster list``: shows the clusters that there are."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import ClassVar

from traitlets import Enum

from hippodrome.apps.base import OK
from hippodrome.apps.clusterprogram import ClusterProgram, say
from hippodrome.cluster import files
from hippodrome.cluster.cluster import Cluster
from hippodrome.errors import ClusterError


class IPClusterList(ClusterProgram):
    """Options of ``ipcluster list``."""

    name = "ipcluster list"
    description = "List the clusters of all profiles, or of --profile-dir."

    output: Enum[str] = Enum(("text", "json"), default_value="text", help="Form of the list.").tag(
        config=True
    )
    own_aliases: ClassVar[Mapping[str, str]] = {"o": "output", "output": "output"}

    def start(self) -> int:
        clusters = list(self._clusters())
        if self.output == "json":
            say(json.dumps([c.to_dict() | {"running": c.is_running} for c in clusters], indent=2))
            return OK
        say(f"{'PROFILE':<16} {'CLUSTER ID':<18} {'RUNNING':<8} {'ENGINES':<8} LAUNCHER")
        for cluster in clusters:
            profile = cluster.profile_dir.name.removeprefix("profile_")
            count = sum(engines.n for engines in cluster.engines.values())
            say(
                f"{profile:<16} {cluster.cluster_id or chr(39) * 2:<18} "
                f"{'yes' if cluster.is_running else 'no':<8} {count:<8} "
                f"{cluster.engine_launcher_class.name}"
            )
        return OK

    def _clusters(self) -> Iterator[Cluster]:
        one = [self.find_profile_dir()] if self.profile_dir else []
        for path in files.find_cluster_files(one or files.find_profile_dirs(self.ipython_home)):
            try:
                yield Cluster.from_file(path)
            except ClusterError as error:
                print(f"{self.name}: {error}", file=sys.stderr)
