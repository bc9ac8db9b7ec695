"""How much the scheduler holds for each client, and what becomes of it when that is much.

Arguments wait for engines, and results for clients that read slowly, or not at all. Up to a limit
they wait in memory. Beyond it the large ones are stowed away, in a file; and where there is no
room either, the task ends with an error. No client is made to wait, and none fills the controller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.messages import MsgId, PeerId

LARGE_BYTES: Final = 64 << 10  # less is not counted, and not stowed
HELD_BYTES: Final = 64 << 20  # of one client's arguments, or of its results, in memory
MOST_BYTES: Final = 1 << 30  # the same where nothing can be stowed


class BufferStore(Protocol):
    """Where buffers wait that memory is too good for."""

    def put(self, buffer: Buffer) -> Buffer | None:
        """Return *buffer* as it is there; None if there is no room."""

    def has(self, buffer: Buffer) -> bool:
        """Tell whether *buffer* is there already."""


class Burden:
    """The bytes that all clients weigh.

    Args:
        store: where to stow; None if there is nowhere.
        held_bytes: of one client, and of one kind, before the next is stowed.
        most_bytes: the same before the next is refused.
    """

    def __init__(
        self,
        store: BufferStore | None = None,
        held_bytes: int = HELD_BYTES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._store = store
        self._held_bytes = held_bytes
        self._most_bytes = most_bytes
        self._of_client: dict[PeerId, int] = {}
        self._of_task: dict[MsgId, tuple[PeerId, int]] = {}

    def held(self, client: PeerId) -> int:
        """Return how many bytes of a client's arguments are in memory."""
        return self._of_client.get(client, 0)

    def admit(self, held: int, buffers: Frames) -> Frames | None:
        """Return *buffers* as they are to be kept beside *held* bytes; None if they cannot be.

        What comes when nothing is held is kept as it is, however large.
        """
        if not held:
            return buffers
        added = self._in_memory(buffers)
        if not added or held + added <= self._held_bytes:
            return buffers
        stowed = [self._stowed(buffer) for buffer in buffers]
        left = self._in_memory(stowed)
        return stowed if not left or held + left <= self._most_bytes else None

    def add(self, client: PeerId, msg_ids: Sequence[MsgId], buffers: Sequence[Buffer]) -> None:
        """New tasks of a client share *buffers*."""
        share = -(-self._in_memory(buffers) // max(len(msg_ids), 1))
        if share:
            for msg_id in msg_ids:
                self._of_task[msg_id] = (client, share)
            self._of_client[client] = self.held(client) + share * len(msg_ids)

    def end(self, msg_id: MsgId) -> None:
        """A task ended."""
        client, share = self._of_task.pop(msg_id, (None, 0))
        if client is not None:
            self._of_client[client] -= share
            if not self._of_client[client]:
                del self._of_client[client]

    def _in_memory(self, buffers: Sequence[Buffer]) -> int:
        n = 0
        for buffer in buffers:
            size_bytes = memoryview(buffer).nbytes
            if size_bytes >= LARGE_BYTES and not (self._store and self._store.has(buffer)):
                n += size_bytes
        return n

    def _stowed(self, buffer: Buffer) -> Buffer:
        if self._store is None or memoryview(buffer).nbytes < LARGE_BYTES:
            return buffer
        stowed = self._store.put(buffer)
        return buffer if stowed is None else stowed

    def check(self) -> None:
        """Assert that what clients weigh is what their tasks weigh."""
        of_client: dict[PeerId, int] = {}
        for client, share in self._of_task.values():
            of_client[client] = of_client.get(client, 0) + share
        assert of_client == self._of_client
