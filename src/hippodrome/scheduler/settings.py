"""The settings that a scheduler starts with; read once, frozen, passed down."""

from __future__ import annotations

import logging

import msgspec

from hippodrome.scheduler.room import AUTO


class SchedulerSettings(msgspec.Struct, frozen=True):
    """The settings that a scheduler reads from a pipe, as they hold a secret.

    Attributes:
        socket_dir: a 0700 directory; the endpoint's ipc address is made in it.
        hub_address: where the hub listens.
        ips: the endpoint's TCP addresses; no TCP if there are none.
        port: that of all of them.
        public_key, secret_key: the controller's keys, for TCP.
        roles: public keys that may connect over TCP, each with its role.
        segments_dir, segments_token: where large buffers are shared, and what begins a reference
            to one; empty where they are not.
        large_limit: a buffer that is larger is never kept; 0: none that is large.
        hub_pid: the hub's process.
        leftovers: connection files to remove if the hub dies without doing so; another
            controller may have put its own in their place.
        log_level: the least that is logged.
        log_file: where to; empty for the error output.
    """

    socket_dir: str
    hub_address: str
    scheme: str = "leastload"
    hwm: int = AUTO
    ips: list[str] = []
    port: int = 0
    public_key: str = ""
    secret_key: str = ""
    roles: dict[str, str] = {}
    segments_dir: str = ""
    segments_token: bytes = b""
    large_limit: int = 0
    hub_pid: int = 0
    leftovers: list[str] = []
    log_level: int = logging.INFO
    log_file: str = ""

    def __repr__(self) -> str:
        return f"<SchedulerSettings of {self.socket_dir}>"
