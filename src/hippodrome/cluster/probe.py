"""What one host is like: ``python -m hippodrome.cluster.probe`` tells ``ipcluster doctor`` of it.

It reads from its input which addresses to try. No secret is needed, and none is told.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hippodrome import _version, paths
from hippodrome.errors import ClusterError
from hippodrome.protocol.version import PROTOCOL
from hippodrome.transport.reach import reach

PACKAGES: Final = ("pyzmq", "msgspec", "cloudpickle", "numpy", "ipython")
MOST_ADDRESSES: Final = 64
REACH_S: Final = 5.0
N_SYNCS: Final = 50
_SYNCS_S: Final = 5.0
_SHM: Final = Path("/dev/shm")  # noqa: S108 - it is looked at only
_PIDS: Final = Path("/sys/fs/cgroup/pids.max")

Facts = dict[str, Any]  # Any: whatever JSON may hold


def facts_of(directory: Path, addresses: Iterable[str] = ()) -> Facts:
    """Return what this host is like.

    Args:
        directory: where files of clusters are, or would be.
        addresses: of a controller, to try from here.
    """
    reached = reach(list(addresses)[:MOST_ADDRESSES], REACH_S)
    return {
        "host": socket.gethostname(),
        "system": platform.platform(terse=True),
        "versions": versions(),
        "time": time.time(),
        "limits": limits(),
        "rooms": rooms(directory),
        "runtime": runtime(),
        "syncs": syncs(directory),
        "addresses": [{"address": one.address, "trouble": one.trouble} for one in reached],
    }


def versions() -> Facts:
    """Return the versions of what both sides should have alike."""
    told: Facts = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "hippodrome": _version.__version__,
        "protocol": PROTOCOL,
    }
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            told[package] = importlib.metadata.version(package)
    return told


def limits() -> Facts:
    """Return how many files and processes this user may have; None where there is no limit."""
    import resource

    told: Facts = {}
    for name, kind in (("files", resource.RLIMIT_NOFILE), ("processes", resource.RLIMIT_NPROC)):
        numbers = (None if n == resource.RLIM_INFINITY else n for n in resource.getrlimit(kind))
        told[name] = list(numbers)
    with suppress(OSError, ValueError):
        told["tasks"] = int(_PIDS.read_text())
    return told


def rooms(directory: Path) -> Facts:
    """Return how many bytes are free where we write, by the place."""
    places = {"profile": directory, "temporary": Path(tempfile.gettempdir()), "shared": _SHM}
    told: Facts = {}
    for name, place in places.items():
        found = _there(place)
        try:
            told[name] = {"path": str(place), "free": shutil.disk_usage(found).free}
            told[name]["writable"] = os.access(found, os.W_OK)
        except OSError as error:
            told[name] = {"path": str(place), "trouble": error.strerror}
    return told


def runtime() -> Facts:
    """Return where sockets go, and why they cannot."""
    try:
        return {"path": str(paths.runtime_dir())}
    except (ClusterError, OSError) as error:
        return {"trouble": str(error)}


def syncs(directory: Path) -> Facts:
    """Return how long it takes to have small pieces of a file on disk, as records are."""
    began = time.monotonic()
    n = 0
    try:
        with tempfile.TemporaryFile(dir=_there(directory)) as file:
            while n < N_SYNCS and time.monotonic() - began < _SYNCS_S:
                file.write(b"x" * 512)
                file.flush()
                os.fsync(file.fileno())
                n += 1
    except OSError as error:
        return {"trouble": error.strerror}
    return {"n": n, "seconds": round(time.monotonic() - began, 4)}


def _there(place: Path) -> Path:
    """Return the nearest folder above that exists."""
    return next((one for one in (place, *place.parents) if one.exists()), Path("/"))


def main() -> int:
    """Tell it of this host."""
    asked: Any = json.loads(sys.stdin.read() or "{}")
    directory = paths.find_profile_dir(asked.get("profile"))
    addresses = [one for one in asked.get("addresses", []) if isinstance(one, str)]
    print(json.dumps(facts_of(directory, addresses)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
