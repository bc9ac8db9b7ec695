"""How peers come in: the directory of the socket, keys, addresses; new ones, or those of before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hippodrome import paths
from hippodrome.errors import LaunchError
from hippodrome.hub.config import ControllerConfig
from hippodrome.security import kept_keys
from hippodrome.security.connection_file import ROLES
from hippodrome.security.kept_keys import SERVER, KeptKeys
from hippodrome.security.keys import KeyPair, generate


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where a controller is to listen, and who gets in.

    Attributes:
        config: what the controller was told, with what it keeps of the one before.
        socket_dir: the private directory of its socket; its maker removes it.
        pairs: the key pairs by role, and the controller's own; empty if nothing listens on TCP.
        ips: addresses to bind.
        hosts: host names and addresses to publish.
    """

    config: ControllerConfig
    socket_dir: Path
    pairs: Mapping[str, KeyPair]
    ips: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def addresses(self, port: int) -> tuple[str, ...]:
        """Return what goes into connection files."""
        own = f"ipc://{self.socket_dir / paths.SOCKET_NAME}"
        if not self.ips:
            return (own,)
        from hippodrome.transport.doors import addresses_of

        return (own, *addresses_of(self.hosts, port, self.config.location))

    def keep(self, port: int) -> None:
        """Let the next controller have the same, or none, if this one was not to.

        Raises:
            ConnectionFileError: it cannot be written.
        """
        config = self.config
        path = kept_keys.keys_file(config.security_dir, config.cluster_id)
        if config.reuse:
            directory = str(self.socket_dir)
            kept = KeptKeys(self.pairs, port, config.ip, config.location, directory)
            kept_keys.save(path, kept)
        else:
            kept_keys.forget(path)


def make_entrance(config: ControllerConfig) -> Entrance:
    """Return how peers come in.

    Raises:
        LaunchError: an address is not this host's.
        ConnectionFileError: what was kept cannot be used.
    """
    paths.sweep_socket_dirs()
    kept = None
    if config.reuse:
        kept = kept_keys.load(kept_keys.keys_file(config.security_dir, config.cluster_id))
    kept = kept or KeptKeys({})
    config = replace(
        config,
        ip=config.ip or kept.ip,
        port=config.port or kept.port,
        location=config.location or kept.location,
    )
    ips, hosts = _doors(config)
    pairs = (kept.pairs or _new_pairs()) if ips else {}
    return Entrance(config, paths.new_socket_dir(kept.socket_dir), pairs, ips, hosts)


def _new_pairs() -> Mapping[str, KeyPair]:
    return {role: generate() for role in (SERVER, *ROLES)}


def _doors(config: ControllerConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not config.ip:
        return (), ()
    from hippodrome.transport.doors import find_doors

    doors = find_doors(config.ip, config.towards)
    if not doors.bound:
        raise LaunchError(f"--ip={config.ip!r} names no address: use one, or '*' for all")
    return doors.bound, doors.published
