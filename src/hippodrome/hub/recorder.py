"""Turns what passed through the scheduler into task records.

The scheduler forwards each submission as it came and each batch of results as it went out, one
message for many tasks; so keeping records costs the path of a task next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.bundles import check_all
from hippodrome.protocol.frames import Frames, decode, take_all
from hippodrome.protocol.messages import EngineId, PeerId
from hippodrome.store.base import Store
from hippodrome.store.batch import Ending, Kept, Submission


class Recorder:
    """Writes records into a store.

    Args:
        store: where they go.
        uuid_of: who an engine is.
    """

    def __init__(self, store: Store, uuid_of: Callable[[EngineId], PeerId]) -> None:
        self.store = store
        self._uuid_of = uuid_of

    def submitted(
        self, client: PeerId, frames: Frames, omitted: Collection[int], wall: float
    ) -> None:
        """Record accepted tasks.

        Args:
            client: who submitted them.
            frames: the submission's body; then nothing, or all its buffers.
            omitted: which of the buffers are not there, being too large.
            wall: the time, in seconds since the epoch.

        Raises:
            ProtocolError: it is no submission.
        """
        message = _decode(frames)
        if not isinstance(message, m.Submit | m.SubmitDirect):
            raise ProtocolError(f"a {type(message).__name__} was recorded as submitted")
        if isinstance(message, m.Submit):
            check_all(message.tasks)
        if len(frames) == 1:
            size_bytes = len(frames[0])
            self.store.put_submitted(Submission(client, wall, message, size_bytes=size_bytes))
            return
        items = [message] if isinstance(message, m.SubmitDirect) else message.tasks
        counts = [1] * len(message.functions) + [_n_buffers(item) for item in items]
        kept = _deal(counts, frames[1:], omitted)
        n = len(message.functions)
        pickles = {d: kept[i] for i, d in enumerate(message.functions)}
        self.store.put_functions({d: pickle[0] for d, pickle in pickles.items() if pickle})
        buffers = {i - n: each for i, each in kept.items() if i >= n}
        size_bytes = sum(map(len, frames))
        self.store.put_submitted(Submission(client, wall, message, buffers, size_bytes))

    def ended(
        self, client: PeerId, frames: Frames, omitted: Collection[int], wall: float
    ) -> Mapping[EngineId, int]:
        """Record outcomes; the arguments as in `submitted`.

        Returns:
            How many came from each engine.

        Raises:
            ProtocolError: they are none.
        """
        message = _decode(frames)
        if not isinstance(message, m.Results):
            raise ProtocolError(f"a {type(message).__name__} was recorded as ended")
        check_all(message.results)
        counts: dict[EngineId, int] = {}
        for result in message.results:
            if result.engine is not None:
                n = len(result.msg_ids) if isinstance(result, m.ResultBundle) else 1
                counts[result.engine] = counts.get(result.engine, 0) + n
        uuids = {engine: self._uuid_of(engine) for engine in counts}
        buffers: dict[int, Kept] = {}
        if len(frames) > 1:
            buffers = _deal([_n_buffers(result) for result in message.results], frames[1:], omitted)
        size_bytes = sum(map(len, frames))
        self.store.put_ended(Ending(client, wall, message.results, uuids, buffers, size_bytes))
        return counts


def _decode(frames: Frames) -> m.PeerMessage:
    if not frames:
        raise ProtocolError("a record without a message")
    return decode(bytes(frames[0]))


def _n_buffers(item: m.Task | m.TaskBundle | m.SubmitDirect | m.Result | m.ResultBundle) -> int:
    return 0 if isinstance(item, m.TaskBundle | m.ResultBundle) else item.n_buffers


def _deal(counts: Sequence[int], frames: Frames, omitted: Collection[int]) -> dict[int, Kept]:
    """Return the buffers of each item that has any, by its place; None if one is omitted."""
    kept: dict[int, Kept] = {}
    done = 0
    for i, buffers in enumerate(take_all(counts, frames)):
        after = done + len(buffers)
        if buffers:
            is_whole = not any(place in omitted for place in range(done, after))
            kept[i] = tuple(map(bytes, buffers)) if is_whole else None
        done = after
    return kept
