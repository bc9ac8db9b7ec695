"""Segments that outlive the task that made them: second names, in a directory of their own.

Whoever is done with a segment removes its first name, as ever. The scheduler makes the second
before that can happen; the hub, which keeps what records need, removes it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Final

from hippodrome.segments import reference
from hippodrome.segments.reference import Buffer

KEPT: Final = ".kept"
SHARE: Final = 0.25  # of the file system, at most


class KeptSegments:
    """The kept segments of one controller.

    Args:
        directory: that of all its segments.
        token: begins each reference.
    """

    def __init__(self, directory: str, token: bytes) -> None:
        self._parent = directory
        self._directory = os.path.join(directory, KEPT)
        self._token = token
        self._n_lent = 0

    def open(self) -> None:
        """Make the directory.

        Raises:
            OSError: there is no room, or it is gone.
        """
        os.makedirs(self._directory, mode=0o700, exist_ok=True)

    def name_in(self, frame: Buffer) -> str | None:
        """Return the segment that *frame* refers to; None if it is a buffer like any other."""
        return reference.decode(self._token, frame)

    def keep(self, names: Iterable[str]) -> None:
        """Give segments their second names; those that are gone are passed over."""
        for name in names:
            with contextlib.suppress(OSError):
                os.link(os.path.join(self._parent, name), self._path(name))

    def size_of(self, name: str) -> int | None:
        """Return how many bytes a segment has; None if it is not here."""
        try:
            return os.stat(self._path(name)).st_size
        except OSError:
            return None

    def lend_again(self, name: str) -> bytes:
        """Return a new reference to a segment, for one who takes it over.

        Raises:
            OSError: it is not here.
        """
        self._n_lent += 1
        again = f"kept-{self._n_lent}"
        os.link(self._path(name), os.path.join(self._parent, again))
        return reference.encode(self._token, again)

    def open_file(self, name: str) -> int:
        """Return a descriptor to read a segment from.

        Raises:
            OSError: it is not here.
        """
        return os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC)

    def remove(self, name: str) -> None:
        """Remove the second name of a segment."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(name))

    def share_bytes(self) -> int:
        """Return how many bytes may be kept, so that there is room for what is under way."""
        try:
            found = os.statvfs(self._parent)
        except OSError:
            return 0
        return int(found.f_blocks * found.f_frsize * SHARE)

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)
