"""Objects of a client that is on another host than the controller: in its own memory.

What it sends is offered from where it is, and fetched when an engine is to have it. What it gets is
put together here before the result that it belongs to comes.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hippodrome.errors import ProtocolError
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.pieces import MOST_BYTES, WHOLE_BYTES, room_for
from hippodrome.segments import reference
from hippodrome.segments.reference import token_of

LEAST_BYTES: Final = WHOLE_BYTES  # what is smaller goes along with its message


def offering(freight: Freight | None, info: Mapping[str, str | int]) -> Freight | None:
    """Return *freight* as it is used after a welcome; None if the controller knows no objects."""
    if freight is None or not (token := token_of(info)):
        return None
    freight.token = token
    return freight


class Freight:
    """What this client offers, and what it has got.

    Attributes:
        token: begins each reference; empty before the welcome, which tells it.
    """

    def __init__(self) -> None:
        self.token: bytes = b""
        self._offers: dict[str, memoryview] = {}
        self._arrivals: dict[str, memoryview] = {}

    # ---- on any thread

    def lend(self, name: str, buffers: Sequence[Buffer]) -> tuple[Buffer, ...]:
        """Return *buffers* with the large ones replaced by references; these are not copied.

        Args:
            name: begins the names of the objects.
            buffers: what is in them is sent later, as it is then.
        """
        return tuple(self._lend(f"{name}-{i}", buffer) for i, buffer in enumerate(buffers))

    def _lend(self, name: str, buffer: Buffer) -> Buffer:
        view = memoryview(buffer)
        if view.nbytes <= LEAST_BYTES:
            return buffer
        self._offers[name] = view.cast("B")
        return reference.encode(self.token, name)

    # ---- on the I/O thread

    def take_over(self, buffers: Sequence[Buffer]) -> tuple[Buffer, ...]:
        """Return *buffers* with the references replaced by what has come.

        Raises:
            OSError: it has not.
        """
        return tuple(map(self._take, buffers))

    def _take(self, buffer: Buffer) -> Buffer:
        name = reference.decode(self.token, buffer)
        if name is None:
            return buffer
        found = self._arrivals.pop(name, None)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "it did not come")
        return found

    def put(self, name: str, at: int, size: int, data: Buffer) -> None:
        """Take a piece of an object.

        Raises:
            OSError: there is no memory for it, or it does not fit.
        """
        if at == 0 and 0 < size <= MOST_BYTES:
            try:
                self._arrivals[name] = room_for(size)
            except ProtocolError as error:
                raise OSError(errno.ENOMEM, str(error)) from None
        view = memoryview(data).cast("B")
        target = self._arrivals.get(name)
        if target is None or target.nbytes != size or not 0 <= at <= size - view.nbytes:
            raise OSError(errno.EINVAL, "a piece that does not fit")
        target[at : at + view.nbytes] = view

    def size(self, name: str) -> int:
        """Return how many bytes an object has that is offered here.

        Raises:
            OSError: it is not.
        """
        return self._offer(name).nbytes

    def read(self, name: str, at: int, n: int) -> Buffer:
        """Return a piece of an object that is offered here.

        Raises:
            OSError: it is not.
        """
        return self._offer(name)[at : at + n]

    def _offer(self, name: str) -> memoryview:
        found = self._offers.get(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "the client does not have it any more")
        return found

    def remove(self, names: Iterable[str]) -> None:
        """Nobody needs these any more."""
        for name in names:
            self._offers.pop(name, None)
            self._arrivals.pop(name, None)

    def close(self) -> None:
        """Keep nothing."""
        self._offers.clear()
        self._arrivals.clear()
