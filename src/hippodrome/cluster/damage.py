"""Files in the places of ours that nobody can use: damaged ones, and those of another program."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, Final

from hippodrome.cluster import files
from hippodrome.errors import ClusterError
from hippodrome.security.connection_file import SIZE_MAX_BYTES, ConnectionInfo
from hippodrome.security.foreign import read_foreign

_NOTHING: Final = object()
_PROTOCOL: Final = ConnectionInfo("client", ()).protocol


def is_foreign(path: Path) -> bool:
    """Tell whether a file is as ipyparallel writes it; nothing here may change that."""
    return read_foreign(path) is not None


def is_damaged(path: Path) -> bool:
    """Tell whether a cluster file or a connection file of this user is of no use to anybody.

    One of another version is not damaged: whatever wrote it may run.
    """
    try:
        found = path.lstat()
    except OSError:
        return False
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        return False
    state = _content(path)
    if state is _NOTHING or not isinstance(state, dict):
        return os.access(path, os.R_OK)
    if is_foreign(path):
        return False
    if path.name.startswith("cluster-"):
        return _is_damaged_cluster(path, state)
    if isinstance(state.get("protocol"), int) and state["protocol"] != _PROTOCOL:
        return False
    try:
        ConnectionInfo.from_dict(state)
    except ClusterError:
        return True
    return False


def _is_damaged_cluster(path: Path, state: dict[str, Any]) -> bool:  # Any: whatever JSON may hold
    from hippodrome.cluster.cluster import Cluster

    if state.get("version") != files.VERSION:
        return not isinstance(state.get("version"), int)
    try:
        Cluster.from_dict(state)
    except Exception:  # whatever is in it
        return True
    return False


def _content(path: Path) -> object:
    """Return what a file holds as JSON, or that it holds none."""
    try:
        with path.open("rb") as file:
            return json.loads(file.read(SIZE_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return _NOTHING
