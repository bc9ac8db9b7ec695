"""Trying all addresses of a controller side by side, until one has let us in.

They begin one shortly after the other, best first, so that where the first is good nobody else is
bothered; an address that fails lets the next one begin at once. A name is looked up on a thread of
its own, as that may take longer than anybody wants to wait.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

import zmq

from hippodrome.errors import ClusterError
from hippodrome.security.connection_file import ConnectionInfo, nothing_else
from hippodrome.transport.place import Dealer, MakeDealer, Place, Spot, spot_of
from hippodrome.transport.tunneled import socket_of
from hippodrome.transport.unreached import (
    Unreached,
    Why,
    error_of,
    failure_of,
    merged,
    only_on,
    timed_out,
)

STEP_S: Final = 0.05  # between two addresses, while none has answered
PATIENCE_S: Final = 0.5  # after which the next one begins though another shakes hands
_LOOK_MS: Final = 100
_MOST_PLACES: Final = 8  # of one name


class Race:
    """One try of all addresses.

    Args:
        info: the addresses.
        make: makes a dealer for an endpoint, not connected yet; None: a knock is enough.
        timeout_s: how long it may take, in seconds.
        look: called often meanwhile; ends it by raising something.
    """

    def __init__(
        self,
        info: ConnectionInfo,
        make: MakeDealer | None,
        timeout_s: float,
        look: Callable[[], None] = nothing_else,
    ) -> None:
        self._info = info
        self._timeout_s = timeout_s
        self._look = look
        self._entries = [Entry(address, info.host, make) for address in info.addresses]
        self._waiting = list(self._entries)
        self._due = 0.0

    def run(self) -> tuple[Dealer, str]:
        """Return the first dealer that was let in, and the endpoint that it is connected to.

        Raises:
            ClusterError: there is none; the text says what became of each address.
        """
        with closing(self):  # also when a person wants no more: a context ends when its sockets do
            place = self._run()
            return place.take(), place.spot.endpoint

    def is_anybody_there(self) -> bool:
        """Return whether anybody was reached."""
        with closing(self):
            try:
                self._run()
            except ClusterError:
                return False
            return True

    def close(self) -> None:
        """Leave nothing open."""
        for entry in self._entries:
            entry.close()

    def _run(self) -> Place:
        deadline = time.monotonic() + self._timeout_s
        while True:
            self._look()
            now = time.monotonic()
            self._begin_more(now)
            for entry in self._entries:
                entry.look(now)
                for place in entry.places:
                    if place.is_in:
                        return place
            if not self._waiting and all(entry.is_over for entry in self._entries):
                raise error_of(self._info, [entry.failure() for entry in self._entries])
            if now >= deadline:
                self._give_up()
            else:
                self._wait(deadline - now)

    def _begin_more(self, now: float) -> None:
        """Let the next ones begin, if it is time to."""
        while self._waiting:
            begun = [entry for entry in self._entries if entry.has_begun and not entry.is_over]
            if begun and now < self._due:
                return
            if any(entry.is_shaking(now - PATIENCE_S) for entry in begun):
                return
            self._waiting.pop(0).begin(now)
            self._due = now + STEP_S

    def _wait(self, left_s: float) -> None:
        poller = zmq.Poller()
        for entry in self._entries:
            for source, events in entry.sources():
                poller.register(source, events)
        most_ms = STEP_S * 1000 if self._waiting else _LOOK_MS
        poller.poll(max(1, int(min(left_s * 1000, most_ms))))

    def _give_up(self) -> None:
        self._waiting.clear()
        for entry in self._entries:
            entry.give_up(self._timeout_s)


class Entry:
    """One address of the file, and the places that it leads to.

    Args:
        address: as the file has it.
        host: the controller's host, of whose file system sockets are.
        make: makes a dealer for an endpoint.

    Attributes:
        places: where it leads to.
        has_begun: whether it was its turn.
    """

    def __init__(self, address: str, host: str, make: MakeDealer | None) -> None:
        self.address: Final = address
        self.places: list[Place] = []
        self.has_begun: bool = False
        self._host = host
        self._make = make
        self._lookup: Lookup | None = None
        self._failure: Unreached | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing can come of it any more."""
        if self._failure is not None:
            return True
        return bool(self.places) and all(place.failure for place in self.places)

    def is_shaking(self, since: float) -> bool:
        """Whether a handshake that has begun after *since* has not ended."""
        return any(
            place.shook is not None and place.shook > since and not place.is_over
            for place in self.places
        )

    def begin(self, now: float) -> None:
        """It is its turn."""
        self.has_begun = True
        scheme, _, rest = self.address.partition("://")
        if path := socket_of(self.address):
            self._begin_at([Spot(f"ipc://{path}", socket.AF_UNIX, path)], now)
            return
        if scheme == "ipc":
            if self._host and self._host != socket.gethostname():
                self._failure = only_on(self.address, self._host)
            else:
                self._begin_at([Spot(self.address, socket.AF_UNIX, rest)], now)
            return
        host, _, port = rest.rpartition(":")
        host = host.strip("[]")
        try:
            number = int(port)
            found = _look_up(host, number, socket.AI_NUMERICHOST)
        except socket.gaierror:
            self._lookup = Lookup(host, number)
        except (OSError, ValueError, OverflowError) as error:
            self._failure = failure_of(self.address, _plain(error))
        else:
            self._begin_at(found, now)

    def look(self, now: float) -> None:
        """See what has happened."""
        if self._lookup is not None and self._lookup.is_done:
            lookup, self._lookup = self._lookup, None
            if lookup.error is not None:
                self._failure = failure_of(self.address, lookup.error)
            else:
                self._begin_at(lookup.found, now)
            lookup.close()
        for place in self.places:
            place.look(now)

    def sources(self) -> Iterator[tuple[Any, int]]:
        """Yield what to poll, and for what."""
        if self._lookup is not None:
            yield self._lookup.fd, zmq.POLLIN
        for place in self.places:
            yield from place.sources()

    def give_up(self, after_s: float) -> None:
        """Nobody waits for it any longer."""
        failure = timed_out(self.address, after_s)
        if not self.places and self._failure is None:
            is_named = self._lookup is not None
            text = f"name unknown here: nobody has said within {after_s:.3g} s whose it is"
            self._failure = Unreached(self.address, Why.NAME_UNKNOWN, text) if is_named else failure
        for place in self.places:
            place.give_up(failure)

    def failure(self) -> Unreached:
        """Return what became of it."""
        if self._failure is not None:
            return self._failure
        return merged(self.address, [place.failure for place in self.places if place.failure])

    def close(self) -> None:
        """Leave nothing open."""
        if self._lookup is not None:
            self._lookup.close()
        for place in self.places:
            place.close()

    def _begin_at(self, spots: list[Spot], now: float) -> None:
        self.places = [Place(spot, self._make) for spot in spots[:_MOST_PLACES]]
        for place in self.places:
            place.begin(now)


class Lookup:
    """Asks for the addresses of a name, on a thread that is left alone if it takes too long.

    Attributes:
        found: them, once it is done.
        error: why there are none.
    """

    def __init__(self, host: str, port: int) -> None:
        self.found: list[Spot] = []
        self.error: OSError | ValueError | None = None
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        thread = threading.Thread(target=self._run, args=(host, port, theirs), daemon=True)
        thread.start()

    @property
    def fd(self) -> int:
        """Becomes readable when it is done."""
        return self._ours.fileno()

    @property
    def is_done(self) -> bool:
        """Whether it is."""
        try:
            return self._ours.recv(1) == b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Wait for it no more."""
        self._ours.close()

    def _run(self, host: str, port: int, theirs: socket.socket) -> None:
        with theirs:  # whose end says that we are done
            try:
                self.found = _look_up(host, port)
            except (OSError, ValueError) as error:
                self.error = _plain(error)


def _look_up(host: str, port: int, flags: int = 0) -> list[Spot]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(map(spot_of, found)))


def _plain(error: Exception) -> OSError | ValueError:
    return error if isinstance(error, OSError) else ValueError(str(error))
