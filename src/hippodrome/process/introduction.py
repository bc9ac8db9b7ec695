"""What a process says of itself when it introduces itself to a controller."""

from __future__ import annotations

import os
import platform
import socket

from hippodrome._version import __version__


def introduction() -> dict[str, str | int]:
    """Return where and what this process is."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": __version__,
        "python": platform.python_version(),
    }
