"""Turns what passed through the scheduler into task records.

The scheduler forwards each submission as it came and each batch of results as it went out, one
message for many tasks; so keeping records costs the path of a task next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from hippodrome.errors import ProtocolError
from hippodrome.hub.larder.base import Larder, NoLarder
from hippodrome.protocol import messages as m
from hippodrome.protocol.bundles import check_all
from hippodrome.protocol.frames import Buffer, Frames, decode, take_all
from hippodrome.protocol.messages import EngineId, MsgId, PeerId
from hippodrome.store.base import Store
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.large import CROWDED, PASSED, TOO_LARGE, Kept, Large, inline_bytes

Item = m.Task | m.TaskBundle | m.SubmitDirect | m.Result | m.ResultBundle


class Recorder:
    """Writes records into a store.

    Args:
        store: where they go.
        uuid_of: who an engine is.
        larder: where their large buffers go.

    Attributes:
        n_done: how many tasks ended well.
        n_failed: how many ended otherwise.
    """

    def __init__(
        self,
        store: Store,
        uuid_of: Callable[[EngineId], PeerId],
        larder: Larder | None = None,
    ) -> None:
        self.store = store
        self._uuid_of = uuid_of
        self._larder = larder or NoLarder()
        self.n_done: int = 0
        self.n_failed: int = 0

    def submitted(
        self,
        client: PeerId,
        frames: Frames,
        omitted: Collection[int],
        wall: float,
        crowded: Collection[int] = (),
        passing: Collection[int] = (),
    ) -> None:
        """Record accepted tasks.

        Args:
            client: who submitted them.
            frames: the submission's body; then nothing, or all its buffers.
            omitted: which of the buffers are not there, being too large.
            wall: the time, in seconds since the epoch.
            crowded: which are not there because too much came at once.
            passing: which are not there because they lie on other hosts.

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
        n = len(message.functions)
        dealt = take_all(counts, frames[1:])
        lost = {*omitted, *crowded, *passing}
        pickles = [next(dealt)[0] for _ in message.functions]
        functions = {d: bytes(pickles[i]) for i, d in enumerate(message.functions) if i not in lost}
        self.store.put_functions(functions)
        omissions = _omissions(omitted, crowded, passing, n)
        buffers = _keep(self._larder.take, map(_owners, items), dealt, omissions)
        size_bytes = len(frames[0]) + sum(map(inline_bytes, buffers.values()))
        self.store.put_submitted(Submission(client, wall, message, buffers, size_bytes))

    def ended(
        self,
        client: PeerId,
        frames: Frames,
        omitted: Collection[int],
        wall: float,
        crowded: Collection[int] = (),
        passing: Collection[int] = (),
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
            n = len(result.msg_ids) if isinstance(result, m.ResultBundle) else 1
            if isinstance(result, m.ResultBundle) or result.status == "ok":
                self.n_done += n
            else:
                self.n_failed += n
            if result.engine is not None:
                counts[result.engine] = counts.get(result.engine, 0) + n
        uuids = {engine: self._uuid_of(engine) for engine in counts}
        buffers: dict[int, Kept] = {}
        if len(frames) > 1:
            dealt = take_all([_n_buffers(result) for result in message.results], frames[1:])
            omissions = _omissions(omitted, crowded, passing)
            buffers = _keep(self._larder.take, map(_owners, message.results), dealt, omissions)
        size_bytes = len(frames[0]) + sum(map(inline_bytes, buffers.values()))
        self.store.put_ended(Ending(client, wall, message.results, uuids, buffers, size_bytes))
        return counts


def _decode(frames: Frames) -> m.PeerMessage:
    if not frames:
        raise ProtocolError("a record without a message")
    return decode(bytes(frames[0]))


def _keep(
    take: Callable[[Sequence[MsgId], Buffer], bytes | Large],
    owners: Iterable[Sequence[MsgId]],
    dealt: Iterable[tuple[Buffer, ...]],
    omissions: Mapping[int, Large],
) -> dict[int, Kept]:
    """Return what is kept of the buffers of each item that has any, by its place."""
    kept: dict[int, Kept] = {}
    done = 0
    for i, (msg_ids, frames) in enumerate(zip(owners, dealt, strict=False)):
        if frames:
            kept[i] = tuple(
                omissions.get(place) or take(msg_ids, frame)
                for place, frame in enumerate(frames, done)
            )
            done += len(frames)
    return kept


def _owners(item: Item) -> Sequence[MsgId]:
    return [item.msg_id] if isinstance(item, m.Task | m.Result) else item.msg_ids


def _n_buffers(item: Item) -> int:
    return 0 if isinstance(item, m.TaskBundle | m.ResultBundle) else item.n_buffers


def _omissions(
    omitted: Collection[int], crowded: Collection[int], passing: Collection[int], before: int = 0
) -> dict[int, Large]:
    """Return what stands for the buffers that are not there, by their places after *before*."""
    found = {place - before: Large(TOO_LARGE) for place in omitted}
    found.update((place - before, Large(CROWDED)) for place in crowded)
    found.update((place - before, Large(PASSED)) for place in passing)
    return found
