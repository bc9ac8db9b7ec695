"""ipyparallel's name for a few helpers that programs of users import."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final  # Any: whatever a dict holds

from hippodrome.serialize.functions import interactive

__all__ = [
    "disambiguate_ip_address",
    "disambiguate_url",
    "ensure_timezone",
    "int_keys",
    "integer_loglevel",
    "interactive",
    "is_url",
    "split_url",
    "utc",
    "utcnow",
    "validate_url",
]

utc = UTC

LOCALHOST: Final = "127.0.0.1"
_EVERYWHERE: Final = frozenset({"", "*", "0.0.0.0"})  # noqa: S104 - what is to be replaced
_URL: Final = re.compile(r"(\w+)://(.*):([^:]+)")
_MOST_PORT: Final = 65535


def utcnow() -> datetime:
    """Return the time now, with its time zone, as all times in metadata and records are."""
    return datetime.now(UTC)


def ensure_timezone(dt: datetime) -> datetime:
    """Return a time with a time zone: without one it is taken for local time."""
    return dt.astimezone() if dt.tzinfo is None else dt


def is_url(url: str) -> bool:
    """Tell whether a string begins as an address of ZeroMQ does."""
    return url.partition("://")[0] in {"tcp", "ipc", "inproc", "pgm", "epgm", "udp"}


def split_url(url: str) -> tuple[str, str, str]:
    """Return protocol, host and port of an address, as strings.

    Raises:
        ValueError: it has no port.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(f"{url!r} is no address of the form tcp://HOST:PORT")
    return found[1], found[2], found[3]


def validate_url(url: str) -> bool:
    """Return True if an address can be one of ZeroMQ.

    Raises:
        ValueError: it cannot.
    """
    protocol, separator, _ = url.partition("://")
    if not separator or protocol not in {"tcp", "ipc", "inproc", "pgm", "epgm"}:
        raise ValueError(f"{url!r} is no address of ZeroMQ, as tcp://HOST:PORT")
    if protocol == "tcp":
        _, host, port = split_url(url)
        if not host or not (port == "*" or (port.isdecimal() and int(port) <= _MOST_PORT)):
            raise ValueError(f"{url!r} has no host, or no port from 0 to {_MOST_PORT}")
    return True


def disambiguate_ip_address(ip: str, location: str | None = None) -> str:
    """Return where to connect to what listens at *ip*.

    Args:
        ip: returned as it is, unless it stands for all addresses: ``0.0.0.0`` or ``*``.
        location: the host or address of the listener; by default, or if it is this host, it is
            reached by ``127.0.0.1``.
    """
    if ip not in _EVERYWHERE:
        return ip
    if not location or location in {LOCALHOST, "localhost", socket.gethostname()}:
        return LOCALHOST
    return location


def disambiguate_url(url: str, location: str | None = None) -> str:
    """Return *url* as one to connect to; see `disambiguate_ip_address`."""
    try:
        protocol, host, port = split_url(url)
    except ValueError:
        return url
    return f"{protocol}://{disambiguate_ip_address(host, location)}:{port}"


def integer_loglevel(loglevel: int | str) -> int:
    """Return a level of logging as a number.

    Raises:
        ValueError: there is no such level.
    """
    if isinstance(loglevel, int):
        return loglevel
    if loglevel.isdecimal():
        return int(loglevel)
    levels = logging.getLevelNamesMapping()
    if loglevel.upper() not in levels:
        raise ValueError(f"there is no level {loglevel!r}; there are: {', '.join(levels)}")
    return levels[loglevel.upper()]


def int_keys(dikt: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return *dikt* with those keys as numbers that JSON has made texts."""
    return {_number(key): value for key, value in dikt.items()}


def _number(key: Any) -> Any:
    return int(key) if isinstance(key, str) and re.fullmatch(r"-?\d{1,18}", key) else key
