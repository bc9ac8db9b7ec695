"""A supervisor's way to its controller, by a tunnel where somebody has asked for one."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import zmq

from hippodrome.errors import ConnectionFileError
from hippodrome.node.config import NodeConfig
from hippodrome.security.connection_file import ConnectionInfo, read, wait_for_file
from hippodrome.security.roles import check_role
from hippodrome.transport.connect import open_dealers, wait_and_open
from hippodrome.transport.lifeline import Probe

if TYPE_CHECKING:
    from hippodrome.ssh.tunnel import Tunnel

Dealer = zmq.Socket[bytes]

log: logging.Logger = logging.getLogger(__name__)

ROLE: Final = "node"
DIRECT_S: Final = 3.0
N_SOCKETS: Final = 2  # one for what is large
_STALE_PART: Final = 0.8  # of the time to wait: for another file in the place of one of no use


class Reaching:
    """One way to the controller.

    Args:
        config: which way to take.

    Attributes:
        tunnel: what carries the connection; None if nothing does.
    """

    def __init__(self, config: NodeConfig) -> None:
        self.tunnel: Tunnel | None = None
        self._config = config

    def open(
        self, context: zmq.Context[Dealer], look: Callable[[], None]
    ) -> tuple[ConnectionInfo, list[Dealer]]:
        """Return where the controller is, and two sockets that are connected to it.

        Args:
            context: where the sockets are made.
            look: called often meanwhile; ends the wait by raising something.

        Raises:
            ClusterError: there is no good connection file, or no way to the controller.
        """
        config = self._config
        if config.connection is not None:
            return self._open_told(config.connection, context, look)
        info = self._needs_tunnel(look)
        if info is None:
            return wait_and_open(
                context,
                config.connection_file,
                N_SOCKETS,
                config.wait_for_file_s,
                look=look,
                address=config.address,
                role=ROLE,
                stale_s=_STALE_PART * config.wait_for_file_s,
            )
        from hippodrome.ssh.reach import login_to, server_of, tunnel_to
        from hippodrome.ssh.terminal import has_terminal

        check_role(info.role, ROLE)
        if config.address:
            info = replace(info, addresses=(config.address,))
        server = config.ssh_server or info.ssh or server_of(info)
        login = login_to(server, config.ssh_key, may_ask=has_terminal())
        info, self.tunnel = tunnel_to(info, login, None, config.registration_timeout_s, look)
        timeout_s = config.registration_timeout_s
        return info, open_dealers(context, info, N_SOCKETS, timeout_s, look)

    def _open_told(
        self, info: ConnectionInfo, context: zmq.Context[Dealer], look: Callable[[], None]
    ) -> tuple[ConnectionInfo, list[Dealer]]:
        """Go where we were told to: directly, or else by the tunnel of whoever told."""
        check_role(info.role, ROLE)
        config = self._config
        by_tunnel = replace(info, addresses=(f"ipc://{config.tunnel}",), host="")
        is_only = info.addresses == by_tunnel.addresses
        timeout_s = DIRECT_S if config.tunnel else config.registration_timeout_s
        if not is_only:
            try:
                return info, open_dealers(context, info, N_SOCKETS, timeout_s, look)
            except ConnectionFileError as error:
                if not config.tunnel:
                    raise
                log.warning("by ssh, as there is no other way: %s", error)
        timeout_s = config.registration_timeout_s
        return by_tunnel, open_dealers(context, by_tunnel, N_SOCKETS, timeout_s, look)

    def _needs_tunnel(self, look: Callable[[], None]) -> ConnectionInfo | None:
        """Return what the connection file says, if a tunnel is to lead there."""
        config = self._config
        wait_for_file(config.connection_file, time.monotonic() + config.wait_for_file_s, look)
        is_asked = bool(config.ssh_server or config.ssh_key)
        try:
            info = read(config.connection_file)
        except ConnectionFileError:
            if is_asked:
                raise
            return None  # a good one may take its place
        is_here = info.host == socket.gethostname()
        return info if is_asked or (info.ssh and not is_here) else None

    def probe(self) -> Probe | None:
        """Return how to ask at the other end of the tunnel; None where there is none."""
        return None if self.tunnel is None else self.tunnel.probe()

    def close(self) -> None:
        """End the tunnel, if there is one; after the sockets."""
        if self.tunnel is not None:
            self.tunnel.close()
        if self._config.tunnel:
            with suppress(OSError):
                os.unlink(self._config.tunnel)
