"""``ipcluster stop`` and ``ipcluster clean``: end clusters, and remove what they have left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from traitlets import Bool

from hippodrome.apps.base import OK, AlreadyStopped, NoCluster, Switch
from hippodrome.apps.clusterprogram import ClusterProgram, counted, say
from hippodrome.apps.commandline import Flag
from hippodrome.cluster import files
from hippodrome.cluster.cluster import Cluster
from hippodrome.cluster.manager import clean_cluster_files


class IPClusterStop(ClusterProgram):
    """Options of ``ipcluster stop``."""

    name = "ipcluster stop"
    description = "Stop clusters: of --cluster-id, those named, or --all of the profile."
    examples = "ipcluster stop\nipcluster stop --all"
    argument_name = "CLUSTER_ID"

    all: Switch = Bool(False, help="Stop all clusters of the profile.").tag(config=True)
    own_flags: ClassVar[Mapping[str, Flag]] = {
        "all": Flag("all", True, "Stop all clusters of the profile."),
    }

    def start(self) -> int:
        if self.all:
            found = files.find_cluster_files([self.find_profile_dir()])
            clusters = [Cluster.from_file(path) for path in found]
        else:
            clusters = [self.find_cluster(name) for name in self.arguments or [self.cluster_id]]
        if not clusters:
            raise NoCluster(f"there are no clusters in {self.find_profile_dir()}")
        running = [cluster.has_processes for cluster in clusters]
        for cluster in clusters:
            cluster.stop_cluster_sync()
        if not any(running):
            raise AlreadyStopped("nothing of it was running any more")
        say(f"stopped {counted(sum(running), 'cluster')}")
        return OK


class IPClusterClean(ClusterProgram):
    """Options of ``ipcluster clean``."""

    name = "ipcluster clean"
    description = "Remove the files of clusters that do not run any more."

    force: Switch = Bool(False, help="Stop running clusters, too.").tag(config=True)
    all: Switch = Bool(False, help="Clean all profiles.").tag(config=True)
    own_flags: ClassVar[Mapping[str, Flag]] = {
        "force": Flag("force", True, "Stop running clusters, too."),
        "all": Flag("all", True, "Clean all profiles."),
    }

    def start(self) -> int:
        every = files.find_profile_dirs(self.ipython_home)
        removed = clean_cluster_files(
            every if self.all else [self.find_profile_dir()], force=self.force
        )
        for path in removed:
            say(f"removed {path}")
        return OK
