"""Opening connections to a controller: which address works, and if none does, why not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import zmq

from hippodrome.errors import ConnectionFileError
from hippodrome.security.connection_file import ConnectionInfo, nothing_else, read, wait_for_file
from hippodrome.security.roles import check_role
from hippodrome.transport.race import Race
from hippodrome.transport.tunneled import is_keyed

HEARTBEAT_INTERVAL_MS: Final = 3_000
HEARTBEAT_TIMEOUT_MS: Final = 10_000  # then there is a new connection: TCP tries ever more rarely
WATCHED_INTERVAL_MS: Final = 15_000
WATCHED_TIMEOUT_MS: Final = 30_000
KEEPALIVE_S: Final = 5
CONNECT_TIMEOUT_MS: Final = 2_000
HANDSHAKE_TIMEOUT_MS: Final = 5_000
ROUND_S: Final = 5.0  # for all addresses of a file together
_RETRY_S: Final = 0.02

Dealer = zmq.Socket[bytes]


def open_dealers(
    context: zmq.Context[Dealer],
    info: ConnectionInfo,
    n: int,
    timeout_s: float,
    look: Callable[[], None] = nothing_else,
    *,
    is_watched: bool = False,
) -> list[Dealer]:
    """Return *n* DEALER sockets connected to the first address of *info* that works.

    Args:
        context: where the sockets are made; its other sockets are not touched.
        info: addresses and keys.
        n: how many sockets.
        timeout_s: how long to try all addresses together, in seconds.
        look: called often meanwhile; ends the wait by raising something.
        is_watched: there are many such, and for each host somebody else watches over the way: the
            system does most of the asking whether the connection lives, which costs almost nothing.

    Raises:
        AuthenticationError: a controller answers, but does not accept the key.
        ConnectionFileError: no address works; the text says how each failed.
    """
    make = partial(_make_dealer, context, info, is_watched)
    race = Race(info, make, timeout_s, look)
    first, endpoint = race.run()
    dealers = [first]
    try:
        for _ in range(1, n):
            dealers.append(make(endpoint))
            dealers[-1].connect(endpoint)
    except BaseException:  # also when a person wants no more: a context ends when its sockets do
        for dealer in dealers:
            dealer.close(0)
        raise
    return dealers


def wait_and_open(
    context: zmq.Context[Dealer],
    path: str | Path,
    n: int,
    timeout_s: float,
    connect_s: float = ROUND_S,
    look: Callable[[], None] = nothing_else,
    address: str = "",
    *,
    role: str = "",
    stale_s: float = math.inf,
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
        role: what this peer is; empty if that does not matter.
        stale_s: how long a file that is there may be of no use, unchanged, in seconds.

    Returns:
        What the file says, with the address first that works, and the sockets.

    Raises:
        AuthenticationError: a controller answers, but does not accept the key, or it is the key
            of another role.
        ConnectionFileError: there is no good file, or no address in it works.
    """
    deadline = time.monotonic() + timeout_s
    seen = _Seen(Path(path), stale_s)
    while True:
        wait_for_file(Path(path), deadline, look)
        began = time.monotonic()
        is_stale = seen.is_stale(began)
        try:
            info = read(path)
            if role:
                check_role(info.role, role)
            if address:
                info = replace(info, addresses=(address,))
            dealers = open_dealers(context, info, n, connect_s, look)
        except ConnectionFileError:  # damaged, of another program, or of a controller that is gone
            now = time.monotonic()
            is_last = now - began >= connect_s > deadline - now
            if now >= deadline or is_stale or seen.is_stale(now) or is_last:
                raise
        else:
            return replace(info, addresses=_first(endpoint_of(dealers[0]), info.addresses)), dealers
        look()
        time.sleep(_RETRY_S)


class _Seen:
    """Knows for how long a file has been as it is; one that is missing is not stale."""

    def __init__(self, path: Path, stale_s: float) -> None:
        self._path = path
        self._stale_s = stale_s
        self._mark: tuple[int, int] | None = None
        self._since = math.inf

    def is_stale(self, now: float) -> bool:
        mark = None
        with suppress(OSError):
            found = self._path.stat()
            mark = found.st_ino, found.st_mtime_ns
        if mark != self._mark or mark is None:
            self._mark, self._since = mark, now if mark else math.inf
        return now - self._since >= self._stale_s


def endpoint_of(dealer: Dealer) -> str:
    """Return where a connected socket is connected to."""
    endpoint = dealer.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()


def _first(endpoint: str, addresses: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((endpoint, *addresses)))


def is_alive(info: ConnectionInfo, timeout_s: float = 1.0) -> bool:
    """Say whether something listens at an address of *info*, within *timeout_s* for all."""
    return Race(info, None, timeout_s).is_anybody_there()


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
    endpoint.setsockopt(zmq.TCP_KEEPALIVE, 1)
    endpoint.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_S)
    endpoint.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_S)
    with suppress(zmq.ZMQError):  # not all systems have it
        endpoint.setsockopt(zmq.TCP_MAXRT, HEARTBEAT_TIMEOUT_MS)


def _make_dealer(
    context: zmq.Context[Dealer], info: ConnectionInfo, is_watched: bool, endpoint: str
) -> Dealer:
    if endpoint.startswith("ipc://") and not is_keyed(info, endpoint):
        return _ipc_dealer(context, info)
    dealer = _tcp_dealer(context, info)
    if is_watched:
        dealer.setsockopt(zmq.HEARTBEAT_IVL, WATCHED_INTERVAL_MS)
        dealer.setsockopt(zmq.HEARTBEAT_TIMEOUT, WATCHED_TIMEOUT_MS)
        dealer.setsockopt(zmq.HEARTBEAT_TTL, WATCHED_TIMEOUT_MS)
    return dealer


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
