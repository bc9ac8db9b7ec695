"""Archives of modules that `Client.upload` sends, and keeps for engines that join."""

from __future__ import annotations

import io
import os
import sys
import weakref
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from hippodrome.display import write
from hippodrome.protocol.messages import EngineId, EngineInfo
from hippodrome.protocol.ranges import ENGINES_MODULES

LIMIT_BYTES: Final = 256 << 20  # of all that one client keeps
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)  # so that what has not changed has the same digest
_SKIPPED: Final = ("__pycache__",)
_ARCHIVES: Final = (".zip", ".whl")


class Uploads:
    """Archives by name, of a bounded size.

    Args:
        limit_bytes: of all together.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._archives: dict[str, bytes] = {}

    def items(self) -> list[tuple[str, bytes]]:
        """Return names and archives."""
        return list(self._archives.items())

    def keep(self, name: str, archive: bytes) -> bool:
        """Keep an archive in the place of the last one of that name; return whether none was kept.

        Raises:
            ValueError: there is no room for it.
        """
        others = sum(len(kept) for key, kept in self._archives.items() if key != name)
        if others + len(archive) > self._limit_bytes:
            raise ValueError(
                f"{name!r} takes {len(archive):,} bytes packed, and a client keeps "
                f"{self._limit_bytes:,} of all that it uploads: install it on the engines' hosts"
            )
        is_first = not self._archives
        self._archives[name] = archive
        return is_first


def pack(
    what: str | os.PathLike[str] | ModuleType, limit_bytes: int = LIMIT_BYTES
) -> tuple[str, bytes]:
    """Return the name of what is to be uploaded, and its archive.

    Args:
        what: a module, or the path of a ``.py`` file, a package's folder, a ZIP file or a wheel.
        limit_bytes: of its files.

    Raises:
        FileNotFoundError: there is nothing at that path.
        TypeError: it is none of these.
        ValueError: it is too large, or has a name by which it could not be imported.
    """
    path = _path_of(what)
    if what == "" or not path.exists():
        raise FileNotFoundError(f"there is no {str(what)!r} to upload")
    if path.suffix in _ARCHIVES:
        if not zipfile.is_zipfile(path):
            raise ValueError(f"{str(path)!r} is no ZIP archive")
        return path.name.partition("-")[0].removesuffix(path.suffix), path.read_bytes()
    name = _importable_name(path)
    files = {path.name: path} if path.is_file() else dict(_files(path))
    if sum(file.stat().st_size for file in files.values()) > limit_bytes:
        raise ValueError(f"{str(path)!r} has more than {limit_bytes:,} bytes")
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, file in sorted(files.items()):
            info = zipfile.ZipInfo(member, _LONG_AGO)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, file.read_bytes())
    return name, data.getvalue()


def _importable_name(path: Path) -> str:
    """Return the name by which a module or package is imported.

    Raises:
        ValueError: it cannot be, or must not be.
    """
    name = path.stem if path.is_file() else path.name
    if not name.isidentifier() or (path.is_file() and path.suffix != ".py"):
        raise ValueError(f"{str(path)!r} is no module or package: {path.name!r} is not importable")
    if name in ENGINES_MODULES:
        raise ValueError(f"{name!r} is the name of a module that engines need themselves")
    return name


def _path_of(what: str | os.PathLike[str] | ModuleType) -> Path:
    if isinstance(what, str | os.PathLike):
        return Path(what).absolute()
    if not isinstance(what, ModuleType):
        raise TypeError(f"upload takes a path or a module, not {type(what).__name__}")
    name = what.__name__
    if "." in name:
        top = name.partition(".")[0]
        raise ValueError(f"{name!r} is part of a package: upload {top!r}")
    folders = list(getattr(what, "__path__", ()))
    file = folders[0] if folders else getattr(what, "__file__", None)
    if not file:
        raise ValueError(f"module {name!r} has no file to upload")
    return Path(file).absolute()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in folder.rglob("*"):
        parts = file.relative_to(folder.parent).parts
        is_hidden = any(part in _SKIPPED or part.startswith(".") for part in parts[1:])
        if file.is_file() and not is_hidden:
            yield "/".join(parts), file


def sender(
    uploads: Uploads, ref: weakref.WeakMethod[Any], known: set[EngineId]
) -> Callable[[Mapping[EngineId, EngineInfo], Mapping[EngineId, str]], None]:
    """Return what sends to engines that join, on the I/O thread, all that was uploaded.

    Args:
        uploads: all that.
        ref: leads to a method that sends an archive to engines, and returns a future.
        known: the engines that have it.
    """

    def look(present: Mapping[EngineId, EngineInfo], _left: Mapping[EngineId, str]) -> None:
        send, new = ref(), sorted(present.keys() - known)
        known.update(new)
        if send is not None and new:
            for name, archive in uploads.items():
                send(new, name, archive).add_done_callback(partial(_tell_failure, name))

    return look


def _tell_failure(name: str, result: Future[Any]) -> None:
    error = result.exception()
    if error is not None:
        write(sys.stderr, f"{name!r} was not uploaded to engines that joined: {error}\n")
