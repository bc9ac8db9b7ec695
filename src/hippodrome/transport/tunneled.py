"""Addresses of local sockets that a tunnel carries to a controller on another host.

``tunnel+tcp:///path`` leads to its TCP port, where keys are shown; ``tunnel+ipc:///path`` to its
socket in the file system there, which was reached as the user whose it is. They are in no
connection file: whoever has made the tunnel puts them in place of the controller's own addresses.
"""

from __future__ import annotations

from typing import Final

from hippodrome.security.connection_file import TO_IPC, TO_TCP, ConnectionInfo

SOCKET_NAME: Final = "tunnel"


def socket_of(address: str) -> str:
    """Return the path of the tunnel's socket that *address* names; empty if it names none."""
    return address.partition("://")[2] if address.startswith((TO_TCP, TO_IPC)) else ""


def is_keyed(info: ConnectionInfo, endpoint: str) -> bool:
    """Tell whether keys are shown at the other end of the tunnel's socket at *endpoint*."""
    return f"{TO_TCP}{endpoint.partition('://')[2]}" in info.addresses


def is_tunnel_endpoint(endpoint: str) -> bool:
    """Tell whether what ZeroMQ is connected to is a tunnel's socket."""
    return endpoint.startswith("ipc://") and endpoint.rpartition("/")[2].startswith(SOCKET_NAME)
