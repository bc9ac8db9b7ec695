"""Stopping a cluster that was found: with all its processes, or a controller started by hand."""

from __future__ import annotations

import contextlib

from hippodrome.cluster import files
from hippodrome.cluster.asking import line_to, wait_until
from hippodrome.cluster.found import ClusterCondition, Found
from hippodrome.cluster.holder import end, has_ended, holder, is_here
from hippodrome.errors import ClusterError
from hippodrome.security.connection_file import ConnectionInfo, client_file, engine_file
from hippodrome.transport.connect import is_alive

STOP_TIMEOUT_S = 5.0


class CannotStop(ClusterError):
    """It runs, and cannot be stopped from here."""

    code = "cannot_stop"


def stop(found: Found) -> bool:
    """Stop a cluster, and remove what it has left; return whether anything of it was running.

    Raises:
        CannotStop: it runs, but not on this host, or its file cannot be used.
    """
    if found.condition in (ClusterCondition.DAMAGED, ClusterCondition.FOREIGN):
        raise CannotStop(found.why)
    was_running = found.is_there
    cluster = found.cluster
    if found.is_there and found.is_by_hand and found.info is not None:
        _stop_controller(found, found.info)
    if cluster is not None:
        was_running = was_running or cluster.has_processes
        cluster.stop_cluster_sync()
    security_dir = found.profile_dir / "security"
    files.clean_connection_files(
        [client_file(security_dir, found.cluster_id), engine_file(security_dir, found.cluster_id)]
    )
    return was_running


def _stop_controller(found: Found, info: ConnectionInfo) -> None:
    """Ask it to end; if it does not answer, end its process, once that is certain to be it."""
    process = holder(info)
    if (
        found.condition is ClusterCondition.RUNNING
        and info.path is not None
        and info.role == "client"
    ):
        with contextlib.suppress(ClusterError), line_to(info.path) as line:
            line.stop_controller()
    elif process is None:
        raise CannotStop(_how(info))
    if process is not None:
        was_told = found.condition is ClusterCondition.RUNNING
        if not (was_told and wait_until(lambda: has_ended(process), STOP_TIMEOUT_S)):
            end(process, STOP_TIMEOUT_S)
    elif not wait_until(lambda: not is_alive(info), STOP_TIMEOUT_S):
        raise CannotStop(_how(info))


def _how(info: ConnectionInfo) -> str:
    """Say how somebody can stop what cannot be stopped from here."""
    where = "here" if is_here(info) else f"on {info.host}"
    return (
        f"its controller does not end when asked, and nothing proves that process {info.pid} "
        f"{where} is it: look at that process {where}, and if it is, kill {info.pid}"
    )
