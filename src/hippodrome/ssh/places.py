"""The ways to name a host that ssh leads to, and a cluster there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEME: Final = "ssh://"
_MOST_PORT: Final = 65535
_MARKS: Final = "/\\'\"`$;|&<>"  # of shells: ssh hands names to commands of its configuration


@dataclass(frozen=True, slots=True)
class SSHServer:
    """A host, as ssh is told of it.

    Attributes:
        host: a name, an address, or an alias from the user's configuration of ssh.
        user: who logs in; empty leaves that to ssh.
        port: where sshd listens; 0 leaves that to ssh.
    """

    host: str
    user: str = ""
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host and self.port else self.host
        return f"{self.user and self.user + '@'}{host}{f':{self.port}' if self.port else ''}"

    @property
    def destination(self) -> str:
        """What ssh takes for it, beside the port."""
        return f"{self.user}@{self.host}" if self.user else self.host


@dataclass(frozen=True, slots=True)
class RemoteCluster:
    """A cluster on another host.

    Attributes:
        server: the host.
        profile: the name of its profile there.
        cluster_id: which cluster of the profile; empty for the default one.
        path: its connection file there; empty looks for it in the profile.
    """

    server: SSHServer
    profile: str = "default"
    cluster_id: str = ""
    path: str = ""


def parse_server(text: str) -> SSHServer:
    """Return the host that *text* names: ``host``, ``user@host:port``, or ``ssh://user@host:port``.

    Raises:
        ValueError: it names none.
    """
    rest = text.strip().removeprefix(SCHEME).rstrip("/")
    user, _, place = rest.rpartition("@")
    host, port = _split_port(place)
    _check(text, user, host)
    if not port:
        return SSHServer(host, user)
    if not port.isdecimal() or not 0 < int(port) <= _MOST_PORT:
        raise ValueError(f"{text!r} names no host for ssh: {port!r} is no port")
    return SSHServer(host, user, int(port))


def parse_url(url: str) -> RemoteCluster:
    """Return the cluster that *url* names, as ``ssh://user@host:port/profile?cluster_id=x``.

    A path that ends with ``.json`` is that of a connection file there: ``ssh://host//tmp/a.json``
    is absolute, ``ssh://host/a.json`` begins at the home directory.

    Raises:
        ValueError: it names none.
    """
    parts = urlsplit(url)
    server = parse_server(SCHEME + parts.netloc)
    path, options = unquote(parts.path[1:]), dict(parse_qsl(parts.query, keep_blank_values=True))
    cluster_id = options.pop("cluster_id", "")
    if options or parts.fragment:
        raise ValueError(
            f"{url!r}: only cluster_id can be said after the profile, as in "
            f"ssh://{server}/{path or 'default'}?cluster_id=x"
        )
    if path.endswith(".json"):
        return RemoteCluster(server, path=path)
    if "/" in path:
        raise ValueError(f"{url!r}: {path!r} is neither a profile nor a connection file (.json)")
    return RemoteCluster(server, path or "default", cluster_id)


def _split_port(place: str) -> tuple[str, str]:
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        return host, port.removeprefix(":")
    if place.count(":") == 1:
        host, _, port = place.partition(":")
        return host, port
    return place, ""  # a bare address of the sixth version has more


def _check(text: str, user: str, host: str) -> None:
    """Raise ValueError where ssh would take a part for one of its options, or for none at all."""
    if not host or not all(map(_is_word, (user, host))):
        raise ValueError(f"{text!r} names no host for ssh, as user@host:port does")


def _is_word(part: str) -> bool:
    has_marks = any(mark.isspace() or mark in _MARKS for mark in part)
    return part.isprintable() and not has_marks and not part.startswith("-")
