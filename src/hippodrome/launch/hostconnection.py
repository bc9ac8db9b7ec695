"""One ssh to a host with engines: what it is told, and how it is let go."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hippodrome.launch.hostset import HostStart
from hippodrome.launch.remotescript import RemotePlan
from hippodrome.process.descriptors import Streams
from hippodrome.security.connection_file import ConnectionInfo
from hippodrome.ssh.session import trouble_of

_SCP_S: Final = 600.0


@dataclass(slots=True)
class HostConnection:
    """One ssh that runs, or has run.

    Attributes:
        process: it.
        start: the host, as far as it is.
        plan: how it is used.
        back: where the program there finds a way back here; empty if there is none.
    """

    process: subprocess.Popen[bytes]
    start: HostStart
    plan: RemotePlan
    back: str
    open: Streams = field(default_factory=dict)
    rest: bytes = b""
    errors: bytes = b""

    def give(self, data: bytes) -> None:
        """Write to its input; what has ended will say why."""
        stdin = self.process.stdin
        if stdin is not None and not stdin.closed:
            with contextlib.suppress(OSError):
                os.write(stdin.fileno(), data)

    def let_go(self) -> None:
        """Ask the program there to end, by closing its input."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()


def told(info: ConnectionInfo, connection: HostConnection) -> str:
    """Return what a program on another host is told of its controller."""
    is_there = connection.start.hello.get("host") == info.host
    addresses = [one for one in info.addresses if is_there or not one.startswith("ipc://")]
    if connection.plan.options.get("tunnel") is True:
        addresses = []
    content = info.to_dict() | {"addresses": addresses}
    n = connection.start.host.n or connection.start.hello.get("cores", 1)
    return json.dumps({"connection": content, "n": n, "tunnel": connection.back})


def copy_one(command: Sequence[str]) -> str:
    """Copy a file; return why that failed, if so."""
    words = [os.path.expanduser(word) for word in command]
    return trouble_of(words, _SCP_S, "scp failed")
