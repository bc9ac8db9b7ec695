"""From a host that ssh leads to on to a controller: which of its addresses, and by which tunnel."""

from __future__ import annotations

import ipaddress
import json
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from hippodrome.errors import ConnectionFileError, MissingFileError
from hippodrome.security.connection_file import (
    TO_IPC,
    TO_TCP,
    ConnectionInfo,
    client_file,
    nothing_else,
)
from hippodrome.security.keys import Secret
from hippodrome.ssh.command import Login
from hippodrome.ssh.places import RemoteCluster, parse_server
from hippodrome.ssh.reasons import SSHError
from hippodrome.ssh.tunnel import Tunnel

_HERE: Final = "socket"
_LEAST_S: Final = 10.0
_MISSING: Final = "missing"
_MOST_NAMED: Final = 5


def tunnel_to(
    info: ConnectionInfo,
    login: Login,
    password: Secret | None = None,
    timeout_s: float = _LEAST_S,
    look: Callable[[], None] = nothing_else,
) -> tuple[ConnectionInfo, Tunnel]:
    """Return *info* with addresses here that lead to the controller, and the tunnel behind them.

    Args:
        info: as its connection file has it.
        login: to the controller's host, or to one from which it can be reached.
        password: for the login, if ssh asks for one.
        timeout_s: how long that may take.
        look: called often meanwhile; ends the wait by raising something.

    Raises:
        SSHError: there is no way; the text ends with what ssh said.
    """
    sockets = [_ipc_path(address) for address in info.addresses if address.startswith("ipc://")]
    tests = (f"if [ -S {shlex.quote(path)} ]; then echo {_HERE}; fi" for path in sockets)
    tunnel = Tunnel(login, "\n".join(["uname -n", *tests]), password)
    try:
        said = tunnel.open(_patience(login, timeout_s), look)
        return _led_by(tunnel, info, said[:1] == [info.host] or _HERE in said[1:]), tunnel
    except BaseException:
        tunnel.close()
        raise


def fetch(
    place: RemoteCluster,
    login: Login,
    password: Secret | None = None,
    timeout_s: float = _LEAST_S,
    look: Callable[[], None] = nothing_else,
) -> tuple[ConnectionInfo, Tunnel]:
    """Return what the connection file of a cluster elsewhere says, led through a tunnel.

    The file comes as text over ssh, and is not kept here. One that is not there yet is waited for.

    Args:
        place: the cluster.
        login: to its host.
        password: as for `tunnel_to`.
        timeout_s: as for `tunnel_to`.
        look: as for `tunnel_to`.

    Raises:
        SSHError: there is no way.
        MissingFileError: there is no such file there.
        ConnectionFileError: it is damaged.
    """
    tunnel = Tunnel(login, _fetching(place, timeout_s), password)
    try:
        said = tunnel.open(_patience(login, timeout_s + _LEAST_S), look)
        info = _read(place, said)
        return _led_by(tunnel, info, True), tunnel
    except BaseException:
        tunnel.close()
        raise


def server_of(info: ConnectionInfo) -> str:
    """Return the host to log in to where only a key or a password was given: the controller's.

    Raises:
        ValueError: nobody knows which that is.
    """
    if info.host:
        return info.host
    for address in info.addresses:
        if address.startswith("tcp://"):
            return address.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    raise ValueError("say with sshserver= which host to log in to: the connection file names none")


def login_to(server: str, key: str, *, may_ask: bool) -> Login:
    """Return how to log in.

    Raises:
        ValueError: *server* names no host.
    """
    return Login(parse_server(server), str(Path(key).expanduser()) if key else "", may_ask)


def _patience(login: Login, timeout_s: float) -> float | None:
    """Return for how long ssh is waited for: a person who is asked may take long."""
    return None if login.may_ask else max(timeout_s, _LEAST_S)


def _led_by(tunnel: Tunnel, info: ConnectionInfo, is_there: bool) -> ConnectionInfo:
    """Return *info* with sockets of *tunnel* for addresses.

    Args:
        tunnel: it is open.
        info: of the controller.
        is_there: whether the tunnel ends on the controller's host.
    """
    found = [(address, _target(address, is_there)) for address in info.addresses]
    usable = [(address, target) for address, target in found if target]
    if not usable:
        raise SSHError(
            f"ssh {tunnel.login.server} does not lead to the controller, which listens on its own "
            f"host {info.host} only: name that as the server for ssh, or start it with --ip"
        )
    sockets = tunnel.lead([target for _, target in usable])
    schemes = [TO_IPC if address.startswith("ipc://") else TO_TCP for address, _ in usable]
    led = (f"{scheme}{path}" for scheme, path in zip(schemes, sockets, strict=True))
    return replace(info, addresses=tuple(led))


def _target(address: str, is_there: bool) -> str:
    """Return where a forwarding has to lead for *address*; empty if it cannot."""
    if address.startswith("ipc://"):
        return _ipc_path(address) if is_there else ""
    rest = address.partition("://")[2]
    return rest if is_there or not _is_loopback(rest.rpartition(":")[0].strip("[]")) else ""


def _ipc_path(address: str) -> str:
    return address.removeprefix("ipc://")


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _fetching(place: RemoteCluster, timeout_s: float) -> str:
    """Return the script that prints the host's name, and the file or what there is instead."""
    if place.path:
        path = shlex.quote(place.path)
    else:
        name = client_file(Path(f"profile_{place.profile}", "security"), place.cluster_id)
        path = f'"${{IPYTHONDIR:-$HOME/.ipython}}"/{shlex.quote(name.as_posix())}'
    return (
        f"f={path}; n=0\n"
        f'while [ ! -e "$f" ] && [ $n -lt {int(timeout_s)} ]; do sleep 1; n=$((n + 1)); done\n'
        f'if [ -e "$f" ]; then echo "$f"; cat "$f"; '
        f'else echo {_MISSING}; echo "$f"; ls "$(dirname "$f")" 2>/dev/null; fi\n'
    )


def _read(place: RemoteCluster, said: Sequence[str]) -> ConnectionInfo:
    """Return what the file says that a script has printed."""
    if said[:1] == [_MISSING]:
        raise MissingFileError(
            f"there is no connection file {place.server}:{said[1] if said[1:] else ''}: start "
            f"ipcontroller (or ipcluster start) there{_others(said[2:])}"
        )
    source = f"the connection file {place.server}:{said[0] if said else ''}"
    try:
        content = json.loads("\n".join(said[1:]))
    except (ValueError, RecursionError) as error:
        raise ConnectionFileError(f"{source} is damaged (no JSON), or cannot be read") from error
    if not isinstance(content, dict):
        raise ConnectionFileError(f"{source} is damaged (no JSON object)")
    info = ConnectionInfo.from_dict(content, source)
    return replace(info, path=Path(f"{place.server}:{PurePosixPath(said[0])}"))


def _others(names: Sequence[str]) -> str:
    """Return which clusters there are instead, as the end of a sentence."""
    prefix, suffix = client_file(Path(), "*").name.split("*")
    files = [name for name in names if name.startswith(prefix) and name.endswith(suffix)]
    ids = [f"?cluster_id={name[len(prefix) : -len(suffix)]}" for name in files[:_MOST_NAMED]]
    return f"; there are others: {', '.join(ids)}" if ids else ""
