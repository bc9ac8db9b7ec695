"""Where files live: IPython's profiles, and the private directory of the sockets.

Nothing here imports IPython, because a connection must not wait for it. Directories that hold
secrets or sockets are 0700; one that somebody else owns or may write to is refused, never mended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from hippodrome.errors import ClusterError

SOCKET_PATH_MAX_BYTES: Final = 107
SOCKET_NAME: Final = "endpoint"
_YOUNG_S: Final = 60.0


class PathText(str):
    """A path that is text in every respect, and has what a `Path` has besides.

    Like any text it is equal to no `Path`, and it is pickled as text.
    """

    __slots__ = ()

    def __truediv__(self, other: str | os.PathLike[str]) -> Path:
        return Path(self) / other

    def __fspath__(self) -> str:
        return str(self)

    def __getattr__(self, name: str) -> Any:  # Any: whatever a `Path` has there
        return getattr(Path(self), name)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


def ipython_dir(given: str | Path | None = None) -> Path:
    """Return IPython's directory: *given*, else ``$IPYTHONDIR``, else ``~/.ipython``.

    Where only ``$XDG_CONFIG_HOME/ipython`` exists, as in very old installations, it is that.
    """
    if given:
        return _absolute(given)
    if from_environment := os.environ.get("IPYTHONDIR"):
        return _absolute(from_environment)
    usual = Path.home() / ".ipython"
    config_home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    old = _absolute(config_home) / "ipython"
    return old if old.is_dir() and not usual.exists() else usual


def find_profile_dir(
    profile: str | None = None,
    profile_dir: str | Path | None = None,
    ipython_dir_: str | Path | None = None,
) -> Path:
    """Return where a profile is or would be; nothing is created.

    Args:
        profile: a profile's name; None or empty for ``default``.
        profile_dir: a whole path, which wins over *profile*.
        ipython_dir_: as for `ipython_dir`.

    Raises:
        ClusterError: *profile* is a path and no name.
    """
    if profile_dir:
        return _absolute(profile_dir)
    name = profile or "default"
    if name in (".", "..") or "/" in name or os.sep in name:
        raise ClusterError(
            f"{name!r} is no name of a profile: use profile_dir (--profile-dir) to give a path"
        )
    return ipython_dir(ipython_dir_) / f"profile_{name}"


def profile_dir(
    profile: str | None = None,
    profile_dir: str | Path | None = None,
    ipython_dir: str | Path | None = None,
) -> Path:
    """Return a profile's directory, made if missing, with its ``security``, ``log``, ``pid``.

    Args:
        profile: a profile's name; None or empty for ``default``.
        profile_dir: a whole path, which wins over *profile*.
        ipython_dir: IPython's directory; by default as IPython finds it.

    Raises:
        ClusterError: it cannot be made or written to.
    """
    directory = find_profile_dir(profile, profile_dir, ipython_dir)
    try:
        security_dir(directory)
        log_dir(directory)
        pid_dir(directory)
    except OSError as error:
        raise ClusterError(
            f"cannot write to the profile {directory} ({error.strerror}): "
            "choose another with --profile-dir, or change its permissions"
        ) from error
    return directory


def security_dir(profile_dir: Path) -> Path:
    """Return the profile's directory of connection files, 0700, made if missing."""
    return _made(profile_dir / "security", 0o700)


@contextlib.contextmanager
def one_at_a_time(directory: Path) -> Iterator[None]:
    """Keep other processes out of the same block for *directory*; leaves no file behind."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a file system without locks must still do
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def log_dir(profile_dir: Path) -> Path:
    """Return the profile's directory of log files, made if missing."""
    return _made(profile_dir / "log", 0o755)


def pid_dir(profile_dir: Path) -> Path:
    """Return the profile's directory of process ids, made if missing."""
    return _made(profile_dir / "pid", 0o755)


def runtime_dir() -> Path:
    """Return this user's 0700 directory for sockets, on local disk, made if missing.

    ``$XDG_RUNTIME_DIR/hippodrome`` where that can be used, else one under the system's
    temporary directory.

    Raises:
        ClusterError: somebody else owns the directory or may write to it.
    """
    import tempfile  # costs milliseconds, and engines do without

    candidates = [Path(tempfile.gettempdir()) / f"hippodrome-{os.geteuid()}"]
    if from_environment := os.environ.get("XDG_RUNTIME_DIR"):
        base = Path(from_environment)
        if base.is_absolute() and base.is_dir() and os.access(base, os.W_OK | os.X_OK):
            candidates.insert(0, base / "hippodrome")
    # mkdtemp adds nine bytes, and the socket's own name follows
    fitting = [path for path in candidates if len(os.fsencode(path)) + 20 <= SOCKET_PATH_MAX_BYTES]
    if not fitting:
        raise ClusterError(
            f"{candidates[-1]} is too long a path for sockets: set TMPDIR to a shorter one"
        )
    return _private(fitting[0])


def new_socket_dir(before: str = "") -> Path:
    """Make a 0700 directory for one controller's sockets; its maker removes it.

    Args:
        before: one of an earlier controller, to be taken again if nobody has it.

    Raises:
        ClusterError: as for `runtime_dir`.
    """
    import tempfile

    base = runtime_dir()
    again = Path(before)
    if before and again.parent == base:
        with contextlib.suppress(OSError):
            if again.is_dir() and not _is_in_use(again):
                _remove_tree(again)
            again.mkdir(mode=0o700)
            return again
    return Path(tempfile.mkdtemp(prefix="", dir=base))


def _remove_tree(directory: Path) -> None:
    import shutil

    shutil.rmtree(directory, ignore_errors=True)


def sweep_socket_dirs() -> int:
    """Remove what killed controllers left in `runtime_dir`, and return how many that were.

    A directory is left alone while anything listens on a socket in it, which is true of other
    containers' controllers as well, or while it is young enough to be in the making.
    """
    import shutil

    removed = 0
    for directory in runtime_dir().iterdir():
        with contextlib.suppress(OSError):
            if _is_abandoned(directory):
                shutil.rmtree(directory)
                removed += 1
    return removed


def remove_socket_dirs(addresses: Iterable[str]) -> None:
    """Remove the directories of those of *addresses* that are sockets in `runtime_dir`."""
    import shutil

    base = runtime_dir()
    for address in addresses:
        directory = Path(address.removeprefix("ipc://")).parent
        if address.startswith("ipc://") and directory.parent == base:
            shutil.rmtree(directory, ignore_errors=True)


def is_full(path: str | Path) -> bool:
    """Tell whether nothing more can be written where *path* is."""
    with contextlib.suppress(OSError):
        return os.statvfs(path).f_bavail == 0
    return False


def is_listening(path: str | Path) -> bool:
    """Say whether some process accepts connections on the unix socket at *path*."""
    return socket_trouble(path) is None


def socket_trouble(path: str | Path) -> OSError | None:
    """Return why the unix socket at *path* accepts no connection, None if it does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except BlockingIOError:
            return None  # its backlog is full: it lives
        except OSError as error:
            return error
    return None


def _is_abandoned(directory: Path) -> bool:
    if _is_in_use(directory):
        return False
    # the file system's clock is the wall clock, and this decides about rubbish only
    return time.time() - directory.stat().st_mtime > _YOUNG_S


def _is_in_use(directory: Path) -> bool:
    return any(path.is_socket() and is_listening(path) for path in directory.iterdir())


def _private(directory: Path) -> Path:
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise ClusterError(f"{directory} should be a directory: remove it")
    if found.st_uid != os.geteuid():
        raise ClusterError(f"{directory} belongs to another user: set TMPDIR to a place of yours")
    if found.st_mode & 0o077:
        raise ClusterError(f"{directory} is open to other users: chmod 700 {directory}")
    return directory


def _made(directory: Path, mode: int) -> Path:
    directory.mkdir(mode=mode, parents=True, exist_ok=True)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError(13, "Permission denied", str(directory))
    return directory


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(Path(path).expanduser()))
