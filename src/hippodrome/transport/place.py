"""One place where a controller may be: a plain socket knocks, then ZeroMQ shakes hands.

ZeroMQ alone would try again in silence for ever. On TCP the CURVE handshake is watched, so that a
wrong key is an error and no silence either. What takes too long, or is cut, is asked once more with
a plain socket what it is: another program may have that port.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import zmq

from hippodrome.paths import socket_trouble
from hippodrome.protocol.reading import one_line
from hippodrome.transport.unreached import Unreached, Why, failure_of

ASK_AFTER_S: Final = 1.0  # of a handshake that does not end
_MONITOR_HEAD: Final = struct.Struct("=hi")
_REFUSALS: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
_CUTS: Final = 3  # that are no accident
_MECHANISM: Final = b"CURVE"
# What a peer says first: signature and version. Then two ends of lines, for others than peers.
_GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"\r\n\r\n"
_GREETING_BYTES: Final = 64
_SIGNATURE_BYTES: Final = 10
_MECHANISM_ENDS: Final = 32
_MOST_SAID: Final = 40

MUTE: Final = "something listens there, but it does not answer"
CUT: Final = "it ends the handshake without a word"
NOT_ACCEPTED: Final = "wrong key: it does not accept the key"

Dealer = zmq.Socket[bytes]
MakeDealer = Callable[[str], Dealer]


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a place is.

    Attributes:
        endpoint: for ZeroMQ; of TCP with a number, as a name may have several.
        family: of the address.
        target: what a plain socket connects to.
    """

    endpoint: str
    family: int
    target: Any  # Any: its form depends on the family


def spot_of(found: tuple[Any, ...]) -> Spot:
    """Return one result of `socket.getaddrinfo`."""
    family, target = found[0], found[4]
    host = str(target[0])
    return Spot(f"tcp://{f'[{host}]' if ':' in host else host}:{target[1]}", family, target)


class Place:
    """One place, on the way from a knock to a connection.

    Args:
        spot: where.
        make: makes a dealer for its endpoint, not connected yet; None: a knock is enough.

    Attributes:
        dealer: connected, if it `is_in`.
        is_in: the other side has accepted us.
        failure: why nothing will come of it; None while something may.
        shook: when the handshake began; None before.
    """

    def __init__(self, spot: Spot, make: MakeDealer | None) -> None:
        self.spot: Final = spot
        self.dealer: Dealer | None = None
        self.is_in: bool = False
        self.failure: Unreached | None = None
        self.shook: float | None = None
        self._make = make
        self._monitor: zmq.Socket[Any] | None = None
        self._knock: socket.socket | None = None
        self._asking: Asking | None = None
        self._has_asked = False
        self._n_cut = 0
        self._suspicion: Unreached | None = None

    @property
    def is_over(self) -> bool:
        """Whether it is known what becomes of it."""
        return self.is_in or self.failure is not None

    def begin(self, now: float) -> None:
        """Knock."""
        if self.spot.family == socket.AF_UNIX:
            trouble = socket_trouble(self.spot.target)
            if trouble is None:
                self._shake(now)
            else:
                text = os.strerror(trouble.errno or 0)
                self.failure = failure_of(self.spot.endpoint, OSError(trouble.errno, text))
            return
        try:
            self._knock = socket.socket(self.spot.family, socket.SOCK_STREAM)
            self._knock.setblocking(False)
            code = self._knock.connect_ex(self.spot.target)
        except OSError as error:
            self._fail(error)
            return
        if code not in (0, errno.EINPROGRESS):
            self._fail(OSError(code, os.strerror(code)))

    def sources(self) -> Iterator[tuple[Any, int]]:
        """Yield what to poll, and for what."""
        if self._knock is not None:
            yield self._knock.fileno(), zmq.POLLOUT
        if self._monitor is not None:
            yield self._monitor, zmq.POLLIN
        if self._asking is not None:
            yield self._asking.source

    def look(self, now: float) -> None:
        """See what has happened; never blocks."""
        if self._knock is not None and self._has_knocked():
            self._shake(now)
        if self._monitor is not None:
            self._look_at_handshake()
        if self._asking is not None:
            self._hear_what_it_is()
        is_late = self.shook is not None and now - self.shook >= ASK_AFTER_S
        if not self.is_over and is_late and self.spot.family != socket.AF_UNIX:
            self._ask()

    def give_up(self, failure: Unreached) -> None:
        """Nobody waits for it any longer; *failure* holds where nothing was heard at all."""
        if self.is_over:
            return
        if self.shook is not None:
            why, text = (Why.CUT, CUT) if self._n_cut else (Why.MUTE, MUTE)
            failure = self._suspicion or Unreached(self.spot.endpoint, why, text)
        self.failure = failure

    def take(self) -> Dealer:
        """Return the connected dealer, which is the caller's from now on."""
        assert self.dealer is not None
        dealer, self.dealer = self.dealer, None
        return dealer

    def close(self) -> None:
        """Leave nothing open; a dealer that was not taken neither."""
        self._end_monitor()
        for opened in (self._knock, self._asking):
            if opened is not None:
                opened.close()
        self._knock = self._asking = None
        if self.dealer is not None:
            self.dealer.close(0)
            self.dealer = None

    # ------------------------------------------------------------ the knock

    def _has_knocked(self) -> bool:
        assert self._knock is not None
        code = self._knock.connect_ex(self.spot.target)
        if code in (errno.EALREADY, errno.EINPROGRESS):
            return False
        self._knock.close()
        self._knock = None
        if code in (0, errno.EISCONN):
            return True
        self._fail(OSError(code, os.strerror(code)))
        return False

    def _fail(self, error: OSError) -> None:
        if self._knock is not None:
            self._knock.close()
            self._knock = None
        self.failure = failure_of(self.spot.endpoint, error)

    # ------------------------------------------------------------ the handshake

    def _shake(self, now: float) -> None:
        if self._make is None:
            self.is_in = True
            return
        self.shook = now
        self.dealer = self._make(self.spot.endpoint)
        monitor = self.dealer.get_monitor_socket(_REFUSALS | zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._monitor = monitor
        self.dealer.connect(self.spot.endpoint)

    def _look_at_handshake(self) -> None:
        assert self._monitor is not None
        with suppress(zmq.Again):
            while not self.is_over:
                # pyzmq's own parser of this would bring asyncio into every process
                frames = self._monitor.recv_multipart(zmq.NOBLOCK)
                self._on_event(_MONITOR_HEAD.unpack(frames[0])[0])
        if self.is_over:
            self._end_monitor()

    def _on_event(self, event: int) -> None:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.is_in = True
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self.failure = Unreached(self.spot.endpoint, Why.WRONG_KEY, NOT_ACCEPTED)
        elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            self._suspect(Why.WRONG_KEY, NOT_ACCEPTED)
        else:
            self._n_cut += 1  # it may be busy, or of another controller: ZeroMQ tries again
            if self._n_cut == _CUTS:
                self._suspect(Why.CUT, CUT)

    def _end_monitor(self) -> None:
        if self._monitor is None:
            return
        if self.dealer is not None:
            self.dealer.disable_monitor()
        self._monitor.close(0)  # disabling leaves it open when somebody still holds it
        self._monitor = None

    # ------------------------------------------------------------ what else it may be

    def _suspect(self, why: Why, text: str) -> None:
        self._suspicion = Unreached(self.spot.endpoint, why, text)
        if self._has_asked and self._asking is None:
            self.failure = self._suspicion
        else:
            self._ask()

    def _ask(self) -> None:
        """Greet as a peer does, and hear whether that is understood."""
        if not self._has_asked:
            self._has_asked = True
            self._asking = Asking(self.spot)

    def _hear_what_it_is(self) -> None:
        assert self._asking is not None
        heard = self._asking.look()
        if heard is None:
            return
        self._asking.close()
        self._asking = None
        if text := what_speaks(heard):
            self.failure = Unreached(self.spot.endpoint, Why.STRANGER, text)
        self.failure = self.failure or self._suspicion


class Asking:
    """Greets whoever listens at a spot, with a plain socket, and hears what it answers."""

    def __init__(self, spot: Spot) -> None:
        self._spot = spot
        self._has_greeted = False
        self._socket = socket.socket(spot.family, socket.SOCK_STREAM)
        self._socket.setblocking(False)

    @property
    def source(self) -> tuple[int, int]:
        """What to poll, and for what."""
        return self._socket.fileno(), zmq.POLLIN if self._has_greeted else zmq.POLLOUT

    def look(self) -> bytes | None:
        """Return what was heard; None if there may be more to come. Never blocks."""
        try:
            if not self._has_greeted:
                code = self._socket.connect_ex(self._spot.target)
                if code in (errno.EALREADY, errno.EINPROGRESS):
                    return None
                self._socket.send(_GREETING)
                self._has_greeted = True
            heard = self._socket.recv(_GREETING_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        is_greeting = heard[:1] == b"\xff" and len(heard) < _MECHANISM_ENDS
        return None if is_greeting else heard

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()


def what_speaks(heard: bytes) -> str:
    """Say what else than a controller greets with *heard*; empty if it may be one."""
    if not heard:
        return ""
    if heard[:1] == b"\xff" and len(heard) >= _MECHANISM_ENDS:
        mechanism = heard[_SIGNATURE_BYTES + 2 : _MECHANISM_ENDS].rstrip(b"\0")
        is_ours = mechanism == _MECHANISM
        return "" if is_ours else "another program of ZeroMQ listens there, which has no keys"
    line = one_line(heard.decode("ascii", "replace").split("\n")[0].strip(), _MOST_SAID)
    return f"another program listens there, which says {line!r}"
