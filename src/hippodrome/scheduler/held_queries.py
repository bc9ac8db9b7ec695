"""Questions about tasks that the scheduler has not seen, and that may be on their way to it.

Whoever is told a msg_id may ask about it at once, over another connection than the one that brings
the task. A msg_id says whose it is. So before the hub is asked, that client is: once it has
answered over its channel for tasks, everything that it had submitted by then has come.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from hippodrome.errors import ProtocolError
from hippodrome.protocol.ids import client_of
from hippodrome.protocol.messages import MsgId, PeerId, Query
from hippodrome.protocol.reading import read

PATIENCE_S: Final = 2.0  # with a client that does not answer; its process may have been stopped
_ABOUT_TASKS: Final = frozenset({"results", "result_status", "resubmission", "purge"})


class _Named(msgspec.Struct):
    """The argument that matters here, of those that such queries have."""

    msg_ids: list[MsgId] | None = None


_named: Final = msgspec.msgpack.Decoder(_Named).decode


@dataclass(slots=True)
class _Held:
    asker: PeerId
    query: Query
    clients: set[PeerId]
    until: float


class Inquiries:
    """Holds such questions until the answers of the clients have come.

    Args:
        are_new: tells whether the scheduler has seen none of some tasks.
        is_client: tells whether a client is connected.
    """

    def __init__(
        self,
        are_new: Callable[[Collection[MsgId]], bool],
        is_client: Callable[[PeerId], bool],
    ) -> None:
        self._are_new = are_new
        self._is_client = is_client
        self._held: dict[int, _Held] = {}
        self._n_held = 0

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, asker: PeerId, query: Query, now: float) -> tuple[int, Collection[PeerId]]:
        """Hold *query* if it names tasks that may still come.

        Args:
            asker: who asks.
            query: what.
            now: in seconds of a monotonic clock.

        Returns:
            A number, and the clients to whom to send it; none if the query need not be held.
        """
        clients = self._expected(query)
        if not clients:
            return 0, ()
        self._n_held += 1
        self._held[self._n_held] = _Held(asker, query, clients, now + PATIENCE_S)
        return self._n_held, frozenset(clients)

    def _expected(self, query: Query) -> set[PeerId]:
        if query.name not in _ABOUT_TASKS:
            return set()
        try:
            named = read(_named, query.arguments, "arguments").msg_ids
        except ProtocolError:
            return set()  # the hub will say what is wrong with it
        expected: set[PeerId] = set()
        for msg_id in named or ():  # perhaps millions: what costs more comes last
            owner = client_of(msg_id)
            if owner not in expected and self._is_client(owner) and self._are_new([msg_id]):
                expected.add(owner)
        return expected

    def answered(self, client: PeerId, number: int) -> list[tuple[PeerId, Query]]:
        """Everything that *client* had submitted has come; return what is to be asked now."""
        held = self._held.get(number)
        return self._without(client, [number]) if held is not None else []

    def forget(self, client: PeerId) -> list[tuple[PeerId, Query]]:
        """Nothing more will come from *client*; return what is to be asked now."""
        return self._without(client, list(self._held))

    def _without(self, client: PeerId, numbers: Iterable[int]) -> list[tuple[PeerId, Query]]:
        for number in numbers:
            self._held[number].clients.discard(client)
        return self._release([n for n in numbers if not self._held[n].clients])

    def tick(self, now: float) -> list[tuple[PeerId, Query]]:
        """It is *now*; return what is to be asked although no answer has come."""
        return self._release([n for n, held in self._held.items() if now >= held.until])

    def _release(self, numbers: Iterable[int]) -> list[tuple[PeerId, Query]]:
        released = [self._held.pop(number) for number in numbers]
        return [(held.asker, held.query) for held in released]
