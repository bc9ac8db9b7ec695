"""Opening connections to a controller: which address works, and if none does, why not.

Each address is first tried with a plain socket, because ZeroMQ retries in silence for ever. On
TCP the CURVE handshake is watched, so that a wrong key is an error and no silence either.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import zmq

from hippodrome.errors import AuthenticationError, ConnectionFileError
from hippodrome.paths import socket_trouble
from hippodrome.security.connection_file import ConnectionInfo, nothing_else, read, wait_for_file

HEARTBEAT_INTERVAL_MS: Final = 3_000
HEARTBEAT_TIMEOUT_MS: Final = 10_000  # then there is a new connection: TCP tries ever more rarely
CONNECT_TIMEOUT_MS: Final = 2_000
HANDSHAKE_TIMEOUT_MS: Final = 5_000
_RETRY_S: Final = 0.02
_LOOK_MS: Final = 100
_MONITOR_HEAD: Final = struct.Struct("=hi")
_REFUSALS: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
_MUTE: Final = "something listens there, but it does not answer"
_CUT: Final = "it ends the handshake without a word"
_CUTS: Final = 3  # that are no accident

Dealer = zmq.Socket[bytes]


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why one address does not work."""

    address: str
    reason: str
    is_refusal: bool = False


def open_dealers(
    context: zmq.Context[Dealer],
    info: ConnectionInfo,
    n: int,
    timeout_s: float,
    look: Callable[[], None] = nothing_else,
) -> list[Dealer]:
    """Return *n* DEALER sockets connected to the first address of *info* that works.

    Args:
        context: where the sockets are made; its other sockets are not touched.
        info: addresses and keys.
        n: how many sockets.
        timeout_s: how long to try all addresses together, in seconds.
        look: called often meanwhile; ends the wait by raising something.

    Raises:
        AuthenticationError: a controller answers, but does not accept the key.
        ConnectionFileError: no address works; the text says how each failed.
    """
    deadline = time.monotonic() + timeout_s
    failures: list[_Failure] = []
    for position, address in enumerate(info.addresses):
        left_s = max(deadline - time.monotonic(), 0.1) / (len(info.addresses) - position)
        look()
        opened = _open(context, info, address, n, left_s, look)
        if isinstance(opened, list):
            return opened
        failures.append(opened)
    raise _error(info, failures)


def wait_and_open(
    context: zmq.Context[Dealer],
    path: str | Path,
    n: int,
    timeout_s: float,
    connect_s: float = 5.0,
    look: Callable[[], None] = nothing_else,
    address: str = "",
) -> tuple[ConnectionInfo, list[Dealer]]:
    """Wait for a connection file that works, and connect as `open_dealers` does.

    What is there and is no such file counts as not there yet; in the end it is named, with why.

    For peers that are started together with their controller: a file that an earlier one left
    behind may still be there, and is as good as none until the new one takes its place.

    Args:
        context: where the sockets are made.
        path: the connection file.
        n: how many sockets.
        timeout_s: how long to wait for a file whose controller answers, in seconds.
        connect_s: how long one round of trying its addresses may take, in seconds.
        look: called often meanwhile; ends the wait by raising something.
        address: the one to connect to in place of those in the file.

    Raises:
        AuthenticationError: a controller answers, but does not accept the key.
        ConnectionFileError: there is no good file, or no address in it works.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        wait_for_file(Path(path), deadline, look)
        try:
            info = read(path)
            if address:
                info = replace(info, addresses=(address,))
            return info, open_dealers(context, info, n, connect_s, look)
        except ConnectionFileError:  # damaged, of another program, or of a controller that is gone
            if time.monotonic() >= deadline:
                raise
        look()
        time.sleep(_RETRY_S)


def is_alive(info: ConnectionInfo, timeout_s: float = 1.0) -> bool:
    """Say whether something listens at an address of *info*, within *timeout_s* for each."""
    return any(not _probe(info, address, timeout_s).trouble for address in info.addresses)


def set_common_options(dealer: Dealer) -> None:
    """Set what every socket of ours has: no limit on its queues, nothing lingers at its end."""
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.setsockopt(zmq.SNDHWM, 0)
    dealer.setsockopt(zmq.RCVHWM, 0)


def set_tcp_options(endpoint: Dealer) -> None:
    """Set how soon a dead or silent TCP connection is noticed."""
    endpoint.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS)
    endpoint.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    endpoint.setsockopt(zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS)
    endpoint.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_TIMEOUT_MS)


def _open(
    context: zmq.Context[Dealer],
    info: ConnectionInfo,
    address: str,
    n: int,
    timeout_s: float,
    look: Callable[[], None],
) -> list[Dealer] | _Failure:
    deadline = time.monotonic() + timeout_s
    reached = _probe(info, address, timeout_s)
    if reached.trouble:
        return _Failure(address, reached.trouble)
    make = _ipc_dealer if address.startswith("ipc://") else _tcp_dealer
    dealers = [make(context, info)]
    failure = None
    try:
        failure = _connect_watched(dealers[0], address, reached.address, deadline, look)
        for _ in range(1, 1 if failure else n):
            dealers.append(make(context, info))
            dealers[-1].connect(reached.address)
    except BaseException:  # also when a person wants no more: a context ends when its sockets do
        _close(dealers)
        raise
    if failure is not None:
        _close(dealers)
        return failure
    return dealers


def _close(dealers: list[Dealer]) -> None:
    for dealer in dealers:
        dealer.close(0)


def _ipc_dealer(context: zmq.Context[Dealer], info: ConnectionInfo) -> Dealer:
    del info  # the kernel guards the directory; there is no key to show
    dealer: Dealer = context.socket(zmq.DEALER)
    set_common_options(dealer)
    dealer.setsockopt(zmq.RECONNECT_IVL, 50)
    return dealer


def _tcp_dealer(context: zmq.Context[Dealer], info: ConnectionInfo) -> Dealer:
    dealer: Dealer = context.socket(zmq.DEALER)
    set_common_options(dealer)
    set_tcp_options(dealer)
    dealer.setsockopt(zmq.IPV6, 1)
    dealer.setsockopt(zmq.RECONNECT_IVL, 100)
    dealer.setsockopt(zmq.RECONNECT_IVL_MAX, 1_000)
    dealer.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS)
    dealer.setsockopt(zmq.CURVE_SERVERKEY, info.server_key.encode("ascii"))
    dealer.setsockopt(zmq.CURVE_PUBLICKEY, info.public_key.encode("ascii"))
    dealer.setsockopt(zmq.CURVE_SECRETKEY, info.secret_key.reveal().encode("ascii"))
    return dealer


def _connect_watched(
    dealer: Dealer, address: str, reached: str, deadline: float, look: Callable[[], None]
) -> _Failure | None:
    """Connect to *reached*, and return None once the other side has accepted us."""
    monitor = dealer.get_monitor_socket(_REFUSALS | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    n_cut = 0
    try:
        dealer.connect(reached)
        while True:
            while not monitor.poll(_LOOK_MS):
                look()
                if time.monotonic() >= deadline:
                    return _Failure(address, _CUT if n_cut else _MUTE)
            # pyzmq's own parser of this would bring asyncio into every process
            event, _ = _MONITOR_HEAD.unpack(monitor.recv_multipart()[0])
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                return None
            if event != zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                return _Failure(address, "it does not accept the key", is_refusal=True)
            n_cut += 1  # it may be busy, or of another controller: ZeroMQ tries again
            if n_cut == _CUTS:
                return _Failure(address, _CUT, is_refusal=True)
    finally:
        dealer.disable_monitor()
        monitor.close(0)  # disabling leaves it open when somebody still holds it


@dataclass(frozen=True, slots=True)
class _Reached:
    """The finding that a plain socket made at an address.

    Attributes:
        address: the very one that answered, of those that a name has.
        trouble: why none did; empty if one did.
    """

    address: str
    trouble: str = ""


def _probe(info: ConnectionInfo, address: str, timeout_s: float) -> _Reached:
    """Return what listens at *address*, or why nothing can be reached there."""
    scheme, _, rest = address.partition("://")
    if scheme == "ipc":
        return _Reached(address, _probe_ipc(info, rest) or "")
    host, _, port = rest.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout_s) as probe:
            found = probe.getpeername()[0]
    except TimeoutError:
        return _Reached(address, f"no answer within {timeout_s:.1f} s")
    except (OSError, ValueError) as error:
        return _Reached(address, str(getattr(error, "strerror", None) or error))
    return _Reached(f"tcp://{f'[{found}]' if ':' in found else found}:{port}")


def _probe_ipc(info: ConnectionInfo, path: str) -> str | None:
    if info.host and info.host != socket.gethostname():
        return f"only on the host {info.host}"
    trouble = socket_trouble(path)
    return None if trouble is None else os.strerror(trouble.errno or 0)


def _error(info: ConnectionInfo, failures: list[_Failure]) -> Exception:
    source = f"the connection file {info.path}" if info.path else "the connection info"
    tried = "; ".join(f"{failure.address}: {failure.reason}" for failure in failures)
    refusals = [failure.reason for failure in failures if failure.is_refusal]
    if refusals and all(reason == _CUT for reason in refusals):
        return AuthenticationError(
            f"a controller answers, but ends each handshake: the keys in {source} are of an "
            f"earlier one, or it cannot take more connections, which its log says ({tried})"
        )
    if refusals:
        return AuthenticationError(
            f"a controller answers, but not to the keys in {source}, which is probably of an "
            f"earlier one: use the file that the running controller wrote ({tried})"
        )
    return ConnectionFileError(
        f"{source} is stale, or its controller cannot be reached from here: "
        f"start ipcontroller (or ipcluster start) and try again ({tried})"
    )
