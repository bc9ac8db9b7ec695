"""What a controller keeps for the next one, with ``--reuse``: its keys, and where it listened.

JSON, 0600 from its first byte, beside the connection files. It has the controller's own secret key,
which connection files have not: whoever has it could pose as the controller.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hippodrome.errors import ConnectionFileError, MissingFileError
from hippodrome.security.connection_file import (
    ROLES,
    check_cluster_id,
    read_private,
    write_private,
)
from hippodrome.security.keys import KeyPair, Secret, is_key

SERVER: Final = "server"
_MOST_PORT: Final = 65_535
_TEXTS: Final = ("ip", "location", "socket_dir")


@dataclass(frozen=True, slots=True)
class KeptKeys:
    """What is kept.

    Attributes:
        pairs: the key pairs by role, and the controller's own; empty if nothing needed any.
        port: its port; 0 if it had none.
        ip: where it listened, as it was told.
        location: what it was told of how others reach it.
        socket_dir: where its socket was.
    """

    pairs: Mapping[str, KeyPair]
    port: int = 0
    ip: str = ""
    location: str = ""
    socket_dir: str = ""


def keys_file(security_dir: Path, cluster_id: str = "") -> Path:
    """Return the path of the file."""
    check_cluster_id(cluster_id)
    return security_dir / (f"keys-{cluster_id}.json" if cluster_id else "keys.json")


def save(path: Path, kept: KeptKeys) -> None:
    """Write it, replacing what is there in one step.

    Raises:
        ConnectionFileError: it cannot be written.
    """
    pairs = {role: [pair.public, pair.secret.reveal()] for role, pair in kept.pairs.items()}
    texts = {name: getattr(kept, name) for name in _TEXTS}
    try:
        write_private(path, json.dumps({"pairs": pairs, "port": kept.port, **texts}) + "\n")
    except OSError as error:
        text = f"cannot write the file of keys {path}: {error.strerror or error}"
        raise ConnectionFileError(text) from error


def load(path: Path) -> KeptKeys | None:
    """Return what the controller before has kept; None if it has not.

    Raises:
        ConnectionFileError: the file is open to others, somebody else's, or damaged.
    """
    try:
        text = read_private(path, "file of keys")
    except MissingFileError:
        return None
    try:
        return _kept(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ConnectionFileError(
            f"the file of keys {path} is damaged: remove it to have new ones"
        ) from None


def forget(path: Path) -> None:
    """Remove it: who has a copy of an old connection file does not get in any more."""
    with contextlib.suppress(OSError):
        path.unlink()


def _kept(content: Any) -> KeptKeys:  # Any: whatever JSON may hold
    pairs = {
        role: KeyPair(public, Secret(secret)) for role, (public, secret) in content["pairs"].items()
    }
    port, texts = content["port"], [content[name] for name in _TEXTS]
    keys = [key for pair in pairs.values() for key in (pair.public, pair.secret.reveal())]
    is_well = set(pairs) in ({SERVER, *ROLES}, set()) and all(map(is_key, keys))
    if not (is_well and isinstance(port, int) and 0 <= port <= _MOST_PORT):
        raise ValueError("no keys, or no port")
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise ValueError("no text")
    return KeptKeys(pairs, port, *texts)
