"""A client's way to its controller by ssh, where somebody has asked for it."""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hippodrome.security.connection_file import ConnectionInfo
from hippodrome.security.keys import Secret

if TYPE_CHECKING:
    from hippodrome.ssh.places import RemoteCluster
    from hippodrome.ssh.tunnel import Tunnel


@dataclass(frozen=True, slots=True)
class OverSSH:
    """What is known of the way.

    Attributes:
        server: the host to log in to; empty for that of the controller.
        key: a file with a private key.
        password: for the login.
        place: the cluster there, whose connection file is not here; None if it is.
    """

    server: str = ""
    key: str = ""
    password: Secret | None = None
    place: RemoteCluster | None = None

    def open(
        self, info: ConnectionInfo | None, timeout_s: float, look: Callable[[], None]
    ) -> tuple[ConnectionInfo, Tunnel]:
        """Return addresses here that lead to the controller, and the tunnel behind them.

        Args:
            info: of the controller; None if that has to be fetched.
            timeout_s: how long it may take.
            look: called often meanwhile.

        Raises:
            SSHError: there is no way.
            ConnectionFileError: the file there is missing or damaged.
        """
        from hippodrome.ssh import reach
        from hippodrome.ssh.terminal import has_terminal

        may_ask = self.password is not None or has_terminal()
        if info is None:
            assert self.place is not None
            login = reach.login_to(str(self.place.server), self.key, may_ask=may_ask)
            return reach.fetch(self.place, login, self.password, timeout_s, look)
        server = self.server or reach.server_of(info)
        login = reach.login_to(server, self.key, may_ask=may_ask)
        return reach.tunnel_to(info, login, self.password, timeout_s, look)


def way_by_ssh(
    given: object,
    server: str | None,
    key: str | os.PathLike[str] | None,
    password: str | None,
    paramiko: bool | None,
) -> OverSSH | None:
    """Return the way that arguments of a `Client` ask for; None for no ssh.

    Args:
        given: a connection file, its contents, or ``ssh://user@host:port/profile?cluster_id=x``.
        server: ``user@host:port``.
        key: a file with a private key.
        password: for the login.
        paramiko: whether to use that package; the system's ssh is used in any case.

    Raises:
        TypeError, ValueError: one of them makes no sense.
    """
    _check_text(sshserver=server, password=password)
    if paramiko:
        warnings.warn(
            "paramiko= changes nothing: the system's ssh makes the tunnel, with its configuration",
            stacklevel=3,
        )
    secret = Secret(password) if password else None
    key = os.fspath(key) if key else ""
    url = given if isinstance(given, str) and given.startswith("ssh://") else ""
    if not any((url, server, key, secret)):
        return None
    from hippodrome.ssh.places import parse_server, parse_url

    if url:
        return OverSSH("", key, secret, parse_url(url))
    if server:
        parse_server(server)
    return OverSSH(server or "", key, secret)


def _check_text(**given: object) -> None:
    """Raise TypeError where something is given that is no text."""
    for name, value in given.items():
        if not isinstance(value, str | None):
            raise TypeError(f"{name} must be text, not {type(value).__name__}")


def way_of_file(info: ConnectionInfo) -> OverSSH | None:
    """Return the way that a connection file asks for, unless its controller is on this host."""
    if not info.ssh or info.host == socket.gethostname():
        return None
    return OverSSH(info.ssh)
