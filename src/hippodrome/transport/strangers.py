"""Connections that have not introduced themselves, which are cut where descriptors get scarce.

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
        self._endpoint = endpoint
        self.socket: Socket = watch(endpoint, zmq.EVENT_ACCEPTED)

    def look(self) -> None:
        """Take note of who has come; never blocks."""
        while has_message(self.socket):
            _, descriptor = _EVENT.unpack(self.socket.recv_multipart(zmq.NOBLOCK)[0])
            self._accepted.pop(descriptor, None)  # of one that is gone
            self._accepted[descriptor] = None

    def know(self, frame: zmq.Frame) -> None:
        """The connection over which *frame* came is a stranger's no more."""
        with suppress(zmq.ZMQError, ValueError):
            self._accepted.pop(int(frame.get(zmq.SRCFD)), None)

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
