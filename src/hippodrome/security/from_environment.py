"""A connection that an environment variable tells of: the path of a file, or what is in one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hippodrome.errors import ConnectionFileError

VARIABLE: Final = "IPP_CONNECTION_INFO"


def connection_told(key_role: str) -> Mapping[str, Any] | str | None:  # Any: whatever JSON may hold
    """Return what ``$IPP_CONNECTION_INFO`` tells whoever has the keys of a role; None if nothing.

    What is in a file for another role is passed over, as programs on engines inherit it.

    Args:
        key_role: ``"client"`` or ``"engine"``.

    Raises:
        ConnectionFileError: it is neither a path nor what is in a connection file.
    """
    text = os.environ.get("IPP_CONNECTION_INFO", "").strip()
    if not text.startswith("{"):
        return text or None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ConnectionFileError(f"${VARIABLE} is damaged: it is no JSON") from None
    return content if content.get("role") == key_role else None


def as_file(content: Mapping[str, Any]) -> Path:  # Any: as above
    """Return the path of a file in memory that only this process has.

    Raises:
        ConnectionFileError: there are none on this system.
    """
    if not hasattr(os, "memfd_create"):
        raise ConnectionFileError(f"${VARIABLE} has to be the path of a file on this system")
    descriptor = os.memfd_create("connection")
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, json.dumps(content).encode())
    return Path(f"/proc/self/fd/{descriptor}")
