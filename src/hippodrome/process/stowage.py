"""Files where buffers wait that memory is too good for.

A file has no name, so that nothing stays behind, and holds many buffers. Its room is given back
when the last of them is not needed any more. What is in it is mapped: pages come in when they are
sent, and are let go of now and then.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from hippodrome.protocol.frames import Buffer

FILE_BYTES: Final = 64 << 20
LET_GO_BYTES: Final = 16 << 20
SPARE: Final = 0.1  # of the file system is left to others
DIRECTORY: Final = Path("/var/tmp")  # noqa: S108 - a disk, where /tmp may be memory


class Stowage:
    """Where to `put` buffers."""

    def __init__(self, directory: Path = DIRECTORY, file_bytes: int = FILE_BYTES) -> None:
        self._directory = directory if directory.is_dir() else Path(tempfile.gettempdir())
        self._file_bytes = file_bytes
        self._file: _File | None = None

    def put(self, buffer: Buffer) -> Buffer | None:
        """Return *buffer* as it is in a file; None if there is no room."""
        view = memoryview(buffer).cast("B")
        with suppress(OSError, ValueError):  # full, not writable, or no descriptor is left
            if not self._has_room(view.nbytes):
                return None
            file = self._file
            if file is None or file.left_bytes < view.nbytes:
                if file is not None:
                    file.let_go()
                file = self._file = _File(self._directory, max(view.nbytes, self._file_bytes))
            return file.write(view)
        return None

    def has(self, buffer: Buffer) -> bool:
        """Tell whether *buffer* came from `put`."""
        if not isinstance(buffer, memoryview):
            return False
        return buffer.readonly and isinstance(buffer.obj, mmap.mmap)

    def _has_room(self, size_bytes: int) -> bool:
        found = os.statvfs(self._directory)
        spare = int(found.f_blocks * SPARE)
        return (found.f_bavail - spare) * found.f_frsize > size_bytes


class _File:
    """One file, written from its beginning to its end."""

    def __init__(self, directory: Path, size_bytes: int) -> None:
        with tempfile.TemporaryFile(dir=directory, prefix="hippodrome-") as file:
            file.truncate(size_bytes)
            self._descriptor = os.dup(file.fileno())
        self._map: mmap.mmap | None = None
        try:
            self._map = mmap.mmap(self._descriptor, size_bytes, prot=mmap.PROT_READ)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._size_bytes = size_bytes
        self._at = 0
        self._let_go_at = 0

    def __del__(self) -> None:
        if self._map is not None:
            os.close(self._descriptor)  # the map has one of its own

    @property
    def left_bytes(self) -> int:
        return self._size_bytes - self._at

    def write(self, view: memoryview) -> memoryview:
        start, end = self._at, self._at + view.nbytes
        while self._at < end:
            self._at += os.pwrite(self._descriptor, view[self._at - start :], self._at)
        assert self._map is not None
        if end - self._let_go_at >= LET_GO_BYTES:
            self._let_go_at = end
            self.let_go()
        return memoryview(self._map)[start:end]

    def let_go(self) -> None:
        """Let go of all pages: they stay in the file, and come in again when they are read."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
