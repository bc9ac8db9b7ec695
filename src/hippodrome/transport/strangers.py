"""Who comes to a socket and who goes, by what ZeroMQ tells of its connections.

Those that have not introduced themselves are cut where descriptors get scarce.
ZeroMQ drops who does not finish the handshake after some seconds. Until then each takes a
descriptor, and the process ends when there is none for the next peer on this host.
"""

from __future__ import annotations

import socket
import struct
from collections import OrderedDict
from contextlib import suppress
from typing import Final

import zmq

from hippodrome.transport.sockets import Socket, has_message, watch

_EVENT: Final = struct.Struct("=Hi")


class Strangers:
    """Watches who comes to a socket.

    Args:
        endpoint: the socket, before it is bound.
    """

    def __init__(self, endpoint: Socket) -> None:
        self._accepted: OrderedDict[int, None] = OrderedDict()  # descriptors, oldest first
        self._routes: dict[int, bytes] = {}  # by descriptor, of who is no stranger any more
        self._gone: list[bytes] = []
        self._n_come = 0
        self._endpoint = endpoint
        self.socket: Socket = watch(endpoint, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)

    def look(self) -> list[bytes]:
        """Take note of who has come, and return the routes of who has gone; never blocks.

        A route may still take messages for a moment.
        """
        while has_message(self.socket):
            event, descriptor = _EVENT.unpack(self.socket.recv_multipart(zmq.NOBLOCK)[0])
            self._accepted.pop(descriptor, None)  # of one that is gone
            route = self._routes.pop(descriptor, None)
            if route is not None:
                self._gone.append(route)
            if event == zmq.EVENT_ACCEPTED:
                self._accepted[descriptor] = None
                self._n_come += 1
        gone, self._gone = self._gone, []
        return gone

    def take_n_come(self) -> int:
        """Return how many connections have been accepted since this was last asked."""
        n, self._n_come = self._n_come, 0
        return n

    def know(self, frame: zmq.Frame, route: bytes) -> None:
        """The connection over which *frame* came, from *route*, is a stranger's no more."""
        self._gone = self.look()  # its descriptor may have been another's before
        with suppress(zmq.ZMQError, ValueError):
            descriptor = int(frame.get(zmq.SRCFD))
            self._accepted.pop(descriptor, None)
            self._routes[descriptor] = route

    def cut(self, most: int) -> int:
        """End the oldest connections of strangers, all but *most*; return how many."""
        n = max(0, len(self._accepted) - most)
        for _ in range(n):
            descriptor, _ = self._accepted.popitem(last=False)
            with suppress(OSError):  # it is closed by now
                stranger = socket.socket(fileno=descriptor)
                try:
                    stranger.shutdown(socket.SHUT_RDWR)
                finally:
                    stranger.detach()  # it is ZeroMQ who closes it
        return n

    def close(self) -> None:
        """Watch no more."""
        self._endpoint.monitor(None, 0)
        self.socket.close()
