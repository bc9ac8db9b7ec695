"""``ipcluster list``: shows the clusters that there are, those that nobody can use any more too."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final

from traitlets import Enum

from hippodrome.apps.clusterprogram import ClusterProgram, remark, show
from hippodrome.apps.exitcodes import OK
from hippodrome.apps.words import options_of, shown, span, table
from hippodrome.cluster import files
from hippodrome.cluster.found import ClusterCondition, Found

_COLUMNS: Final = ("PROFILE", "CLUSTER ID", "RUNNING", "ENGINES", "AGE", "LAUNCHER")
_RUNNING: Final[Mapping[ClusterCondition, str]] = {
    ClusterCondition.RUNNING: "yes",
    ClusterCondition.DEAD: "no",
}


class IPClusterList(ClusterProgram):
    """Options of ``ipcluster list``."""

    name = "ipcluster list"
    description = "List the clusters of all profiles, or of --profile or --profile-dir."
    examples = "ipcluster list\nipcluster list --profile=work -o json"

    output: Enum[str] = Enum(("text", "json"), default_value="text", help="Form of the list:").tag(
        config=True,
        value="FORM",
        choices={"text": "a table, for people", "json": "JSON, for programs"},
    )
    own_aliases: ClassVar[Mapping[str, str]] = {"o": "output", "output": "output"}

    def start(self) -> int:
        from hippodrome.cluster.asjson import as_json
        from hippodrome.cluster.found import find_clusters

        profiles = self._profile_dirs()
        clusters, wall = find_clusters(profiles), time.time()
        if self.output == "json":
            show(json.dumps([as_json(found, wall) for found in clusters], indent=2))
            return OK
        if not clusters:
            command = self.name.replace("list", "start")
            show(f"there are no clusters in {self._where()}: {command} starts one")
            return OK
        for line in table([_COLUMNS, *(_row(found, wall) for found in clusters)]):
            show(line)
        for line in self._remarks(clusters):
            remark(line)
        return OK

    def _profile_dirs(self) -> list[Path]:
        if self.profile_dir or self._has_named_profile():
            return [self.find_profile_dir()]
        return files.find_profile_dirs(self.ipython_home)

    def _has_named_profile(self) -> bool:
        return any("profile" in section for section in self.config.values())

    def _where(self) -> str:
        if self.profile_dir or self._has_named_profile():
            return str(self.find_profile_dir())
        return f"the profiles of {self.ipython_home}"

    def _remarks(self, clusters: list[Found]) -> Iterator[str]:
        """Yield a line for each cluster that is not as it should be: why, and what to do."""
        for found in clusters:
            if found.why:
                yield f"{label(found)}: {found.why}{self._advice(found)}"

    def _advice(self, found: Found) -> str:
        options, command = self.options_for(found), self.name.replace("list", "{}").format
        if found.condition is ClusterCondition.SILENT:
            return f"; {command('stop')}{options} ends it"
        if found.condition is ClusterCondition.DEAD:
            if found.cluster is not None and found.cluster.has_processes:
                return f": {command('stop')}{options} ends them"
            profile = options_of(found.profile_dir, "", self.ipython_home)
            return f": {command('clean')}{profile} removes what it has left"
        return ""


def label(found: Found) -> str:
    """Return what lines about a cluster begin with."""
    return f"cluster {shown(found.cluster_id)} of profile {shown(found.profile)}"


def _row(found: Found, wall: float) -> tuple[str, ...]:
    running = _RUNNING.get(found.condition, found.condition.value)
    age = span(found.age_s(wall))
    launcher = (
        "-"
        if found.condition in (ClusterCondition.DAMAGED, ClusterCondition.FOREIGN)
        else found.launcher
    )
    name, profile = shown(found.cluster_id), shown(found.profile)
    return profile, name, running, _engines(found), age, launcher


def _engines(found: Found) -> str:
    if found.engines is None:
        return "-"
    n, wanted = len(found.engines), found.n_wanted
    return f"{n:,} of {wanted:,}" if wanted is not None and n < wanted else f"{n:,}"
