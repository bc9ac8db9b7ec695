"""The addresses of this host: what its network interfaces have, and which leads to another host.

Imports psutil, and so only where something listens for other hosts.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_ANY_PORT: Final = 9  # of a datagram socket: nothing is sent
_ELSEWHERE: Final = ("192.0.2.1", "2001:db8::1")  # for examples: only the way to them counts


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """One address of an interface of this host.

    Attributes:
        interface: its name.
        host: the address, without a zone.
        is_up: whether the interface is.
        is_inside: whether it reaches this host only.
    """

    interface: str
    host: str
    is_up: bool
    is_inside: bool


def own_addresses() -> list[OwnAddress]:
    """Return the addresses of this host, those of other hosts' kind first, IPv4 before IPv6.

    Without those that are good on one link only, and that need to be told which.
    """
    import psutil

    states = psutil.net_if_stats()
    found = [
        OwnAddress(
            name,
            one.address,
            name in states and states[name].isup,
            ipaddress.ip_address(one.address).is_loopback,
        )
        for name, addresses in psutil.net_if_addrs().items()
        for one in addresses
        if one.family in (socket.AF_INET, socket.AF_INET6) and _is_usable(one.address)
    ]
    return sorted(found, key=lambda one: (one.is_inside, ":" in one.host))


def reachable_hosts() -> list[str]:
    """Return the addresses by which others may reach this host, that of the way out first."""
    ways = [way_to(host) for host in _ELSEWHERE]
    others = [one.host for one in own_addresses() if one.is_up and not one.is_inside]
    return list(dict.fromkeys([way for way in ways if way in others] + others))


def way_to(host: str) -> str:
    """Return the address of this host from which *host* is reached; empty if it is not known.

    Args:
        host: a name or an address.
    """
    with contextlib.suppress(OSError, ValueError):
        for family, _, _, _, target in socket.getaddrinfo(host, _ANY_PORT, type=socket.SOCK_DGRAM):
            with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect(target)
                return str(probe.getsockname()[0])
    return ""


def bare_host(text: str) -> str:
    """Return the host in what launchers call one: ``user@host:port``, ``[2001:db8::1]:22``."""
    text = text.rpartition("@")[2]
    if found := re.fullmatch(r"\[([^\]]*)\](:\d+)?", text):
        return found[1]
    return re.sub(r":\d+$", "", text) if text.count(":") == 1 else text


def hosts_of(text: str) -> Iterator[str]:
    """Yield the hosts of a list with commas."""
    yield from dict.fromkeys(filter(None, map(str.strip, text.split(","))))


def is_address(text: str) -> bool:
    """Tell whether *text* is a number, as an address is that is no name."""
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_usable(address: str) -> bool:
    with contextlib.suppress(ValueError):
        return not ipaddress.ip_address(address.partition("%")[0]).is_link_local
    return False
