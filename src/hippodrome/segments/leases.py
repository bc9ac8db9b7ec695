"""Which segments are still needed: the scheduler's book, by which it removes the others.

A segment with arguments is needed until every task that got it has ended; one with a result
until the client has taken it over, which it does when the result arrives. Pure: what is not
needed any more is returned by `take_freed`, and whoever owns the files removes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.messages import MsgId, PeerId
from hippodrome.segments.reference import decode, names


class Leases:
    """Segments and the tasks that need them.

    Args:
        token: begins each reference; without one there are no segments.
        read: returns what is in a segment, by its name, or raises an OSError.
    """

    def __init__(self, token: bytes = b"", read: Callable[[str], Buffer] | None = None) -> None:
        self._token = token
        self._read = read
        self._needed_by: dict[MsgId, list[str]] = {}
        self._n_needing: dict[str, int] = {}
        self._under_way: dict[PeerId, deque[tuple[int, list[str]]]] = {}
        self._freed: list[str] = []
        self._has_lost = False

    def grant(self, msg_ids: Sequence[MsgId], buffers: Sequence[Buffer]) -> None:
        """Tasks came whose arguments are *buffers*."""
        found = names(self._token, buffers) if self._token and buffers else []
        for name in found:
            self._n_needing[name] = self._n_needing.get(name, 0) + len(msg_ids)
        if found:
            self._needed_by.update((msg_id, found) for msg_id in msg_ids)

    def end(self, msg_id: MsgId) -> None:
        """A task ended."""
        for name in self._needed_by.pop(msg_id, ()):
            self._n_needing[name] -= 1
            if not self._n_needing[name]:
                del self._n_needing[name]
                self._freed.append(name)

    def pass_on(self, client: PeerId, number: int, received: int, buffers: Frames) -> None:
        """A message with results is on its way to *client*, which takes their segments over.

        Args:
            client: who gets it.
            number: of the message in the client's stream.
            received: the last message that the client is known to have.
            buffers: of the message.
        """
        under_way = self._under_way.get(client)
        while under_way and under_way[0][0] <= received:
            under_way.popleft()
        found = names(self._token, buffers) if self._token and buffers else []
        if found:
            self._under_way.setdefault(client, deque()).append((number, found))
        elif under_way is not None and not under_way:
            del self._under_way[client]

    def lose(self, client: PeerId) -> None:
        """*client* is gone, with what was on its way to it."""
        self._has_lost = True
        for _, found in self._under_way.pop(client, ()):
            self._freed.extend(found)

    def drop(self, buffers: Sequence[Buffer]) -> None:
        """A result will reach nobody: it is late, or its client has gone."""
        if self._token and buffers:
            self._freed.extend(names(self._token, buffers))

    def opened(self, buffers: Frames) -> Frames:
        """Return *buffers* for one who can map no segments: what is in these.

        What is gone, or cannot be read, is left a reference: a buffer that nobody can make sense
        of, so that the task ends with an error.
        """
        if not self._token or not buffers:
            return buffers
        return [self._opened(buffer) for buffer in buffers]

    def _opened(self, buffer: Buffer) -> Buffer:
        name = decode(self._token, buffer)
        if name is None or self._read is None:
            return buffer
        try:
            return self._read(name)
        except OSError:
            return buffer

    def take_freed(self) -> list[str]:
        """Return the segments that nobody needs any more, once."""
        freed, self._freed = self._freed, []
        return freed

    def take_lost(self) -> bool:
        """Tell, once, whether a peer has gone, which may have kept segments."""
        has_lost, self._has_lost = self._has_lost, False
        return has_lost

    def check(self) -> None:
        """Assert that the counts are those of the tasks."""
        counts: dict[str, int] = {}
        for needed in self._needed_by.values():
            for name in needed:
                counts[name] = counts.get(name, 0) + 1
        assert counts == self._n_needing
