"""What a program is told that waits for a cluster to connect to: for what, and where."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hippodrome.client.looks.words import some
from hippodrome.display import write
from hippodrome.errors import ConnectionFileError
from hippodrome.security.connection_file import clusters_beside, read

SAY_AFTER_S: Final = 1.0
_MOST_NAMED: Final = 5


class Seeking:
    """Says once, after a second, what is waited for.

    Args:
        path: of the connection file; None if the addresses were given.
        timeout_s: for how long it is waited.
        say: shows a line to the user.
    """

    def __init__(
        self, path: Path | None, timeout_s: float, say: Callable[[str], None] | None = None
    ) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._say = say or _say
        self._due = time.monotonic() + SAY_AFTER_S
        self._has_said = timeout_s <= SAY_AFTER_S

    def look(self) -> None:
        """Say it, if it is time to, and has not been said."""
        if not self._has_said and time.monotonic() >= self._due:
            self._has_said = True
            self._say(f"waiting up to {self._timeout_s:g} s for a cluster: {self._state()}")

    def _state(self) -> str:
        if self._path is None:
            return "the controller does not answer yet"
        if not os.path.exists(self._path):
            return (
                f"there is no {self._path} yet (ipcluster start makes it, and hippodrome.Cluster)"
                f"{others(self._path)}"
            )
        try:
            info = read(self._path)
        except ConnectionFileError as error:
            return str(error)
        return (
            f"{self._path} is there, and its controller (process {info.pid} on {info.host}) "
            f"does not answer yet; a new one may take its place{others(self._path)}"
        )


def others(path: Path) -> str:
    """Return what else there is beside the connection file at *path*, as the end of a sentence."""
    found = [repr(one) for one in clusters_beside(path)]
    if not found:
        return ""
    noun = "a cluster" if len(found) == 1 else "clusters"
    return f"; this profile has {noun} with cluster_id={some(found, _MOST_NAMED)}"


def _say(text: str) -> None:
    write(sys.stderr, f"{text}\n")
