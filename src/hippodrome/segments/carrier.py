"""The end of a data channel that is not the controller's: gives objects, and gets them.

A host has them in files, a client in its memory; both do what the controller asks. Pure: messages
go in, frames come out, and bytes are a store's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.link import Link
from hippodrome.protocol.pieces import PIECE_BYTES

TELL_BYTES: Final = 2 << 20  # come before it is said how much is here


class ObjectStore(Protocol):
    """The objects of one place."""

    def put(self, name: str, at: int, size: int, data: Buffer) -> None:
        """Write a piece of an object; OSError if there is no room."""

    def size(self, name: str) -> int:
        """Return how many bytes an object has; OSError if it is not here."""

    def read(self, name: str, at: int, n: int) -> Buffer:
        """Return a piece of an object; OSError if it is not here."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, also what there is of one."""


class Carrier:
    """Does what the controller asks.

    Args:
        link: the channel.
        store: the objects.
    """

    def __init__(self, link: Link, store: ObjectStore) -> None:
        self._link = link
        self._store = store
        self._owed: dict[str, int] = {}  # bytes that have come, and nobody has been told

    def handle(self, message: m.PeerMessage, buffers: Frames) -> list[Frames]:
        """Do what a message asks, and return what to send.

        Raises:
            ProtocolError: it is none for this channel.
        """
        match message:
            case m.Give():
                return self._give(message)
            case m.Slice():
                return self._get(message, buffers)
            case m.Free(names):
                for name in names:
                    self._owed.pop(name, None)
                self._store.remove(names)
                return []
            case m.Welcome() | m.Bye() | m.Refused():  # the other channels see to that
                return []
        raise ProtocolError(f"a {type(message).__name__} on a data channel")

    def _give(self, give: m.Give) -> list[Frames]:
        out: list[Frames] = []
        try:
            size = self._store.size(give.name)
            at, upto = max(give.start, 0), min(give.upto, size)
            while at < upto:
                n = min(PIECE_BYTES, upto - at)
                piece = self._store.read(give.name, at, n)
                out += self._link.send(m.Slice(give.haul, give.name, at, size), [piece])
                at += n
        except OSError as error:
            out += self._link.send(m.Without(give.haul, give.name, _why(error)))
        return out

    def _get(self, slice_: m.Slice, buffers: Frames) -> list[Frames]:
        if len(buffers) != 1:
            raise ProtocolError(f"a piece of an object in {len(buffers)} frames")
        n = memoryview(buffers[0]).nbytes
        try:
            self._store.put(slice_.name, slice_.at, slice_.size, buffers[0])
        except OSError as error:
            self._store.remove([slice_.name])
            self._owed.pop(slice_.name, None)
            return self._link.send(m.Without(slice_.haul, slice_.name, _why(error)))
        upto, owed = slice_.at + n, self._owed.pop(slice_.name, 0) + n
        if owed < TELL_BYTES and upto < slice_.size:
            self._owed[slice_.name] = owed
            return []
        return self._link.send(m.Have(slice_.haul, slice_.name, upto))


def _why(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__)[:200]
