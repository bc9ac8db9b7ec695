"""Modules that clients have sent: in a folder of this engine's own, on the path of its imports.

The folder goes when the engine does; the supervisor sees to that. Each upload of a name takes the
place of the one before, also of what has been imported of it.
"""

from __future__ import annotations

import importlib
import io
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hippodrome.protocol.ids import digest_of
from hippodrome.protocol.ranges import ENGINES_MODULES
from hippodrome.serialize.arrivals import drop_stand_ins

UNPACKED_BYTES: Final = 1 << 30
MEMBERS: Final = 100_000


class ReceivedUploads:
    """The archives that clients have sent to this engine.

    Args:
        own: has a folder removed when this process has ended.
    """

    def __init__(self, own: Callable[[str], None] = lambda path: None) -> None:
        self._own = own
        self._root: Path | None = None
        self._there: dict[str, tuple[bytes, Path]] = {}  # by name: digest of the archive, folder
        self._n_taken = 0

    def take(self, name: str, archive: bytes) -> None:
        """Let tasks import what is in *archive*.

        Args:
            name: whose former archive it replaces.
            archive: a ZIP file, of modules and packages.

        Raises:
            ValueError: it is none, or is too large, or has members that would lie elsewhere.
            OSError: it cannot be written.
        """
        digest = digest_of(archive)
        before = self._there.get(name)
        if before is not None and before[0] == digest:
            return
        members = _members(archive)
        folder = self._new_folder()
        try:
            for path, data in members.items():
                file = folder.joinpath(*path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._there[name] = digest, folder
        _find_in(folder, None if before is None else before[1])
        _forget_modules({path[0].partition(".")[0] for path in members})
        if before is not None:
            _forget_modules({entry.name.partition(".")[0] for entry in before[1].iterdir()})
            shutil.rmtree(before[1], ignore_errors=True)

    def _new_folder(self) -> Path:
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="hippodrome-uploads-"))
            self._own(str(self._root))
        self._n_taken += 1
        folder = self._root / str(self._n_taken)
        folder.mkdir(mode=0o700)
        return folder


def _members(archive: bytes) -> dict[tuple[str, ...], bytes]:
    """Return the files of an archive, by the parts of their paths.

    Raises:
        ValueError: it is no archive, or not one that may be unpacked.
    """
    found: dict[tuple[str, ...], bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as file:
            infos = [info for info in file.infolist() if not info.is_dir()]
            size_bytes = sum(info.file_size for info in infos)
            if len(infos) > MEMBERS or size_bytes > UNPACKED_BYTES:
                raise ValueError(f"{len(infos)} files of {size_bytes} bytes are too much")
            paths = [_checked(info.filename) for info in infos]
            for path, info in zip(paths, infos, strict=True):
                found[path] = file.read(info)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValueError(f"what was uploaded is no ZIP archive of modules: {error}") from None
    return found


def _checked(name: str) -> tuple[str, ...]:
    parts = tuple(name.split("/"))
    if any(part in ("", ".", "..") or {"\\", ":", "\0"} & set(part) for part in parts):
        raise ValueError(f"an archive that is uploaded cannot have a member {name!r}")
    if parts[0].partition(".")[0] in ENGINES_MODULES:
        raise ValueError(f"an archive cannot have {name!r}: engines need a module of that name")
    return parts


def _find_in(folder: Path, before: Path | None) -> None:
    """Let imports look into *folder* first, and not where the last one was."""
    path = sys.path if isinstance(sys.path, list) else []
    sys.path = [str(folder), *(entry for entry in path if entry != str(before))]
    importlib.invalidate_caches()
    drop_stand_ins()


def _forget_modules(names: set[str]) -> None:
    """Let what is imported next be what there is now."""
    for name in list(sys.modules):
        if name.partition(".")[0] in names:
            del sys.modules[name]


_uploads = ReceivedUploads()


def offer(own: Callable[[str], None]) -> None:
    """Take uploads from now on; the folder of an engine that has ended is to be removed."""
    global _uploads
    _uploads = ReceivedUploads(own)


def take(name: str, archive: bytes) -> None:
    """Let tasks of this process import what is in an archive; see `ReceivedUploads.take`."""
    _uploads.take(name, archive)
