"""Who may connect over TCP: an allow-list of public keys, each with a role.

ZeroMQ asks a handler at one address in the same context for each CURVE handshake. It is polled by
the loop that owns the endpoint: no thread of its own, no state to share.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import zmq
from zmq.utils import z85

DOMAIN: Final = "hippodrome"
NOBODY: Final = "nobody"  # a role that may do nothing
_ADDRESS: Final = "inproc://zeromq.zap.01"
_VERSION: Final = b"1.0"
_QUIET_S: Final = 1.0

log: logging.Logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HandshakeVerdict:
    """The decision that one handshake met; *reason* is empty when it was accepted."""

    address: str
    public_key: str
    role: str | None
    reason: str


class Authenticator:
    """Answers ZeroMQ's questions about who may connect.

    Poll `socket` for input and call `handle` when there is some. To be made before the endpoint
    binds its TCP address, in the same context and process.

    Args:
        context: the endpoint's context.
        roles: public key (Z85) to role. Copied.

    Attributes:
        socket: to poll for input.
        accepted: how many handshakes were accepted.
        rejected: how many were rejected.

    Raises:
        zmq.ZMQError: the context has a handler already.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], roles: Mapping[str, str]) -> None:
        self._roles = dict(roles)
        self.accepted: int = 0
        self.rejected: int = 0
        self._log_due = 0.0
        self.socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(_ADDRESS)

    def role(self, public_key: str) -> str | None:
        """Return the role of *public_key*, which is the ``User-Id`` of a message over TCP."""
        return self._roles.get(public_key)

    def role_of(self, frame: zmq.Frame) -> str | None:
        """Return the role that the key of a connection proves; None for one of this host.

        Args:
            frame: of a message that came over it.
        """
        key = _property(frame, "User-Id")
        if key is None and _is_local(_property(frame, "Peer-Address")):
            return None
        return self.role(key or "") or NOBODY

    def handle(self) -> None:
        """Answer every question that has arrived; never blocks."""
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._answer(frames)

    def close(self) -> None:
        """Stop answering; handshakes from now on fail."""
        self.socket.close()

    def _answer(self, frames: list[bytes]) -> None:
        split = frames.index(b"")
        route, request = frames[: split + 1], frames[split + 1 :]
        verdict = _judge(request, self._roles)
        user_id = verdict.public_key.encode("ascii") if not verdict.reason else b""
        status = b"400" if verdict.reason else b"200"
        request_id = request[1] if len(request) > 1 else b""
        text = verdict.reason.encode("ascii") or b"OK"
        self._count(verdict)  # first: who is refused may know of it at once
        self.socket.send_multipart([*route, _VERSION, request_id, status, text, user_id, b""])

    def _count(self, verdict: HandshakeVerdict) -> None:
        if not verdict.reason:
            self.accepted += 1
            log.debug("%s connected with the key for role %s", verdict.address, verdict.role)
            return
        self.rejected += 1
        now = time.monotonic()
        if now >= self._log_due:  # a flood of strangers must not fill the disk
            self._log_due = now + _QUIET_S
            log.warning(
                "rejected %s: %s (%d rejected so far)",
                verdict.address,
                verdict.reason,
                self.rejected,
            )


def _property(frame: zmq.Frame, name: str) -> str | None:
    try:
        return str(frame.get(name))
    except (zmq.ZMQError, KeyError):
        return None


def _is_local(address: str | None) -> bool:
    """Tell whether a connection is over a socket in the file system, whose permissions hold.

    Such a one has the ids of its process for an address, or a name; what is not known is no proof.
    """
    try:
        ipaddress.ip_address((address or "::").partition("%")[0])
    except ValueError:
        return True
    return False


def _judge(request: list[bytes], roles: Mapping[str, str]) -> HandshakeVerdict:
    """Decide about one question: version, id, domain, address, routing id, mechanism, key."""
    if len(request) < 6:
        return HandshakeVerdict("", "", None, "malformed request")
    address = request[3].decode("ascii", "replace")
    if request[0] != _VERSION or request[2] != DOMAIN.encode("ascii"):
        return HandshakeVerdict(address, "", None, "unknown domain or version")
    if request[5] != b"CURVE" or len(request) != 7 or len(request[6]) != 32:
        return HandshakeVerdict(address, "", None, "only CURVE is accepted")
    public_key = z85.encode(request[6]).decode("ascii")
    role = roles.get(public_key)
    return HandshakeVerdict(address, public_key, role, "" if role else "unknown key")
