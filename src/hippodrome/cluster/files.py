"""Cluster files: which processes make up a cluster, so that another program can find them.

JSON, 0600, in the profile's ``security`` directory, one for each cluster; removed when it ends.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from hippodrome import paths
from hippodrome.errors import ClusterError, ConnectionFileError, ForeignFileError
from hippodrome.security.connection_file import read, read_private, write_private
from hippodrome.security.foreign import WHOSE, read_foreign

VERSION: Final = 1


def cluster_file(security_dir: Path, cluster_id: str = "") -> Path:
    """Return the path of a cluster's file."""
    return security_dir / f"cluster-{cluster_id}.json"


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write a cluster's state.

    Raises:
        ClusterError: it cannot be written.
    """
    try:
        write_private(path, json.dumps({"version": VERSION, **state}, indent=2) + "\n")
    except OSError as error:
        raise ClusterError(f"cannot write the cluster file {path}: {error.strerror}") from error


def load(path: Path) -> dict[str, Any]:
    """Return a cluster's state.

    Raises:
        ForeignFileError: it is ipyparallel's.
        ConnectionFileError: it is missing, open to others, somebody else's, or damaged.
    """
    if read_foreign(path) is not None:
        raise ForeignFileError(f"the cluster file {path} {WHOSE}")
    text = read_private(path, "cluster file")
    try:
        state = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConnectionFileError(_damaged(path)) from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise ConnectionFileError(_damaged(path))
    return state


def find_cluster_files(profile_dirs: Iterable[Path]) -> list[Path]:
    """Return the cluster files of some profiles."""
    return [
        path
        for directory in profile_dirs
        for path in sorted((directory / "security").glob("cluster-*.json"))
    ]


def find_foreign_files(profile_dir: Path) -> list[Path]:
    """Return the cluster files and connection files of a profile that are ipyparallel's."""
    found = [*find_cluster_files([profile_dir]), *find_connection_files(profile_dir)]
    return [path for path in found if read_foreign(path) is not None]


def find_profile_dirs(ipython_dir: str | Path | None = None) -> list[Path]:
    """Return the directories of all profiles."""
    return sorted(paths.ipython_dir(ipython_dir).glob("profile_*"))


def find_connection_files(profile_dir: Path) -> list[Path]:
    """Return all connection files of a profile."""
    return sorted((profile_dir / "security").glob("ipcontroller*-*.json"))


def clean_connection_files(candidates: Iterable[Path], *, force: bool = False) -> list[Path]:
    """Remove the connection files of controllers that do not answer, and their sockets.

    A file that cannot be read is left alone: it may be somebody's only copy. So is one of another
    host, which shares the folder: from here nobody can tell.

    Args:
        candidates: connection files, or where there might be one.
        force: remove those of other hosts too.

    Returns:
        those that were removed.
    """
    from hippodrome.segments import files as segments
    from hippodrome.transport.connect import is_alive  # nothing else here talks to anyone

    removed = []
    for path in candidates:
        try:
            info = read(path)
        except ConnectionFileError:
            continue
        is_elsewhere = bool(info.host) and info.host != socket.gethostname()
        if not is_alive(info) and (force or not is_elsewhere):
            path.unlink(missing_ok=True)
            paths.remove_socket_dirs(info.addresses)
            removed.append(path)
    if removed:
        segments.sweep()
    return removed


def _damaged(path: Path) -> str:
    return f"the cluster file {path} is damaged or of another version: ipcluster clean removes it"
