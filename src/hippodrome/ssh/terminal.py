"""Whether ssh can ask somebody for a password."""

from __future__ import annotations

import os
import sys


def has_terminal() -> bool:
    """Whether there is a person at a terminal whom ssh can ask."""
    try:
        if not (sys.stdin is not None and sys.stdin.isatty()):
            return False
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except (OSError, ValueError):
        return False
    return True
