"""Where the processes of a cluster write what they log, and the last of it.

A program that a launcher started logs into a file that the cluster file names. One that was
started by hand logs to its terminal, or with ``--log-to-file`` into a file that has the number of
its process in its name.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hippodrome.cluster.found import Found
from hippodrome.cluster.holder import is_here

_CONTROLLER: Final = "ipcontroller"
_TAIL_BYTES: Final = 1 << 18
_PIECE_BYTES: Final = 1 << 16


def controller_logs(found: Found) -> list[Path]:
    """Return the files that the controller logs into, or would."""
    if found.cluster is not None and found.cluster.controller is not None and not found.is_by_hand:
        return found.cluster.controller.log_files()
    if found.info is None or not is_here(found.info):
        return []
    path = found.profile_dir / "log" / f"ipcontroller-{found.info.pid}.log"
    return [path] if path.exists() else []


def engine_logs(found: Found, pids: tuple[int, ...] = ()) -> list[Path]:
    """Return the files that supervisors and engines log into.

    Args:
        found: the cluster.
        pids: engines of this host, for those whose supervisor was started by hand.
    """
    launchers = list(found.cluster.engines.values()) if found.cluster is not None else []
    paths = [path for launcher in launchers for path in launcher.log_files()]
    directory = found.profile_dir / "log"
    for pid in dict.fromkeys(filter(None, map(_parent_of, pids))):
        paths += [directory / f"ipengine-{pid}.log", *directory.glob(f"ipengine-{pid}-*.log")]
    return [path for path in dict.fromkeys(paths) if path.exists()]


def ended_logs(profile_dir: Path, cluster_id: str | None = None) -> list[Path]:
    """Return the logs that a cluster has left of which nothing else is left.

    Args:
        profile_dir: its profile.
        cluster_id: its id; None for the one that logged last.
    """
    directory = profile_dir / "log"
    if cluster_id is None:
        newest = max(directory.glob(f"{_CONTROLLER}*.log"), key=_changed, default=None)
        if newest is None:
            return []
        cluster_id = newest.stem.removeprefix(_CONTROLLER).removeprefix("-")
    infix = f"-{cluster_id}" if cluster_id else ""
    path = directory / f"{_CONTROLLER}{infix}.log"
    if not path.exists():
        return []
    engines = re.compile(rf"ipengine{re.escape(infix)}(-\d+)?\.log")
    return [path, *(one for one in sorted(directory.iterdir()) if engines.fullmatch(one.name))]


def _changed(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _parent_of(pid: int) -> int:
    """Return the supervisor of an engine; 0 if there is none, or it is not on this host."""
    import psutil

    with contextlib.suppress(psutil.Error, ValueError):
        return psutil.Process(pid).ppid()
    return 0


def last_lines(path: Path, n: int) -> list[str]:
    """Return the last lines of a file, of its end only; none if it cannot be read."""
    if n <= 0:
        return []
    with contextlib.suppress(OSError), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _TAIL_BYTES))
        data = file.read(_TAIL_BYTES)
        lines = data.decode("utf-8", "replace").splitlines()
        return (lines[1:] if size > _TAIL_BYTES else lines)[-n:]
    return []


@dataclass(slots=True)
class NewLines:
    """The finding that a look at a file has made.

    Attributes:
        lines: whole lines that are new.
        note: what has happened to the file, for people; empty if it only grew.
    """

    lines: list[str]
    note: str = ""


class Follower:
    """Reads what is added to a file, also when another takes its place.

    Args:
        path: the file; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_there: bool = True
        self._place = 0
        self._rest = b""
        self._number = 0
        with contextlib.suppress(OSError):
            found = path.stat()
            self._number, self._place = found.st_ino, found.st_size

    def look(self) -> NewLines:
        """Return what is new; at most some of it, the next look returns more."""
        try:
            with self.path.open("rb") as file:
                found = os.fstat(file.fileno())
                note = self._note(found)
                self.is_there = True
                file.seek(self._place)
                data = file.read(_PIECE_BYTES)
        except OSError:
            was_there, self.is_there = self.is_there, False
            return NewLines([], "the file is gone" if was_there else "")
        self._place += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _PIECE_BYTES:  # a line without an end
            lines, self._rest = [*lines, self._rest], b""
        return NewLines([line.decode("utf-8", "replace") for line in lines], note)

    def _note(self, found: os.stat_result) -> str:
        """Begin at the start again if this is another file, or it was emptied."""
        if found.st_ino == self._number and found.st_size >= self._place:
            return ""
        is_first = self._number == 0
        is_other = found.st_ino != self._number
        self._number, self._place, self._rest = found.st_ino, 0, b""
        return "" if is_first else "a new file took its place" if is_other else "it was emptied"
