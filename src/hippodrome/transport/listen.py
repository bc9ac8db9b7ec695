"""Binding the controller's one endpoint: first for peers on this host, then for others.

Options bind per endpoint, so the order matters: the ``ipc`` address is bound to a socket without
keys, the kernel guarding its directory; then the same socket becomes a CURVE server and binds TCP.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import zmq

from hippodrome.errors import LaunchError
from hippodrome.paths import SOCKET_NAME
from hippodrome.security.keys import KeyPair
from hippodrome.security.zap import DOMAIN
from hippodrome.transport.connect import set_common_options, set_tcp_options

_TRIES: Final = 20
BACKLOG: Final = 4096  # who comes at the same moment; the system may allow fewer


def bind_ipc(router: zmq.Socket[bytes], socket_dir: Path) -> str:
    """Bind *router* in *socket_dir*, a 0700 directory, and return the address.

    To be called before `bind_tcp`.
    """
    set_common_options(router)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)
    router.setsockopt(zmq.BACKLOG, BACKLOG)
    address = f"ipc://{socket_dir / SOCKET_NAME}"
    router.bind(address)
    return address


def bind_tcp(router: zmq.Socket[bytes], ips: Sequence[str], port: int, keys: KeyPair) -> int:
    """Make *router* a CURVE server, bind it to *ips*, and return the port.

    An `hippodrome.security.zap.Authenticator` must exist in the same context.

    Args:
        router: a socket; addresses that it is bound to already stay as they are.
        ips: addresses of this host, or ``"*"`` for all of them; all get the same port.
        port: a port; 0 lets the system choose.
        keys: the controller's keys.

    Raises:
        LaunchError: an address is not one of this host's, or the port is in use.
    """
    set_tcp_options(router)
    router.setsockopt(zmq.HEARTBEAT_IVL, 0)  # each peer asks, and says how long to wait for it
    router.setsockopt(zmq.CURVE_SERVER, 1)
    router.setsockopt(zmq.CURVE_PUBLICKEY, keys.public.encode("ascii"))
    router.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.reveal().encode("ascii"))
    router.setsockopt(zmq.ZAP_DOMAIN, DOMAIN.encode("ascii"))
    n_left = _TRIES
    while True:
        try:
            return _bind_all(router, ips, port)
        except zmq.ZMQError as error:
            n_left -= 1
            # the one that is free at the first address may not be so at the others
            if port or not n_left or error.errno != zmq.EADDRINUSE:
                raise LaunchError(_bind_trouble(", ".join(ips), port, error)) from error


def _bind_all(router: zmq.Socket[bytes], ips: Sequence[str], port: int) -> int:
    bound: list[str] = []
    try:
        for ip in ips:
            router.setsockopt(zmq.IPV6, int(":" in ip or ip == "*"))  # all, of both families
            router.bind(f"tcp://{bracketed(ip)}:{port or '*'}")
            endpoint = router.getsockopt(zmq.LAST_ENDPOINT)
            assert isinstance(endpoint, bytes)
            bound.append(endpoint.rstrip(b"\0").decode())
            port = int(bound[-1].rpartition(":")[2])
    except zmq.ZMQError:
        for address in bound:
            router.unbind(address)
        raise
    return port


def bracketed(host: str) -> str:
    """Return *host* as it stands before a port."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _bind_trouble(ip: str, port: int, error: zmq.ZMQError) -> str:
    if error.errno == zmq.EADDRINUSE:
        return f"port {port} is in use on {ip}: choose another with --port, or leave it out"
    if error.errno in (zmq.EADDRNOTAVAIL, errno.ENODEV, zmq.EINVAL):
        return f"{ip!r} is no address of this host: use one, or '*' for all, with --ip"
    return f"cannot listen on {ip}:{port}: {error.strerror}"
