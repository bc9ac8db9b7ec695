"""Where a controller listens for other hosts, and by which names and addresses they reach it."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hippodrome.errors import LaunchError
from hippodrome.transport.interfaces import (
    OwnAddress,
    bare_host,
    hosts_of,
    is_address,
    own_addresses,
    reachable_hosts,
    way_to,
)
from hippodrome.transport.listen import bracketed

ALL: Final = "*"
AUTO: Final = "auto"
MOST_PUBLISHED: Final = 16
_EVERYWHERE: Final = (ALL, "0.0.0.0", "::")  # noqa: S104 - compared, not bound
_MOST_SAID: Final = 8

log: logging.Logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a controller listens, and what others are told of it.

    Attributes:
        bound: addresses of this host, or ``"*"`` alone for all of both families.
        published: host names and addresses by which others may reach it, best first.
    """

    bound: tuple[str, ...]
    published: tuple[str, ...]


def find_doors(ip: str, towards: Iterable[str] = ()) -> Doors:
    """Return what ``--ip`` means.

    Args:
        ip: addresses, names of interfaces or of this host, with commas; ``"*"`` for all addresses;
            ``"auto"`` for those by which the hosts in *towards* are reached, all if there are none.
        towards: hosts, also as launchers name them, with users and ports.

    Raises:
        LaunchError: one is nothing that this host has.
    """
    found = [
        door
        for word in hosts_of(ip)
        for door in (_ways_to(towards) if word == AUTO else [_door_of(word.strip("[]"))])
    ]
    bound = dict.fromkeys(one for door in found for one in door.bound)
    published = dict.fromkeys(one for door in found for one in door.published)
    if everywhere := [one for one in bound if one in _EVERYWHERE]:
        bound = dict.fromkeys([ALL if ALL in everywhere else everywhere[0]])
    return Doors(tuple(bound), tuple(published))


def addresses_of(hosts: Iterable[str], port: int, location: str = "") -> Sequence[str]:
    """Return the addresses to publish for an endpoint, best first.

    Args:
        hosts: host names and addresses by which it may be reached.
        port: the port that was bound.
        location: further ones, with commas, which come first; each may have a port of its own, as
            where one is forwarded.
    """
    told = [_with_port(one, port) for one in hosts_of(location)]
    own = [f"{bracketed(host)}:{port}" for host in hosts]
    return tuple(dict.fromkeys(f"tcp://{one}" for one in [*told, *own]))[:MOST_PUBLISHED]


def _door_of(word: str) -> Doors:
    """Return what one word of ``--ip`` means."""
    if word in _EVERYWHERE:
        hosts = reachable_hosts()
        if word == "0.0.0.0":  # noqa: S104 - as above
            hosts = [host for host in hosts if ":" not in host]
        loopback = "::1" if word == "::" else "127.0.0.1"
        return Doors((word,), tuple(dict.fromkeys([socket.gethostname(), *hosts, loopback])))
    if is_address(word):
        return Doors((word,), (word,))
    own = own_addresses()
    if of_interface := tuple(one.host for one in own if one.interface == word):
        return Doors(of_interface, of_interface)
    if of_name := tuple(one for one in _look_up(word) if _is_own(one, own)):
        return Doors(of_name, (word, *of_name))
    raise LaunchError(
        f"{word!r} is no address of this host, which has {_in_words(own)}: use one, an "
        "interface's name, '*' for all, or auto, with --ip"
    )


def _ways_to(towards: Iterable[str]) -> list[Doors]:
    """Return where to listen for *towards*; everywhere if that is unknown.

    What is this host itself needs no door.
    """
    ways = {host: way_to(bare_host(host)) for host in towards}
    if unknown := [host for host, way in ways.items() if not way]:
        named = ", ".join(unknown[:_MOST_SAID])
        log.warning("listening at all addresses, as there is no way to %s from here", named)
    if unknown or not ways:
        return [_door_of(ALL)]
    outside = [way for way in ways.values() if not ipaddress.ip_address(way).is_loopback]
    return [_door_of(way) for way in outside or ["127.0.0.1"]]


def _look_up(name: str) -> list[str]:
    with contextlib.suppress(OSError, ValueError):
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(target[0]) for *_, target in found))
    return []


def _is_own(host: str, own: Iterable[OwnAddress]) -> bool:
    is_inside = is_address(host) and ipaddress.ip_address(host).is_loopback
    return is_inside or any(one.host == host for one in own)


def _in_words(own: Iterable[OwnAddress]) -> str:
    words = [f"{one.host} ({one.interface})" for one in own if one.is_up]
    rest = [f"{len(words) - _MOST_SAID} more"] if len(words) > _MOST_SAID else []
    return ", ".join([*words[:_MOST_SAID], *rest])


def _with_port(location: str, port: int) -> str:
    if re.fullmatch(r"(\[[^\]]*\]|[^:]+):\d+", location):
        return location
    return f"{bracketed(location)}:{port}"
