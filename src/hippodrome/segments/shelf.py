"""The objects of one host, as files: pieces of them are written as they come, and read as they go.

They lie among the segments, so that whoever is on this host maps them. Where there is no room, or
are no segments, they may be put in files without names instead, of which only this process knows.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hippodrome.process.descriptors import write_all
from hippodrome.segments.files import has_space, map_file
from hippodrome.segments.reference import Buffer

SPARE_DIRECTORY: Final = Path("/var/tmp")  # noqa: S108 - a disk, where /tmp may be memory


class Shelf:
    """Puts, reads and removes objects.

    Args:
        directory: of the segments of this host; empty if there are none.
        spare: whether what finds no room there may be put on disk, out of sight of others.
    """

    def __init__(self, directory: str, *, spare: bool = False) -> None:
        self._directory = directory
        self._has_spare = spare
        self._stowed: dict[str, int] = {}  # descriptors

    def is_shared(self, name: str) -> bool:
        """Tell whether others on this host can map an object, if it is here."""
        return name not in self._stowed

    def put(self, name: str, at: int, size: int, data: Buffer) -> None:
        """Write a piece of an object; those before it have been written.

        Raises:
            OSError: there is no room.
        """
        if at == 0:
            self.remove([name])
            self._begin(name, size)
        descriptor = self._stowed.get(name)
        if descriptor is not None:
            _write_at(descriptor, at, data)
            return
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path(name), flags)
        try:
            _write_at(descriptor, at, data)
        finally:
            os.close(descriptor)

    def size(self, name: str) -> int:
        """Return how many bytes an object has.

        Raises:
            OSError: it is not here.
        """
        return os.stat(self._stowed.get(name, self._path(name))).st_size

    def read(self, name: str, at: int, n: int) -> Buffer:
        """Return a piece of an object, mapped.

        Raises:
            OSError: it is not here.
        """
        stowed = self._stowed.get(name)
        if stowed is not None:
            return map_file(stowed, n, at)
        descriptor = os.open(self._path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)  # for as long as it is mapped
            return map_file(descriptor, n, at)
        finally:
            os.close(descriptor)

    def whole(self, name: str) -> Buffer:
        """Return an object.

        Raises:
            OSError: it is not here.
        """
        return self.read(name, 0, self.size(name))

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; it does not matter whether they are here."""
        for name in names:
            descriptor = self._stowed.pop(name, None)
            if descriptor is not None:
                os.close(descriptor)
            elif self._directory:
                with contextlib.suppress(OSError):
                    os.unlink(self._path(name))

    def close(self) -> None:
        """Let go of what is on disk."""
        self.remove(list(self._stowed))

    def _begin(self, name: str, size: int) -> None:
        if self._directory and has_space(self._directory, size):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with contextlib.suppress(OSError):  # the directory is gone
                os.close(os.open(self._path(name), flags, 0o600))
                return
        if not self._has_spare:
            raise OSError(f"no room for {size} bytes in shared memory")
        directory = SPARE_DIRECTORY if SPARE_DIRECTORY.is_dir() else Path(tempfile.gettempdir())
        if not has_space(str(directory), size):
            raise OSError(f"no room for {size} bytes in {directory}")
        with tempfile.TemporaryFile(dir=directory, prefix="hippodrome-") as file:
            self._stowed[name] = os.dup(file.fileno())

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)


def _write_at(descriptor: int, at: int, data: Buffer) -> None:
    os.lseek(descriptor, at, os.SEEK_SET)
    write_all(descriptor, memoryview(data).cast("B"))
