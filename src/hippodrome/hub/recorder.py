"""Turns what passed through the scheduler into task records.

The scheduler forwards each submission as it came and each batch of results as it went out, one
message for many tasks; so keeping records costs the path of a task next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import decode
from hippodrome.protocol.messages import EngineId, PeerId
from hippodrome.store.base import Store
from hippodrome.store.batch import Ending, Submission


class Recorder:
    """Writes records into a store.

    Args:
        store: where they go.
        uuid_of: who an engine is.
    """

    def __init__(self, store: Store, uuid_of: Callable[[EngineId], PeerId]) -> None:
        self.store = store
        self._uuid_of = uuid_of

    def submitted(self, client: PeerId, body: bytes, wall: float) -> None:
        """Record accepted tasks; *body* is their submission, *wall* seconds since the epoch."""
        message = decode(body)
        if not isinstance(message, m.Submit | m.SubmitDirect):
            raise ProtocolError(f"a {type(message).__name__} was recorded as submitted")
        self.store.put_submitted(Submission(client, wall, message))

    def ended(self, client: PeerId, body: bytes, wall: float) -> Mapping[EngineId, int]:
        """Record outcomes; returns how many came from each engine."""
        message = decode(body)
        if not isinstance(message, m.Results):
            raise ProtocolError(f"a {type(message).__name__} was recorded as ended")
        counts: dict[EngineId, int] = {}
        for result in message.results:
            if result.engine is not None:
                n = len(result.msg_ids) if isinstance(result, m.ResultBundle) else 1
                counts[result.engine] = counts.get(result.engine, 0) + n
        uuids = {engine: self._uuid_of(engine) for engine in counts}
        self.store.put_ended(Ending(client, wall, message.results, uuids))
        return counts
