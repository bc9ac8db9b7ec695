"""A peer's view of its connection: whether it was cut, is back, or leads to nobody any more.

Silence alone proves nothing. An address that refuses does: nobody listens there, so that the
process that did has ended. It is asked when the connection was closed, or after a silence, with a
plain socket, because ZeroMQ tries again for ever without a word. An address that does not answer
at all, or cannot be reached, proves nothing either.

Everything here is asked for by its owner's tick, and nothing waits for longer than an answer takes
that is close by.
"""

from __future__ import annotations

import enum
import errno
import select
import socket
import struct
from contextlib import suppress
from typing import Any, Final

import zmq

from hippodrome.transport.sockets import watch
from hippodrome.transport.tunneled import is_tunnel_endpoint

ASK_AFTER_S: Final = 3.0  # of silence
LOOKS_BETWEEN: Final = 5  # that do not ask again, after an answer that was no refusal
REFUSALS: Final = 2  # over TCP; a socket in a file system has nobody between that could refuse
_ANSWER_MS: Final = 20
_EVENT: Final = struct.Struct("=hi")
_CUT: Final = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED  # before we watched, or since
_EVENTS: Final = _CUT | zmq.EVENT_HANDSHAKE_SUCCEEDED

Dealer = zmq.Socket[Any]
_Address = tuple[int, Any]  # family and what `connect` takes, which depends on it


class Finding(enum.Enum):
    """The finding that a look has made."""

    NOTHING = "nothing"
    RENEWED = "renewed"  # there is a new connection, whose other end does not know whose it is
    ENDED = "ended"  # nobody listens any more: the controller's process has ended


class Renewals:
    """Tells when ZeroMQ has replaced a connection. On one thread, not necessarily the dealer's.

    Args:
        dealer: a connected socket.

    Attributes:
        is_cut: there is no connection now.
    """

    def __init__(self, dealer: Dealer) -> None:
        self.is_cut: bool = False
        self._dealer = dealer
        self._monitor = watch(dealer, _EVENTS)

    def look(self) -> bool:
        """Return whether there is a new connection since the last look."""
        is_new = False
        with suppress(zmq.Again):
            while True:
                event, _ = _EVENT.unpack(self._monitor.recv_multipart(zmq.NOBLOCK)[0])
                self.is_cut = bool(event & _CUT)
                is_new = is_new or not self.is_cut
        return is_new and not self.is_cut

    def close(self) -> None:
        """Stop watching; to be called before the dealer is closed."""
        self._dealer.monitor(None, 0)
        self._monitor.close()


class Lifeline:
    """Watches one connection, and asks at its address when there is reason to.

    Args:
        dealer: a connected socket.
        probe: how to ask; by default at the address that it is connected to.
    """

    def __init__(self, dealer: Dealer, probe: Probe | None = None) -> None:
        self._renewals = Renewals(dealer)
        endpoint = dealer.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(endpoint, bytes)
        self._probe = probe or Probe(_resolve(endpoint.rstrip(b"\0").decode()))
        self._n_idle = 0  # looks to come before it asks again

    def look(self, silent_s: float) -> Finding:
        """Look, after a silence of *silent_s*; to be called about twice a second."""
        is_new, is_cut = self._renewals.look(), self._renewals.is_cut
        if is_new or not (is_cut or silent_s >= ASK_AFTER_S):
            self._probe.forget()
            self._n_idle = 0
            return Finding.RENEWED if is_new else Finding.NOTHING
        if self._n_idle and not self._probe.is_under_way:
            self._n_idle -= 1
            return Finding.NOTHING
        is_refused = self._probe.is_refused(is_cut)
        self._n_idle = 0 if self._probe.n_refusals else LOOKS_BETWEEN
        return Finding.ENDED if is_refused else Finding.NOTHING

    def close(self) -> None:
        """Stop watching; to be called before the dealer is closed."""
        self._probe.forget()
        self._renewals.close()


class Probe:
    """Asks whether anybody listens at an address, and looks later if there is no answer yet.

    Args:
        address: where; None if that is not known, and nothing is ever found.

    Attributes:
        n_refusals: how often it was refused in a row.
    """

    def __init__(self, address: _Address | None) -> None:
        self.n_refusals: int = 0
        self._address = address
        self._socket: socket.socket | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether it has asked, and there is no answer yet."""
        return self._socket is not None

    def is_refused(self, is_cut: bool) -> bool:
        """Ask, or look for the answer; return whether it is certain that nobody listens.

        Args:
            is_cut: the connection is closed. If it is not, a file that is missing proves nothing:
                those who tidy up remove sockets that are in use.
        """
        if self._address is None:
            return False
        family, address = self._address
        code = self._connect(family, address)
        if code == errno.ECONNREFUSED or (code == errno.ENOENT and is_cut):
            self.n_refusals += 1
        elif code not in (errno.EINPROGRESS, errno.EALREADY):
            self.n_refusals = 0
        else:
            return False
        self._close()
        return self.n_refusals >= (1 if family == socket.AF_UNIX else REFUSALS)

    def _connect(self, family: int, address: Any) -> int:
        """Begin to connect, or see how far that is; return an error number, 0 for success."""
        if self._socket is None:
            try:
                self._socket = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:  # there are no descriptors left
                return error.errno or errno.EMFILE
            self._socket.setblocking(False)
        code = self._socket.connect_ex(address)
        if code != errno.EINPROGRESS:
            return code
        poller = select.poll()
        poller.register(self._socket, select.POLLOUT)
        poller.poll(_ANSWER_MS)
        return self._socket.connect_ex(address)

    def forget(self) -> None:
        """Begin anew: there is no doubt any more."""
        self.n_refusals = 0
        self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _resolve(endpoint: str) -> _Address | None:
    """Return where *endpoint* is, a number: a name may have several addresses, and tells nothing.

    It is not asked, as who listened there may be gone already. Of a tunnel's socket nothing is
    returned: that this end refuses does not tell of the other one.
    """
    if is_tunnel_endpoint(endpoint):
        return None
    scheme, _, rest = endpoint.partition("://")
    if scheme == "ipc":
        return socket.AF_UNIX, rest
    host, _, port = rest.rpartition(":")
    with suppress(OSError, ValueError):
        kind, numeric = socket.SOCK_STREAM, socket.AI_NUMERICHOST
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=kind, flags=numeric)
        return found[0][0], found[0][4]
    return None
