"""Connection files: the addresses of a controller and the keys to it, one file per role.

They are JSON, and 0600 from their first byte: written to a new file in the same directory and
renamed. One that others can read, that somebody else owns, or that is not what it should be is
refused with a sentence that says what to do.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from hippodrome.errors import ConnectionFileError, ForeignFileError, MissingFileError
from hippodrome.protocol.version import PROTOCOL
from hippodrome.security.foreign import WHOSE, is_foreign
from hippodrome.security.keys import Secret, is_key

ROLES: Final = ("client", "engine")
TO_TCP: Final = "tunnel+tcp://"
TO_IPC: Final = "tunnel+ipc://"
SCHEMES: Final = ("ipc://", "tcp://", TO_TCP, TO_IPC)  # tunnels are in no file, but in hands
KEYED: Final = ("tcp://", TO_TCP)
SIZE_MAX_BYTES: Final = 1 << 16
_ID_MAX_BYTES: Final = 200  # names of files have 255
_POLL_S: Final = 0.01
_MOST_PID: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """The address and keys that a peer needs to connect.

    Attributes:
        role: ``"client"`` or ``"engine"``: what the keys allow.
        addresses: ZeroMQ addresses that may work, best first.
        server_key: the controller's public key, Z85; empty if there is no TCP address.
        public_key: this role's public key, Z85; empty if there is no TCP address.
        secret_key: the secret half of it.
        host: the controller's host name.
        pid: the controller's process id there.
        created: when, in seconds since the epoch; for people only.
        cluster_id: the cluster's id; empty for the default one.
        version: the controller's version of this package.
        protocol: the version of the protocol that it speaks.
        ssh: the host to tunnel through, as ``user@host:port``; empty connects directly.
        path: the file that this was read from.
    """

    role: str
    addresses: tuple[str, ...]
    server_key: str = ""
    public_key: str = ""
    secret_key: Secret = field(default_factory=lambda: Secret(""))
    host: str = ""
    pid: int = 0
    created: float = 0.0
    cluster_id: str = ""
    version: str = ""
    protocol: int = PROTOCOL
    ssh: str = ""
    path: Path | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:  # Any: whatever JSON may hold
        """Return what the file holds, the secret included."""
        content = {name: getattr(self, name) for name in _FILE_FIELDS}
        return content | {
            "addresses": list(self.addresses),
            "secret_key": self.secret_key.reveal(),
        }

    @classmethod
    def from_dict(
        cls, content: Mapping[str, Any], source: str = "connection info"
    ) -> ConnectionInfo:
        """Return what *content* says, after a check of every part of it.

        Args:
            content: as in a connection file. Not modified.
            source: what errors call it.

        Raises:
            ConnectionFileError: something is missing or wrong.
        """
        _check_protocol(content, source)
        known = {name: content[name] for name in _FILE_FIELDS if name in content}
        if trouble := _trouble(known):
            raise ConnectionFileError(f"{source} is damaged ({trouble}): {_START_AGAIN}")
        known["addresses"] = tuple(known["addresses"])
        known["secret_key"] = Secret(known.get("secret_key", ""))
        return cls(**known)


_FILE_FIELDS: Final = tuple(f.name for f in fields(ConnectionInfo) if f.name != "path")
_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "role": str,
    "addresses": list,
    "server_key": str,
    "public_key": str,
    "secret_key": str,
    "host": str,
    "pid": int,
    "created": (int, float),
    "cluster_id": str,
    "version": str,
    "ssh": str,
}
_START_AGAIN: Final = "start ipcontroller again to get a new one"


def nothing_else() -> None:
    """Be what a wait does that looks at nothing but what it waits for."""


def client_file(security_dir: Path, cluster_id: str = "") -> Path:
    """Return the path of the connection file for clients."""
    return security_dir / f"ipcontroller{_infix(cluster_id)}-client.json"


def engine_file(security_dir: Path, cluster_id: str = "") -> Path:
    """Return the path of the connection file for engines and supervisors."""
    return security_dir / f"ipcontroller{_infix(cluster_id)}-engine.json"


def clusters_beside(path: Path) -> list[str]:
    """Return the ids of the clusters whose connection files for clients lie beside *path*."""
    pattern = client_file(Path(), "*").name
    prefix, suffix = pattern.split("*")
    with contextlib.suppress(OSError):
        names = sorted(one.name for one in path.parent.glob(pattern) if one != path)
        return [name[len(prefix) : -len(suffix)] for name in names]
    return []


def write(path: Path, info: ConnectionInfo) -> None:
    """Write *info* to *path*, replacing what is there in one step.

    Raises:
        ConnectionFileError: it cannot be written.
    """
    text = json.dumps(info.to_dict(), indent=2) + "\n"
    try:
        write_private(path, text)
    except OSError as error:
        raise ConnectionFileError(
            f"cannot write the connection file {path}: {error.strerror or error}"
        ) from error


def write_private(path: Path, text: str) -> None:
    """Replace the file at *path* by one that holds *text* and is 0600 from its first byte."""
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read(path: str | Path) -> ConnectionInfo:
    """Return what the connection file at *path* says.

    Raises:
        ConnectionFileError: it is missing, open to others, somebody else's, damaged, or of a
            controller that speaks another version of the protocol.
    """
    path = Path(path)
    text = read_private(path, "connection file")
    source = f"the connection file {path}"
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConnectionFileError(f"{source} is damaged (no JSON): {_START_AGAIN}") from error
    if not isinstance(content, dict):
        raise ConnectionFileError(f"{source} is damaged (no JSON object): {_START_AGAIN}")
    return replace(ConnectionInfo.from_dict(content, source), path=path)


def read_private(path: Path, noun: str) -> str:
    """Return the text of a file that must be this user's and closed to others.

    Args:
        path: the file.
        noun: what errors call it.

    Raises:
        MissingFileError: it is missing.
        ConnectionFileError: it is open to others, somebody else's, or no text.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            _check_guarded(path, os.fstat(file.fileno()), noun)
            data = file.read(SIZE_MAX_BYTES + 1)
    except ConnectionFileError:
        raise
    except FileNotFoundError:
        raise MissingFileError(
            f"there is no {noun} {path}: start ipcontroller (or ipcluster start), "
            "or name its profile and cluster id"
        ) from None
    except OSError as error:
        raise ConnectionFileError(
            f"cannot read the {noun} {path}: {error.strerror or error}"
        ) from None
    try:
        return data[:SIZE_MAX_BYTES].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConnectionFileError(
            f"the {noun} {path} is damaged (no text): {_START_AGAIN}"
        ) from error


def wait_for_file(path: Path, deadline: float, look: Callable[[], None] = nothing_else) -> bool:
    """Wait until *path* exists or the monotonic clock passes *deadline*; return whether it does.

    Polls: nothing portable tells of a file that appears on a network file system.

    Args:
        path: the file.
        deadline: when to stop waiting.
        look: called often meanwhile; ends the wait by raising something.
    """
    while not os.path.exists(path):  # which says no where a path is too long, or shut off
        look()
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def remove(path: Path, pid: int | None = None) -> None:
    """Remove the file at *path* if it is there and, when *pid* is given, still that process's."""
    with contextlib.suppress(OSError):
        if pid is None or read(path).pid == pid:
            path.unlink()


def check_cluster_id(cluster_id: str) -> None:
    """Make sure that files can be named after a cluster.

    Raises:
        ConnectionFileError: they cannot.
    """
    if "/" in cluster_id or os.sep in cluster_id or "\0" in cluster_id:
        raise ConnectionFileError(f"{cluster_id!r} is no cluster id: it must not contain a slash")
    if len(cluster_id.encode(errors="replace")) > _ID_MAX_BYTES:
        text = f"{cluster_id[:20]!r}... is no cluster id: it is longer than {_ID_MAX_BYTES} bytes"
        raise ConnectionFileError(text)


def _infix(cluster_id: str) -> str:
    check_cluster_id(cluster_id)
    return f"-{cluster_id}" if cluster_id else ""


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting, as a FIFO in the place of a file would make us."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_guarded(path: Path, found: os.stat_result, noun: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConnectionFileError(f"the {noun} {path} is no regular file: remove it")
    if os.name != "posix":
        return
    if found.st_uid != os.geteuid():
        raise ConnectionFileError(
            f"the {noun} {path} belongs to another user (uid {found.st_uid}) and is not trusted: "
            "start a controller of your own, or take a copy that you own"
        )
    if found.st_mode & 0o077:
        raise ConnectionFileError(
            f"the {noun} {path} is open to other users and holds a secret key: "
            f"run chmod 600 {path}, and start the controller again if others may have read it"
        )


def _check_protocol(content: Mapping[str, Any], source: str) -> None:
    protocol = content.get("protocol")
    if is_foreign(content):
        raise ForeignFileError(f"{source} {WHOSE}")
    if not isinstance(protocol, int):
        raise ConnectionFileError(f"{source} is damaged (it names no protocol): {_START_AGAIN}")
    if protocol != PROTOCOL:
        raise ConnectionFileError(
            f"{source} is of a controller (version {content.get('version', 'unknown')}) that "
            f"speaks protocol {protocol}, and this is protocol {PROTOCOL}: "
            "install the same version of hippodrome on both sides"
        )


def _unlike_any(known: Mapping[str, Any]) -> str:
    """Return what no process or address is like; all is of the right type."""
    if isinstance(known.get("pid"), bool) or not 0 <= known.get("pid", 0) <= _MOST_PID:
        return "'pid' is no process id"
    if not all(text.isprintable() for text in [*known["addresses"], known.get("host", "")]):
        return "a host or an address has characters that none has"
    if not all(address.startswith(SCHEMES) for address in known["addresses"]):
        return "an address is neither ipc:// nor tcp://"
    return ""


def _trouble(known: Mapping[str, Any]) -> str:
    for name, kind in _TYPES.items():
        if name in known and not isinstance(known[name], kind):
            return f"{name!r} has the wrong type"
    if known.get("role") not in ROLES:
        return "'role' is neither client nor engine"
    addresses = known.get("addresses")
    if not addresses or not all(isinstance(address, str) for address in addresses):
        return "it has no addresses"
    return _unlike_any(known) or _wrong_keys(known)


def _wrong_keys(known: Mapping[str, Any]) -> str:
    needs_keys = any(address.startswith(KEYED) for address in known["addresses"])
    keys = [known.get(name, "") for name in ("server_key", "public_key", "secret_key")]
    is_well = all(is_key(key) or not (key or needs_keys) for key in keys)
    return "" if is_well else "a key is missing or malformed"
