"""Which clusters there are: those that files tell of, and what is behind each file.

A cluster that was started as one has a cluster file. A controller that was started by hand has
connection files only. Either may be dead, silent, or of another host; a file may be damaged, or of
a program that uses the same names. Whoever looks is told which, in a bounded time.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hippodrome.cluster import files
from hippodrome.cluster.asking import PATIENCE_S, line_to
from hippodrome.cluster.cluster import Cluster
from hippodrome.cluster.damage import is_foreign
from hippodrome.cluster.holder import is_here, stopped
from hippodrome.errors import (
    AuthenticationError,
    ClusterError,
    MissingFileError,
    ProtocolVersionError,
)
from hippodrome.security.connection_file import ConnectionInfo, client_file, engine_file, read
from hippodrome.transport.connect import is_alive

_MOST_AT_ONCE: Final = 16
_PREFIX: Final = "ipcontroller"
_FOREIGN: Final = "its files are ipyparallel's, and are left alone"
_ENDS: Final = ("-client.json", "-engine.json")


class ClusterCondition(enum.Enum):
    """How a cluster is; the value is the word for it."""

    RUNNING = "running"
    STARTING = "starting"  # its controller runs, and takes nobody in yet
    SILENT = "silent"  # it is there, and does not answer
    DEAD = "dead"  # the controller has ended, and left files, perhaps engines
    ELSEWHERE = "elsewhere"  # on another host, from which nothing is heard here
    DAMAGED = "damaged"  # its file cannot be used
    FOREIGN = "foreign"  # its file is of another program


@dataclass(frozen=True, slots=True)
class Found:
    """One cluster.

    Attributes:
        profile_dir: its profile.
        cluster_id: its id there; empty for the default one.
        condition: how it is.
        why: what is behind that, for people; may be empty.
        cluster: what its cluster file tells; None if it has none, or none that can be read.
        info: what its connection file tells; None likewise.
        engines: the ids of its live engines; None if nobody knows.
    """

    profile_dir: Path
    cluster_id: str
    condition: ClusterCondition
    why: str = ""
    cluster: Cluster | None = None
    info: ConnectionInfo | None = None
    engines: tuple[int, ...] | None = None

    @property
    def profile(self) -> str:
        """The profile's name, or its path where it is not among the others."""
        name = self.profile_dir.name
        return name.removeprefix("profile_") if name.startswith("profile_") else name

    @property
    def is_there(self) -> bool:
        """Whether a controller is behind it, heard or not."""
        there = (
            ClusterCondition.RUNNING,
            ClusterCondition.STARTING,
            ClusterCondition.SILENT,
            ClusterCondition.ELSEWHERE,
        )
        return self.condition in there

    @property
    def is_by_hand(self) -> bool:
        """Whether its controller was started by itself, and not with a cluster."""
        return self.cluster is None or (self.is_there and not self.cluster.is_running)

    @property
    def n_wanted(self) -> int | None:
        """How many engines were started with it; None if it was started by hand."""
        if self.cluster is None or self.is_by_hand:
            return None
        return sum(launcher.n for launcher in self.cluster.engines.values())

    @property
    def launcher(self) -> str:
        """By what its controller was started."""
        if self.cluster is None or self.is_by_hand:
            return "by hand"
        return self.cluster.controller_launcher_class.name or "?"

    @property
    def cluster_file(self) -> Path:
        """Where its cluster file is or would be."""
        return files.cluster_file(self.profile_dir / "security", self.cluster_id)

    def age_s(self, wall: float) -> float | None:
        """Return how long it has been there; None if nobody knows.

        Args:
            wall: the time, in seconds since the epoch.
        """
        since = self.info.created if self.info is not None else 0.0
        if not since:
            with contextlib.suppress(OSError):
                since = self.cluster_file.stat().st_mtime
        return max(0.0, wall - since) if 0.0 < since < 1e12 else None


def find_clusters(profile_dirs: Iterable[Path], timeout_s: float = PATIENCE_S) -> list[Found]:
    """Return the clusters of some profiles, by profile and id.

    Args:
        profile_dirs: the profiles.
        timeout_s: how long each controller may take to answer, in seconds; several are asked
            side by side.
    """
    named = [(directory, name) for directory in profile_dirs for name in _ids_in(directory)]
    if not named:
        return []
    with ThreadPoolExecutor(_MOST_AT_ONCE) as pool:
        seen = list(pool.map(lambda one: look(one[0], one[1], timeout_s), named))
    return [found for found in seen if not _has_gone(found)]


def find_cluster(profile_dir: Path, cluster_id: str, timeout_s: float = PATIENCE_S) -> Found | None:
    """Return one cluster of a profile; None if nothing tells of it."""
    if cluster_id not in _ids_in(profile_dir):
        return None
    found = look(profile_dir, cluster_id, timeout_s)
    return None if _has_gone(found) else found


def look(profile_dir: Path, cluster_id: str, timeout_s: float = PATIENCE_S) -> Found:
    """Return how a cluster is, of which there is a file."""
    security_dir = profile_dir / "security"
    cluster = None
    path = files.cluster_file(security_dir, cluster_id)
    try:
        cluster = _cluster_of(path)
        path = client_file(security_dir, cluster_id)
        info = _info_of(security_dir, cluster_id)
    except ClusterError as error:
        if is_foreign(path):
            return Found(profile_dir, cluster_id, ClusterCondition.FOREIGN, _FOREIGN)
        return Found(profile_dir, cluster_id, ClusterCondition.DAMAGED, str(error), cluster)
    condition, why, engines = _judge(cluster, info, timeout_s)
    return Found(profile_dir, cluster_id, condition, why, cluster, info, engines)


def _has_gone(found: Found) -> bool:
    """Whether there was a file of it a moment ago, and there is none now."""
    is_dead = found.condition is ClusterCondition.DEAD
    return is_dead and found.cluster is None and found.info is None


def _judge(
    cluster: Cluster | None, info: ConnectionInfo | None, timeout_s: float
) -> tuple[ClusterCondition, str, tuple[int, ...] | None]:
    """Return how a cluster is, why, and which engines it has."""
    is_running = cluster is not None and cluster.is_running
    if info is None:
        if is_running:
            return ClusterCondition.STARTING, "its controller takes nobody in yet", None
        return ClusterCondition.DEAD, _what_is_left(cluster), None
    if not is_alive(info):
        if not is_here(info):
            return (
                ClusterCondition.ELSEWHERE,
                f"it is on {info.host}, and not reached from here",
                None,
            )
        return ClusterCondition.DEAD, _what_is_left(cluster), None
    if info.role != "client" or info.path is None:
        return ClusterCondition.RUNNING, "its connection file for clients is missing", None
    try:
        with line_to(info.path, timeout_s) as line:
            return ClusterCondition.RUNNING, "", tuple(line.engines)
    except (AuthenticationError, ProtocolVersionError) as error:
        return ClusterCondition.SILENT, str(error), None
    except ClusterError:
        return ClusterCondition.SILENT, why_silent(info, timeout_s), None


def why_silent(info: ConnectionInfo, timeout_s: float) -> str:
    """Say why a controller does not answer that is there."""
    if pids := stopped(info):
        numbers = " ".join(map(str, pids))
        which = f"process {numbers} is" if len(pids) == 1 else f"processes {numbers} are"
        return f"its {which} stopped: kill -CONT {numbers} lets it go on"
    where = "" if is_here(info) else f" on {info.host}"
    return f"its process {info.pid}{where} does not answer within {timeout_s:g} s"


def _what_is_left(cluster: Cluster | None) -> str:
    if cluster is not None and cluster.has_processes:
        return "the controller has ended, and engines of it are still there"
    return "nothing of it runs any more"


def _cluster_of(path: Path) -> Cluster | None:
    """Return what a cluster file tells; None if there is none."""
    try:
        return Cluster.from_file(path)
    except MissingFileError:
        return None


def _info_of(security_dir: Path, cluster_id: str) -> ConnectionInfo | None:
    """Return what the connection file for clients tells, else the other; None without both."""
    for path in (client_file(security_dir, cluster_id), engine_file(security_dir, cluster_id)):
        with contextlib.suppress(MissingFileError):
            return read(path)
    return None


def _ids_in(profile_dir: Path) -> list[str]:
    """Return the ids of the clusters of which there are files."""
    started = {
        path.name.removeprefix("cluster-").removesuffix(".json")
        for path in files.find_cluster_files([profile_dir])
    }
    return sorted(started.union(*map(_id_of, files.find_connection_files(profile_dir))))


def _id_of(path: Path) -> Iterator[str]:
    """Yield the cluster id in a connection file's name, if that is one."""
    for end in _ENDS:
        middle = path.name.removeprefix(_PREFIX).removesuffix(end)
        if path.name.endswith(end) and (not middle or middle.startswith("-")):
            yield middle.removeprefix("-")
