"""``ipcluster stop`` and ``ipcluster clean``: end clusters, and remove what they have left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from traitlets import Bool

from hippodrome.apps.base import Switch
from hippodrome.apps.clusterprogram import ClusterProgram, remark, say
from hippodrome.apps.commandline import FlagOption
from hippodrome.apps.exitcodes import ALREADY_STOPPED, FAILED, OK, USAGE, AlreadyStopped
from hippodrome.apps.listing import label
from hippodrome.apps.words import counted
from hippodrome.cluster import files
from hippodrome.cluster.ending import stop
from hippodrome.cluster.found import ClusterCondition, Found, find_cluster, find_clusters
from hippodrome.cluster.manager import clean_cluster_files
from hippodrome.errors import ClusterError


class IPClusterStop(ClusterProgram):
    """Options of ``ipcluster stop``."""

    joins: ClassVar[bool] = True
    name = "ipcluster stop"
    description = (
        "Stop clusters, also those started by hand: of --cluster-id, those named, or --all."
    )
    examples = "ipcluster stop\nipcluster stop --all"
    argument_name = "CLUSTER_ID"
    exit_codes: ClassVar[tuple[int, ...]] = (OK, FAILED, USAGE, ALREADY_STOPPED)

    all: Switch = Bool(False, help="Stop all clusters of the profile.").tag(config=True)
    own_flags: ClassVar[Mapping[str, FlagOption]] = {
        "all": FlagOption("all", True, "Stop all clusters of the profile."),
    }

    def start(self) -> int:
        clusters = self._chosen()
        if not clusters:
            say(f"there are no clusters in {self.find_profile_dir()}")
            return OK  # all of none have been stopped
        troubles = []
        n_stopped = n_removed = 0
        for found in clusters:
            try:
                if stop(found):
                    n_stopped += 1
                else:
                    n_removed += 1
            except ClusterError as error:
                troubles.append(f"{self.name}: {label(found)}: {error}")
        if n_stopped or not troubles:
            say(_what_was_done(n_stopped, n_removed))
        for trouble in troubles:
            remark(trouble)
        return FAILED if troubles else OK

    def _chosen(self) -> list[Found]:
        """Return the clusters that are meant.

        Raises:
            AlreadyStopped: there is none of a name.
        """
        profile_dir = self.find_profile_dir()
        if self.all:
            every = find_clusters([profile_dir])
            return [found for found in every if found.condition is not ClusterCondition.FOREIGN]
        chosen = []
        for name in self.arguments or [self.cluster_id]:
            found = find_cluster(profile_dir, name)
            if found is None:
                raise AlreadyStopped(
                    f"there is no cluster {name!r} in {profile_dir}: "
                    f"{self.name.replace('stop', 'list')} shows those that there are"
                )
            chosen.append(found)
        return chosen


class IPClusterClean(ClusterProgram):
    """Options of ``ipcluster clean``."""

    name = "ipcluster clean"
    description = "Remove files and logs of clusters that do not run any more, and damaged files."

    force: Switch = Bool(False, help="Stop running clusters, too.").tag(config=True)
    all: Switch = Bool(False, help="Clean all profiles.").tag(config=True)
    own_flags: ClassVar[Mapping[str, FlagOption]] = {
        "force": FlagOption("force", True, "Stop running clusters, too."),
        "all": FlagOption("all", True, "Clean all profiles."),
    }

    def start(self) -> int:
        every = files.find_profile_dirs(self.ipython_home)
        profiles = every if self.all else [self.find_profile_dir()]
        removed = clean_cluster_files(profiles, force=self.force)
        for path in removed:
            say(f"removed {path}")
        if not removed:
            say("there is nothing to remove")
        for path in (path for profile in profiles for path in files.find_foreign_files(profile)):
            remark(f"{self.name}: {path} is ipyparallel's, and is left alone")
        return OK


def _what_was_done(n_stopped: int, n_removed: int) -> str:
    if not n_removed:
        return f"stopped {counted(n_stopped, 'cluster')}"
    left = f"removed what {counted(n_removed, 'dead cluster')} had left"
    return f"stopped {counted(n_stopped, 'cluster')}, and {left}" if n_stopped else left
