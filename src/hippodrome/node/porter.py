"""The supervisor's data connection: brings the arguments of its engines, and gives their results.

On a thread of its own, so that no file and no gigabyte keeps the supervisor from its engines.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import Any, Final

import zmq

from hippodrome.errors import ProtocolError
from hippodrome.process.wakepipe import WakePipe
from hippodrome.protocol.frames import Frames
from hippodrome.protocol.link import Link
from hippodrome.security.complaints import Complaints
from hippodrome.segments.carrier import Carrier
from hippodrome.segments.shelf import Shelf
from hippodrome.transport.lifeline import Renewals
from hippodrome.transport.sockets import has_message, send

log: logging.Logger = logging.getLogger(__name__)

TICK_S: Final = 0.5
JOIN_S: Final = 2.0
BURST: Final = 16  # messages before the clock is looked at


class Porter:
    """The thread, and what it owns.

    Args:
        dealer: the connection; closed in the end.
        link: its channel.
        directory: of this host's segments.
    """

    def __init__(self, dealer: zmq.Socket[bytes], link: Link, directory: str) -> None:
        self._dealer: zmq.Socket[Any] = dealer
        self._link = link
        self._carrier = Carrier(link, Shelf(directory))
        self._renewals = Renewals(dealer)
        self._complaints = Complaints(log)
        self._wakes = WakePipe()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="hippodrome-data", daemon=True)

    def start(self) -> None:
        """Introduce this end, and do what is asked."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._is_stopping = True
        self._wakes.wake()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        try:
            self._serve()
        except Exception:
            log.exception("nothing more is brought to this host, or fetched from it")
        finally:
            self._renewals.close()
            self._dealer.close(0)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._dealer, zmq.POLLIN)
        poller.register(self._wakes.fd, zmq.POLLIN)
        self._send(self._link.hello())
        tick_due = 0.0
        while not self._is_stopping:
            poller.poll(int(1000 * max(0.0, min(TICK_S, tick_due - time.monotonic()))) + 1)
            for _ in range(BURST):
                if not has_message(self._dealer):
                    break
                self._receive()
            now = time.monotonic()
            if now >= tick_due:
                tick_due = now + TICK_S
                self._tick(now)

    def _receive(self) -> None:
        frames = [frame.buffer for frame in self._dealer.recv_multipart(zmq.NOBLOCK, copy=False)]
        try:
            received = self._link.receive(frames)
            self._send(received.replies)
            if received.message is not None:
                self._send(self._carrier.handle(received.message, received.buffers))
        except ProtocolError as error:
            self._complaints.warn([f"dropped a message: {error}"])
        except Exception:  # of one message; the others are no worse for it
            self._complaints.fail("dropped a message")

    def _tick(self, now: float) -> None:
        self._send(self._link.tick(now))
        if self._renewals.look() and self._link.is_open:
            self._send([self._link.stream.sync()])

    def _send(self, many: list[Frames]) -> None:
        for frames in many:
            with suppress(zmq.Again):  # the stream repeats what is lost
                send(self._dealer, frames)
