"""Messages that the widgets of one task send to a frontend: of each state the latest.

A widget sends what has changed of its state, and a progress bar does so many times a second. An
update that sets the same parts of the state again takes the place of the one before, so that what
is kept does not grow, and what is passed on is up to date, however far behind the other side is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final  # Any: what widgets say

from hippodrome.protocol.messages import CommMessage

COMM_BYTES: Final = 1 << 24  # of all messages of a task that are kept
COMM_COST_BYTES: Final = 256  # of each, besides its content
LIVE_COMM_BYTES: Final = 1 << 19  # between two looks; the rest waits for the next
_UPDATES: Final = frozenset({"update", "echo_update"})


def state_key(comm_id: str, data: Mapping[str, Any]) -> object:
    """Return what two updates of the same parts of a state have in common; None for no update."""
    method, state = data.get("method"), data.get("state")
    if method not in _UPDATES or not isinstance(state, Mapping):
        return None
    binary = {str(path[0]) for path in data.get("buffer_paths") or () if path}
    return comm_id, method, frozenset(binary.union(map(str, state)))


class Comms:
    """The messages that the widgets of a task have sent."""

    __slots__ = ("_fresh", "_kept", "_room_bytes", "_total")

    def __init__(self) -> None:
        self._total = 0
        self._kept: dict[object, CommMessage] = {}
        self._fresh: dict[object, None] = {}  # keys of what nobody has looked at yet
        self._room_bytes = COMM_BYTES

    def add(self, kind: str, content: bytes, buffers: list[bytes], key: object = None) -> bool:
        """Add a message, in the place of that with the same key; return if there is room.

        It goes to the end: what came in between may have set some of the same.
        """
        message = CommMessage(kind, content, buffers, self._total)
        key = self._total if key is None else key
        self._total += 1
        old = self._kept.get(key)
        room_bytes = self._room_bytes + (_cost(old) if old is not None else 0) - _cost(message)
        if room_bytes < 0:
            return False
        self._room_bytes = room_bytes
        self._kept.pop(key, None)
        self._fresh.pop(key, None)
        self._kept[key] = message
        self._fresh[key] = None
        return True

    def take_fresh(self) -> list[CommMessage]:
        """Return what was added since the last time, as much as there is room for, in order."""
        found: list[CommMessage] = []
        room_bytes = LIVE_COMM_BYTES
        while self._fresh and room_bytes > 0:
            key = next(iter(self._fresh))
            del self._fresh[key]
            found.append(self._kept[key])
            room_bytes -= _cost(found[-1])
        return found

    def collect(self) -> list[CommMessage]:
        """Return all that is kept, in order."""
        return list(self._kept.values())


def _cost(message: CommMessage) -> int:
    return len(message.content) + sum(map(len, message.buffers)) + COMM_COST_BYTES
