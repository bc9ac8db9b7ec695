"""Programs read clusters in this form: ipyparallel's, with what is known besides."""

from __future__ import annotations

from typing import Any

from hippodrome.cluster.found import ClusterCondition, Found
from hippodrome.cluster.launched import as_json as launched_json
from hippodrome.launch.base import EngineSetLauncher, Launcher

Json = dict[str, Any]  # Any: whatever JSON may hold


def as_json(found: Found, wall: float) -> Json:
    """Return what ``ipcluster list -o json`` shows of a cluster.

    Args:
        found: the cluster.
        wall: the time, in seconds since the epoch.
    """
    age_s = found.age_s(wall)
    return {
        "cluster": _cluster(found),
        "cluster_file": str(found.cluster_file) if found.cluster is not None else None,
        "connection_file": str(found.info.path) if found.info is not None else None,
        "controller": {"class": found.launcher, "state": _controller(found)},
        "engines": _engines(found),
        "running": found.condition is ClusterCondition.RUNNING,
        "condition": found.condition.value,
        "why": found.why,
        "by_hand": found.is_by_hand,
        "live_engines": None if found.engines is None else list(found.engines),
        "age_s": None if age_s is None else round(age_s, 1),
    }


def _cluster(found: Found) -> Json:
    cluster = found.cluster
    return {
        "cluster_id": found.cluster_id,
        "profile": found.profile,
        "profile_dir": str(found.profile_dir),
        "n": found.n_wanted if found.n_wanted is not None else len(found.engines or ()),
        "controller_args": [] if cluster is None else list(cluster.controller_args),
        "controller_ip": "" if cluster is None else cluster.controller_ip,
        "controller_location": "" if cluster is None else cluster.controller_location,
        "class": "hippodrome.cluster.cluster.Cluster",
    }


def _controller(found: Found) -> Json:
    if found.cluster is not None and found.cluster.controller is not None and not found.is_by_hand:
        return _process(found.cluster.controller)
    state = "running" if found.is_there else "after"
    info = found.info
    return {
        "state": state,
        "pid": None if info is None else info.pid,
        "host": None if info is None else info.host,
        "profile_dir": str(found.profile_dir),
        "cluster_id": found.cluster_id,
    }


def _engines(found: Found) -> Json:
    cluster = found.cluster
    if cluster is None:
        return {"class": "by hand", "sets": {}}
    sets = {name: _engine_set(launcher) for name, launcher in cluster.engines.items()}
    return {"class": cluster.engine_launcher_class.name, "sets": sets}


def _engine_set(launcher: EngineSetLauncher) -> Json:
    told = {"n": launcher.n, "launched": launched_json(launcher.state())}
    return _process(launcher) | told


def _process(launcher: Launcher) -> Json:
    told = launcher.to_dict()
    return {
        "pid": told.get("pid"),
        "profile_dir": told.get("profile_dir"),
        "cluster_id": told.get("cluster_id"),
        "output_file": told.get("log_file"),
        "state": "running" if launcher.running else "after",
    }
