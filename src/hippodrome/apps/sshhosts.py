"""Options that name a host for ssh."""

from __future__ import annotations

from hippodrome.errors import ClusterError


def ssh_host(text: str) -> str:
    """Return *text*, which names a host for ssh, or is empty.

    Raises:
        ClusterError: it names none.
    """
    if text:
        from hippodrome.ssh.places import parse_server

        try:
            parse_server(text)
        except ValueError as error:
            raise ClusterError(f"no host for ssh: {error}") from error
    return text
