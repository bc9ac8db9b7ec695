"""Which cell has started which cluster, so that one that runs again tells of the former one.

A name that is bound anew lets nobody stop what it was bound to before: the former cluster goes on,
as it may be meant to. So it is not stopped, but named.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final  # Any: IPython's shell, which is not typed

from hippodrome.display import running_shell, write

if TYPE_CHECKING:
    from hippodrome.cluster.state import ClusterState


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a cell.

    Attributes:
        name: the notebook's name for the cell if it says one, else its text.
        run: which run this is, of all cells.
    """

    name: str
    run: int


_started: Final[list[tuple[Cell, weakref.ref[ClusterState]]]] = []  # those that run


def note_start(cluster: ClusterState, say: Callable[[str], None] | None = None) -> None:
    """Note that the cell which runs has started *cluster*; tell of what it has started before."""
    cell = running_cell(running_shell())
    running = [(by, ref) for by, ref in _started if (one := ref()) is not None and one.is_running]
    if cell is not None:
        running.append((cell, weakref.ref(cluster)))
    _started[:] = running
    former = [ref() for by, ref in running if cell and by.name == cell.name and by.run != cell.run]
    for one in former:
        if one is not None:
            (say or _say)(
                f"the cluster {one.cluster_id!r}, which this cell started before, still runs; "
                f"Cluster.from_file({str(one.cluster_file)!r}).stop_cluster_sync() stops it"
            )


def running_cell(shell: Any) -> Cell | None:
    """Return the cell that *shell* runs; None if it runs none, or cannot tell."""
    run, inputs = getattr(shell, "execution_count", None), getattr(shell, "user_ns", {}).get("In")
    if not isinstance(run, int) or not isinstance(inputs, list) or not inputs:
        return None
    name = _name_of(shell) or inputs[-1]
    return Cell(name, run) if isinstance(name, str) and name.strip() else None


def _name_of(shell: Any) -> str:
    """Return what the notebook calls the cell; empty if it does not say."""
    parent = getattr(shell, "parent_header", None)
    metadata = parent.get("metadata") if isinstance(parent, dict) else None
    name = metadata.get("cellId") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def _say(text: str) -> None:
    write(sys.stderr, f"{text}\n")
