"""Binding the controller's one endpoint: first for peers on this host, then for others.

Options bind per endpoint, so the order matters: the ``ipc`` address is bound to a socket without
keys, the kernel guarding its directory; then the same socket becomes a CURVE server and binds TCP.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import zmq

from hippodrome.errors import LaunchError
from hippodrome.paths import SOCKET_NAME
from hippodrome.security.keys import KeyPair
from hippodrome.security.zap import DOMAIN
from hippodrome.transport.connect import set_common_options, set_tcp_options

_ELSEWHERE: Final = ("192.0.2.1", 9)  # an address for examples: only the way to it counts


def bind_ipc(router: zmq.Socket[bytes], socket_dir: Path) -> str:
    """Bind *router* in *socket_dir*, a 0700 directory, and return the address.

    To be called before `bind_tcp`.
    """
    set_common_options(router)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)
    address = f"ipc://{socket_dir / SOCKET_NAME}"
    router.bind(address)
    return address


def bind_tcp(router: zmq.Socket[bytes], ip: str, port: int, keys: KeyPair) -> int:
    """Make *router* a CURVE server, bind it to *ip*, and return the port.

    An `hippodrome.security.zap.Authenticator` must exist in the same context.

    Args:
        router: a socket; addresses that it is bound to already stay as they are.
        ip: an address of this host, or ``"*"`` for all of them.
        port: a port; 0 lets the system choose.
        keys: the controller's keys.

    Raises:
        LaunchError: the address is not one of this host's, or the port is in use.
    """
    set_tcp_options(router)
    router.setsockopt(zmq.IPV6, int(":" in ip or ip == "*"))  # all addresses, of both families
    router.setsockopt(zmq.CURVE_SERVER, 1)
    router.setsockopt(zmq.CURVE_PUBLICKEY, keys.public.encode("ascii"))
    router.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.reveal().encode("ascii"))
    router.setsockopt(zmq.ZAP_DOMAIN, DOMAIN.encode("ascii"))
    try:
        router.bind(f"tcp://{_bracketed(ip)}:{port or '*'}")
    except zmq.ZMQError as error:
        raise LaunchError(_bind_trouble(ip, port, error)) from error
    bound = router.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(bound, bytes)
    return int(bound.rstrip(b"\0").rpartition(b":")[2])


def tcp_addresses(ip: str, port: int, location: str = "") -> Sequence[str]:
    """Return the addresses to publish for an endpoint bound to *ip* and *port*, best first.

    Args:
        ip: as for `bind_tcp`.
        port: the port that was bound.
        location: a host name or address to publish in place of *ip*.
    """
    if location:
        return (f"tcp://{_bracketed(location)}:{port}",)
    if ip in ("*", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        hosts = dict.fromkeys((socket.gethostname(), _own_address(), "127.0.0.1"))
        return tuple(f"tcp://{host}:{port}" for host in hosts if host)
    return (f"tcp://{_bracketed(ip)}:{port}",)


def _own_address() -> str:
    """Return this host's address towards others, which may not know its name; empty if none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_ELSEWHERE)  # of a datagram socket: nothing is sent
        return str(probe.getsockname()[0])
    return ""


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _bind_trouble(ip: str, port: int, error: zmq.ZMQError) -> str:
    if error.errno == zmq.EADDRINUSE:
        return f"port {port} is in use on {ip}: choose another with --port, or leave it out"
    if error.errno in (zmq.EADDRNOTAVAIL, errno.ENODEV, zmq.EINVAL):
        return f"{ip!r} is no address of this host: use one, or '*' for all, with --ip"
    return f"cannot listen on {ip}:{port}: {error.strerror}"
