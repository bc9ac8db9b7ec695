"""What ``ipengine`` is told by whoever started it on another host: where its controller is.

It says who it is, and reads one line, from descriptors that ssh has given it. So neither command
lines nor environments, nor files there, hold the key.
"""

from __future__ import annotations

import json
import os
import platform
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hippodrome._version import __version__
from hippodrome.errors import ClusterError
from hippodrome.launch.cores import usable_cores
from hippodrome.launch.remotescript import BACK_FOLDER, BACK_PREFIX
from hippodrome.paths import is_listening
from hippodrome.protocol.version import PROTOCOL
from hippodrome.security.connection_file import SIZE_MAX_BYTES, ConnectionInfo

_HELLO: Final = "hippodrome"


@dataclass(frozen=True, slots=True)
class Told:
    """What was told.

    Attributes:
        info: of the controller.
        n: how many engines are wanted.
        tunnel: a socket here that leads to it; empty if there is none.
        ready_fd: where it is said how far engines are.
    """

    info: ConnectionInfo
    n: int
    tunnel: str
    ready_fd: int


def hear(info_fd: int, ready_fd: int) -> Told:
    """Say who this is, and return what is told then.

    Args:
        info_fd: where it is read.
        ready_fd: where this says who it is. If that is the standard output, nothing else is
            written there any more.

    Raises:
        ClusterError: it is told nothing, or nothing that makes sense.
    """
    if ready_fd <= 2:
        ready_fd = os.dup(1)
        os.dup2(2, 1)
    hello = {
        "version": __version__,
        "protocol": PROTOCOL,
        "python": platform.python_version(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "cores": usable_cores(),
    }
    os.write(ready_fd, f"{_HELLO} {json.dumps(hello)}\n".encode())
    sweep_sockets()
    try:
        content = json.loads(_line(info_fd))
        connection, tunnel = dict(content["connection"]), str(content["tunnel"])
        n = max(1, int(content["n"]))
        if not connection["addresses"]:
            connection["addresses"] = [f"ipc://{tunnel}"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        text = "whoever started this by ssh has not said where the controller is"
        raise ClusterError(text) from error
    return Told(ConnectionInfo.from_dict(connection), n, tunnel, ready_fd)


def sweep_sockets(folder: Path = BACK_FOLDER) -> None:
    """Remove sockets of connections that were cut before anything here ran: sshd leaves them."""
    for path in folder.glob(f"{BACK_PREFIX}*.sock"):
        with suppress(OSError):
            is_own = path.is_socket() and path.lstat().st_uid == os.geteuid()
            if is_own and not is_listening(path):
                path.unlink()


def _line(descriptor: int) -> bytes:
    """Read one line, and no byte more."""
    data = bytearray()
    while len(data) < 2 * SIZE_MAX_BYTES:
        byte = os.read(descriptor, 1)
        if byte in (b"", b"\n"):
            break
        data += byte
    return bytes(data)
