"""Files of ipyparallel's clusters, which lie in the same folders under the same names.

They are recognised, so that nobody takes them for damaged ones of ours, and left alone. Only what
nothing runs behind any more gives way to a new controller of the same profile and cluster id.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hippodrome import paths

SIZE_MAX_BYTES: Final = 1 << 16
WHOSE: Final = (
    "is of an ipyparallel cluster, and is left alone: use ipyparallel with that, and with "
    "hippodrome another --profile or --cluster-id"
)
_REACH_S: Final = 1.0
_EVERYWHERE: Final = ("*", "0.0.0.0", "")  # noqa: S104 - it is recognised here, not listened on


def is_foreign(state: object) -> bool:
    """Say whether a file holds what ipyparallel writes into connection files or cluster files."""
    if not isinstance(state, Mapping):
        return False
    cluster = state.get("cluster")
    is_cluster = isinstance(cluster, Mapping) and "version" not in state and "class" in cluster
    return is_cluster or ("interface" in state and "signature_scheme" in state)


def read_foreign(path: Path) -> Mapping[str, Any] | None:  # Any: whatever JSON may hold
    """Return what the file at *path* holds if it is ipyparallel's, else None."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            state = json.loads(file.read(SIZE_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return state if is_foreign(state) else None


def in_the_way(security_dir: Path, cluster_id: str) -> Path | None:
    """Return a file of a running cluster of ipyparallel's that one of ours would replace."""
    infix = f"-{cluster_id}" if cluster_id else ""
    names = [f"ipcontroller{infix}-{role}.json" for role in ("client", "engine")]
    for name in [*names, f"cluster-{cluster_id}.json"]:
        state = read_foreign(security_dir / name)
        if state is not None and runs(state):
            return security_dir / name
    return None


def runs(state: Mapping[str, Any]) -> bool:  # Any: as above
    """Say whether something runs behind a file of ipyparallel's, as far as can be told here."""
    if "interface" in state:
        return _listens(str(state["interface"]), state.get("registration"), state.get("location"))
    controller = state.get("controller")
    told = controller.get("state") if isinstance(controller, Mapping) else None
    pid = told.get("pid") if isinstance(told, Mapping) else None
    return isinstance(pid, int) and _is_ipyparallels(pid)


def _listens(interface: str, port: Any, location: Any) -> bool:  # Any: as above
    if interface.startswith("ipc://"):
        return paths.is_listening(f"{interface.removeprefix('ipc://')}-{port}")
    host = interface.rpartition("/")[2]
    if host in _EVERYWHERE:
        host = str(location) if location and location != socket.gethostname() else "127.0.0.1"
    try:
        socket.create_connection((host, int(port)), _REACH_S).close()
    except (OSError, ValueError, TypeError, OverflowError):
        return False
    return True


def _is_ipyparallels(pid: int) -> bool:
    """Whether a process of this host runs ipyparallel; ids of processes are given again."""
    import psutil

    try:
        return any("ipyparallel" in word for word in psutil.Process(pid).cmdline())
    except (psutil.Error, ValueError, OverflowError):
        return False


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # as a FIFO would make us wait
