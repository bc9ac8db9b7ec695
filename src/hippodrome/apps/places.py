"""The folders and names that options give: a wrong one is told of before anything is done."""

from __future__ import annotations

import os
from pathlib import Path

from hippodrome import paths
from hippodrome.apps.settings import UsageError
from hippodrome.errors import ClusterError
from hippodrome.security import connection_file


def change_to(work_dir: str) -> None:
    """Change to the folder of ``--work-dir``, if there is one.

    Raises:
        UsageError: that cannot be.
    """
    try:
        if work_dir:
            os.chdir(Path(work_dir).expanduser())
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot change to --work-dir {work_dir}: {why}") from error


def check_folders(profile: str, given: Path | None, ipython_home: Path) -> Path:
    """Return where a profile is or would be.

    Args:
        profile: its name.
        given: its path, which wins over the name.
        ipython_home: where profiles are that have a name.

    Raises:
        UsageError: the name is none, or where a folder should be there is something else.
    """
    try:
        found = paths.find_profile_dir(profile, given, ipython_home)
    except ClusterError as error:
        raise UsageError(str(error)) from error
    for folder in (found, found.parent):
        if os.path.lexists(folder) and not folder.is_dir():
            raise UsageError(f"{folder} is no folder")
    return found


def check_cluster_id(cluster_id: str) -> None:
    """Make sure that a cluster can be called so.

    Raises:
        UsageError: it cannot.
    """
    try:
        connection_file.check_cluster_id(cluster_id)
    except ClusterError as error:
        raise UsageError(str(error)) from error
