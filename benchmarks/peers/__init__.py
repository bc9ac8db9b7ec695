"""The peers, one adapter in each module."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from benchmarks.peers.base import Adapter
from benchmarks.workloads import Workload

OURS: Final = "ours"
PEERS: Final = (
    "floor",
    "executor",
    "pool",
    "loky",
    "ipyparallel",
    "distributed",
    "ray",
    "parsl",
    "executorlib",
)


def adapter(name: str) -> type[Adapter]:
    """Return the adapter for the peer *name*; nothing of the peer itself is loaded."""
    found: type[Adapter] = import_module(f"benchmarks.peers.{name}").ADAPTER
    return found


def why_not(peer: type[Adapter], workload: Workload) -> str | None:
    """Return why *peer* does not run *workload*, None if it does.

    Raises:
        LookupError: it neither has what is needed nor says why not.
    """
    if workload.name in peer.declines:
        return peer.declines[workload.name]
    for need in workload.needs:
        if need in peer.declines:
            return peer.declines[need]
        if not hasattr(peer, need):
            raise LookupError(f"{peer.name} neither has {need!r} nor declines it")
    return None
