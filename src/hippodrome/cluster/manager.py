"""`ClusterManager`: several clusters, by name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hippodrome import paths
from hippodrome.briefly import brief_methods
from hippodrome.client.hints import by_name
from hippodrome.cluster import files
from hippodrome.cluster.cluster import Cluster
from hippodrome.cluster.damage import is_damaged, is_foreign
from hippodrome.cluster.ending import stop
from hippodrome.cluster.found import find_clusters
from hippodrome.cluster.holder import is_here
from hippodrome.cluster.oldlogs import remove_old_logs
from hippodrome.errors import ClusterError, UnknownNameError
from hippodrome.live import Live
from hippodrome.security.connection_file import read
from hippodrome.segments import files as segments


@brief_methods()
class ClusterManager(Live, Mapping[str, Cluster]):
    """Clusters of this user, by a key of the form ``profile:cluster_id``.

    >>> manager = ipp.ClusterManager()
    >>> manager.load_clusters()
    {...}
    >>> key, night = manager.new_cluster(n=2, cluster_id="night")
    >>> manager[key] is night
    True
    """

    def __init__(self, log: Any = None) -> None:
        """Make one that knows no cluster yet.

        Args:
            log: accepted: what goes wrong is raised.
        """
        self._clusters: dict[str, Cluster] = {}

    def __getitem__(self, key: str) -> Cluster:
        try:
            return self._clusters[key]
        except KeyError:
            there_are = ", ".join(self._clusters) or "none"
            raise UnknownNameError(f"there is no cluster {key!r}; there are: {there_are}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._clusters)

    def __len__(self) -> int:
        return len(self._clusters)

    @property
    def clusters(self) -> dict[str, Cluster]:
        """The clusters by key.

        >>> ipp.ClusterManager().clusters
        {}
        """
        return dict(self._clusters)

    @by_name('load_clusters(profile="default")')
    def load_clusters(
        self,
        *,
        profile_dirs: Iterable[str | Path] | None = None,
        profile_dir: str | Path | None = None,
        profiles: Iterable[str] | None = None,
        profile: str | None = None,
        init_default_clusters: bool = False,
        log_level: str | int = "INFO",
    ) -> dict[str, Cluster]:
        """Load what the cluster files of some profiles tell; by default of all profiles.

        A file that cannot be read is passed over.

        Args:
            profile_dirs: paths of profiles.
            profile_dir: path of one more.
            profiles: names of profiles.
            profile: name of one more.
            init_default_clusters: whether each profile that has no default cluster gets one, which
                does not run yet.
            log_level: as for `Cluster`, for engines that these will start.

        Returns:
            the clusters by key, those that were known before included.

        >>> ipp.ClusterManager().load_clusters(profile_dir=cluster.profile_dir)
        {'default:...': <Cluster(...)>}
        """
        directories = [Path(path).expanduser() for path in profile_dirs or ()]
        directories += [paths.find_profile_dir(name) for name in profiles or ()]
        if profile_dir or profile:
            directories.append(paths.find_profile_dir(profile, profile_dir))
        for directory in directories or files.find_profile_dirs():
            self._load_profile(directory, init_default_clusters, log_level)
        return dict(self._clusters)

    def new_cluster(self, **options: Any) -> tuple[str, Cluster]:  # Any: as for `Cluster`
        """Make a cluster, without starting it.

        Args:
            options: as for `Cluster`.

        Returns:
            its key and itself.

        Raises:
            UnknownNameError: there is one with this key.

        >>> key, night = ipp.ClusterManager().new_cluster(n=2, cluster_id="night")
        >>> key
        'default:night'
        """
        cluster = Cluster(**options)
        key = cluster_key(cluster)
        if key in self._clusters:
            raise UnknownNameError(f"there is a cluster {key!r} already")
        self._clusters[key] = cluster
        return key, cluster

    def get_cluster(self, cluster_id: str) -> Cluster:
        """Return a cluster.

        Args:
            cluster_id: its key.

        Raises:
            KeyError: there is none with this key.

        >>> manager = ipp.ClusterManager()
        >>> key, night = manager.new_cluster(n=2, cluster_id="night")
        >>> manager.get_cluster(key) is night
        True
        """
        try:
            return self._clusters[cluster_id]
        except KeyError:
            there_are = ", ".join(self._clusters) or "none"
            raise UnknownNameError(
                f"there is no cluster {cluster_id!r}; there are: {there_are}"
            ) from None

    def remove_cluster(self, cluster_id: str) -> None:
        """Forget a cluster; it goes on running.

        Args:
            cluster_id: its key.

        Raises:
            KeyError: there is none with this key.

        >>> manager = ipp.ClusterManager()
        >>> key, night = manager.new_cluster(n=2, cluster_id="night")
        >>> manager.remove_cluster(key)
        """
        del self._clusters[cluster_id]

    def _load_profile(
        self, directory: Path, init_default_clusters: bool, log_level: str | int
    ) -> None:
        for path in files.find_cluster_files([directory]):
            with contextlib.suppress(ClusterError):
                cluster = Cluster.from_file(path, log_level=log_level)
                self._clusters.setdefault(cluster_key(cluster), cluster)
        if init_default_clusters:
            cluster = Cluster(profile_dir=directory, cluster_id="", log_level=log_level)
            self._clusters.setdefault(cluster_key(cluster), cluster)


def cluster_key(cluster: Cluster) -> str:
    """Return the key of *cluster*: its profile and its id."""
    name = Path(cluster.profile_dir).name
    return f"{name.removeprefix('profile_') or cluster.profile_dir}:{cluster.cluster_id}"


def clean_cluster_files(
    profile_dirs: Iterable[str | Path] | None = None, *, force: bool = False
) -> list[Path]:
    """Remove what nothing stands behind any more: cluster files, connection files, logs.

    Files that are damaged go too; those of ipyparallel stay, as do those of another host.

    Args:
        profile_dirs: paths of profiles; by default of all.
        force: whether to stop running clusters, also controllers that were started by hand, and
            remove files that cannot be read or are of another host.

    Returns:
        the files that were removed.

    >>> ipp.clean_cluster_files()
    [...]
    """
    given = None if profile_dirs is None else [Path(path).expanduser() for path in profile_dirs]
    removed: list[Path] = []
    for directory in files.find_profile_dirs() if given is None else given:
        removed += _clean_profile(directory, force)
    paths.sweep_socket_dirs()
    segments.sweep()
    return removed


def _clean_profile(directory: Path, force: bool) -> list[Path]:
    clusters = files.find_cluster_files([directory])
    connections = files.find_connection_files(directory)
    if force:
        _stop_all(directory)
    else:
        for path in clusters:
            _clean_one(path)
    files.clean_connection_files(connections, force=force)
    for path in [*clusters, *connections]:
        if is_damaged(path) or (force and path in clusters and not is_foreign(path)):
            path.unlink(missing_ok=True)
    removed = [path for path in [*clusters, *connections] if not path.exists()]
    return [*removed, *remove_old_logs(directory)]


def _stop_all(directory: Path) -> None:
    for found in find_clusters([directory]):
        with contextlib.suppress(ClusterError):
            stop(found)


def _clean_one(path: Path) -> None:
    """Remove one cluster file if it can be read, and nothing of the cluster runs."""
    with contextlib.suppress(ClusterError):
        cluster = Cluster.from_file(path)
        if not cluster.has_processes and not _is_of_another_host(cluster):
            cluster.stop_cluster_sync()


def _is_of_another_host(cluster: Cluster) -> bool:
    with contextlib.suppress(ClusterError):
        return not is_here(read(cluster.connection_file))
    return False
