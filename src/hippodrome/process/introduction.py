"""What a process says of itself when it introduces itself to a controller."""

from __future__ import annotations

import os
import platform
import socket

from hippodrome._version import __version__


def introduction(*, is_tunneled: bool = False) -> dict[str, str | int]:
    """Return where and what this process is.

    Args:
        is_tunneled: its connection leads through a tunnel, which is made again when it breaks.
    """
    return {
        **({"way": "tunnel"} if is_tunneled else {}),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": __version__,
        "python": platform.python_version(),
    }
