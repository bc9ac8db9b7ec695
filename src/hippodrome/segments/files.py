"""Segments as files on a file system in memory: written once, mapped by whoever gets them.

A receiver maps privately, copy on write: what it gets may be written to, the physical pages are
shared for as long as nobody does, and nothing that it does is seen elsewhere. When there is no
room, or no such file system, buffers travel as frames as they always can.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hippodrome.process.descriptors import write_all
from hippodrome.segments import reference
from hippodrome.segments.pool import LOCK, PREFIX, Pool
from hippodrome.segments.reference import LEAST_BYTES, TOKEN, TOKEN_BYTES, Buffer, token_of

ROOT: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own in it, 0700
SPARE: Final = 0.1  # of the file system is left to others
DIRECTORY: Final = "segments"
PROOF: Final = ".proof"  # the file by which a peer sees that it looks into the same memory


class SegmentHome:
    """The directory of one controller's segments, for as long as the controller lives.

    The controller holds a lock in it, which the kernel gives back however the controller ends; a
    directory that is not locked is rubbish, and is removed by the next controller to start.

    Attributes:
        directory: where the segments go; None if there is no place for them.
        token: begins each reference.
    """

    def __init__(self) -> None:
        self.directory: Path | None = None
        self.token: bytes = os.urandom(TOKEN_BYTES)
        self._lock_fd = -1

    def __enter__(self) -> SegmentHome:
        home = _home()
        if home is not None:
            with contextlib.suppress(OSError), _locked(home):
                _sweep(home)
                self._make(home)
        return self

    def _make(self, home: Path) -> None:
        directory = Path(tempfile.mkdtemp(prefix="", dir=home))
        self._lock_fd = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        with open(directory / PROOF, "xb", opener=_private) as proof:
            proof.write(self.token)
        self.directory = directory

    def __exit__(self, *exc_info: object) -> None:
        if self.directory is not None:
            remove_directory(self.directory)
            os.close(self._lock_fd)


def sweep() -> None:
    """Remove what controllers left behind that were killed with all their processes."""
    home = _home()
    if home is not None:
        with contextlib.suppress(OSError), _locked(home):
            _sweep(home)
            home.rmdir()


def remove_directory(directory: str | Path) -> None:
    """Remove a controller's segments; who has mapped one keeps what is in it."""
    shutil.rmtree(directory, ignore_errors=True)
    with contextlib.suppress(OSError):
        Path(directory).parent.rmdir()  # stays while there is another


def _home() -> Path | None:
    """Return this user's 0700 directory, made if missing; None if there can be none."""
    home = ROOT / f"hippodrome-{os.geteuid()}"
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        found = home.lstat()
    except OSError:
        return None
    ours = found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return home if ours and home.is_dir() and not home.is_symlink() else None


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Let nobody sweep while somebody makes a directory, which is not locked at first."""
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(home: Path) -> None:
    for directory in home.iterdir():
        if is_abandoned(directory):
            shutil.rmtree(directory, ignore_errors=True)


def is_abandoned(directory: Path) -> bool:
    """Tell whether the controller whose segments these are is gone without having removed them."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False  # it is being made at this moment
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of one controller, as its processes, clients and engines use them.

    Attributes:
        directory: where the files are.
        token: begins each reference.
        pool: keeps segments, to write them again; None where each is written once.
        least_bytes: of a buffer that goes into a segment.
    """

    directory: str
    token: bytes
    pool: Pool | None = None
    least_bytes: int = LEAST_BYTES

    @classmethod
    def of(cls, info: Mapping[str, str | int], *, pooled: bool = False) -> Segments | None:
        """Return what a welcome announces; None if it announces nothing, or nothing that is here.

        The same path may be another directory on another host, or in a container. So in the
        directory lies a file with the token, which nobody could know there.

        Args:
            info: of the welcome.
            pooled: keep segments for reuse; whoever asks for that must `close` them.
        """
        directory, token = info.get(DIRECTORY), token_of(info)
        if not isinstance(directory, str) or not directory or not token:
            return None
        found = cls(directory, token)
        try:
            if Path(directory, PROOF).read_bytes() != token:
                return None
        except (OSError, ValueError):  # elsewhere, or somebody else's
            return None
        return replace(found, pool=Pool(directory)) if pooled else found

    def announce(self) -> dict[str, str | int]:
        """Return what a welcome says of them."""
        return {DIRECTORY: self.directory, TOKEN: self.token.hex()}

    def lend(self, name: str, buffers: Sequence[Buffer]) -> tuple[Buffer, ...]:
        """Return *buffers* with the large ones replaced by references to segments.

        Args:
            name: begins the names of the segments; of letters, digits, ``-`` and ``_``.
            buffers: not modified, and not needed any more where they were replaced.
        """
        return tuple(self._lend(f"{name}-{i}", buffer) for i, buffer in enumerate(buffers))

    def _lend(self, name: str, buffer: Buffer) -> Buffer:
        view = memoryview(buffer)
        if view.nbytes < self.least_bytes:
            return buffer
        path = os.path.join(self.directory, name)
        if self.pool is not None and self.pool.rewrite(path, view.cast("B")):
            return reference.encode(self.token, name)
        if not self._has_room(view.nbytes):
            return buffer
        try:
            _write(path, view.cast("B"))
            if self.pool is not None:
                self.pool.keep(path, view.nbytes)
        except OSError:  # it has become full in the meantime, or is gone
            with contextlib.suppress(OSError):
                os.unlink(path)
            return buffer
        return reference.encode(self.token, name)

    def _has_room(self, size_bytes: int) -> bool:
        if self._has_space(size_bytes):
            return True
        if self.pool is None:
            return False
        self.pool.clear()
        return self._has_space(size_bytes)

    def _has_space(self, size_bytes: int) -> bool:
        return has_space(self.directory, size_bytes)

    def borrow(self, buffers: Sequence[Buffer]) -> tuple[Buffer, ...]:
        """Return *buffers* with the references replaced by what they refer to.

        Raises:
            OSError: a segment is gone.
        """
        return tuple(self._map(buffer, remove=False) for buffer in buffers)

    def take_over(self, buffers: Sequence[Buffer]) -> tuple[Buffer, ...]:
        """As `borrow`, and remove the segments: nobody else needs them.

        Raises:
            OSError: a segment is gone.
        """
        return tuple(self._map(buffer, remove=True) for buffer in buffers)

    def _map(self, buffer: Buffer, *, remove: bool) -> Buffer:
        name = reference.decode(self.token, buffer)
        if name is None:
            return buffer
        path = os.path.join(self.directory, name)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            # Held for as long as the mapping lives: it keeps the open file, and that the lock.
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if not _is_at(path, descriptor):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            if remove:
                os.unlink(path)
            return map_file(descriptor, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Keep no segments any more."""
        if self.pool is not None:
            self.pool.close()

    def remove_pools(self) -> None:
        """Remove what processes kept that have died."""
        for pool in Path(self.directory).glob(f"{PREFIX}*"):
            if is_abandoned(pool):
                shutil.rmtree(pool, ignore_errors=True)

    def remove(self, names: Sequence[str]) -> None:
        """Remove segments; it does not matter if they are gone already."""
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self.directory, name))


def has_space(directory: str, size_bytes: int) -> bool:
    """Tell whether so much may be written to a directory, of whose room a part is for others."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return False
    spare = int(found.f_blocks * SPARE)
    return (found.f_bavail - spare) * found.f_frsize > size_bytes


def is_here(info: Mapping[str, str | int]) -> bool:
    """Tell whether this process can map the segments that a welcome announces."""
    return Segments.of(info) is not None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _write(path: str, view: memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, view)
    finally:
        os.close(descriptor)


def _is_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def map_file(descriptor: int, size_bytes: int, at: int = 0) -> memoryview:
    """Map a part of a file privately. Not by `mmap.mmap`, which keeps a descriptor for each.

    Raises:
        OSError: it cannot be mapped.
    """
    import ctypes
    import mmap

    libc = _libc()
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    skipped = at % mmap.ALLOCATIONGRANULARITY
    n = size_bytes + skipped
    address = libc.mmap(None, n, protection, mmap.MAP_PRIVATE, descriptor, at - skipped)
    if address is None or address == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    array = (ctypes.c_char * n).from_address(address)
    weakref.finalize(array, libc.munmap, address, n).atexit = False
    return memoryview(array).cast("B")[skipped:]


def _libc() -> Any:  # Any: a library, whose functions ctypes looks up by name
    global _library
    if _library is None:
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        library.mmap.restype = ctypes.c_void_p
        library.mmap.argtypes = (
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_long,
        )
        library.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
        _library = library
    return _library


_library: Any = None
