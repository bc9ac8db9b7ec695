"""Which tasks a user means, and what this client knows of them."""

from __future__ import annotations

import time
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from concurrent.futures import Future, wait
from typing import Any

from hippodrome.briefly import brief_methods
from hippodrome.client.link import presence
from hippodrome.client.link.io_thread import IOThread
from hippodrome.client.results.metadata import Metadata
from hippodrome.client.results.result import AsyncResult
from hippodrome.protocol.messages import MsgId

Place = tuple[AsyncResult, int]
Kept = dict[MsgId, Place]
Find = Callable[[MsgId], Place | None]


def msg_ids_of(given: Any, history: Sequence[MsgId]) -> list[MsgId]:
    """Return the msg_ids that *given* names.

    Args:
        given: an index into *history*, a msg_id, an `AsyncResult`, or several of these.
        history: all msg_ids, in order.

    Raises:
        IndexError: *history* is shorter.
        TypeError: *given* is or holds something else.
    """
    if isinstance(given, AsyncResult):
        return list(given.msg_ids)
    if isinstance(given, str):
        return [MsgId(given)]
    if isinstance(given, int):
        return [history[given]]
    if not isinstance(given, Iterable):
        raise TypeError(f"{given!r} is no job: give msg_ids, indices or AsyncResults")
    return [msg_id for job in given for msg_id in msg_ids_of(job, history)]


def futures_of(find: Find, given: Any, history: Sequence[MsgId]) -> set[Future[Any]]:
    """Return what to wait for; without tasks whose results have been fetched, or are unknown."""
    futures: set[Future[Any]] = set()
    indices_of: dict[AsyncResult, set[int]] = {}
    for job in _one_by_one(given):
        if isinstance(job, Future):
            futures.add(job)
            continue
        for place in map(find, msg_ids_of(job, history)):
            if place is not None:
                indices_of.setdefault(place[0], set()).add(place[1])
    for result, indices in indices_of.items():
        futures |= _futures_of(result, indices)
    return futures


def _one_by_one(given: Any) -> Iterator[Any]:
    if isinstance(given, Future | str) or not isinstance(given, Iterable):
        yield given
    else:
        for job in given:
            yield from _one_by_one(job)


def wait_all(io: IOThread, futures: set[Future[Any]], timeout: float | None) -> bool:
    """Wait until all have ended, and say so if there are no engines; return whether they have."""
    if io.may_notice(timeout):
        if not wait(futures, presence.NOTICE_AFTER_S).not_done:
            return True
        io.notice()
        timeout = None if timeout is None else timeout - presence.NOTICE_AFTER_S
    return not wait(futures, timeout).not_done


class SeveralCalls:
    """The work of several calls.

    Args:
        futures: of the calls; some may be somebody else's futures.
    """

    def __init__(self, futures: Collection[Future[Any]]) -> None:
        self._futures = list(futures)
        self._n_over = 0  # of these, from the front, have ended
        self._left = self._futures  # have not ended when last counted
        self._n_done = 0  # items of the others
        self.n_items: int = sum(map(n_items, futures))

    def wait(self, timeout: float | None) -> bool:
        # One after the other: to listen to all would cost something for each that ends.
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._n_over < len(self._futures):
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not _wait_for_one(self._futures[self._n_over], left_s):
                return False
            self._n_over += 1
        return True

    def n_done(self) -> int:
        ended = {future for future in self._left if future.done()}
        self._n_done += sum(map(n_done, ended))
        self._left = [future for future in self._left if future not in ended]
        return self._n_done + sum(map(n_done, self._left))


def _wait_for_one(future: Future[Any], timeout: float | None) -> bool:
    return future.done() or not wait([future], timeout).not_done


def wait_for_jobs(
    io: IOThread, futures: Collection[Future[Any]], interval: float, timeout: float | None
) -> bool:
    """Wait for *futures* and show how far they are; see `Client.wait_interactive`."""
    from hippodrome.client.looks import progress

    jobs = SeveralCalls(futures)
    work = progress.Work(jobs.wait, jobs.n_done)
    return progress.wait_showing(
        work, progress.bar_of_items("tasks", work, jobs.n_items), interval, timeout, io
    )


def on_engines(find: Find, msg_ids: Iterable[MsgId], engines: Collection[int]) -> list[MsgId]:
    """Return those of *msg_ids* that were sent to one of *engines* by name."""
    chosen: list[MsgId] = []
    for msg_id in msg_ids:
        place = find(msg_id)
        targets = None if place is None else place[0]._about.targets
        if place is not None and targets is not None and targets[place[1]] in engines:
            chosen.append(msg_id)
    return chosen


def n_items(future: Future[Any]) -> int:
    """Return how many items a call has, or the part of a call."""
    return len(future) * future._about.items_per_task if isinstance(future, AsyncResult) else 1


def n_done(future: Future[Any]) -> int:
    """Return how many of its items have ended."""
    if isinstance(future, AsyncResult):
        return future.progress * future._about.items_per_task
    return int(future.done())


def _futures_of(result: AsyncResult, indices: set[int]) -> set[Future[Any]]:
    """Return the futures of some tasks: one, if nothing else of the call is left to wait for.

    To split a large call takes long, and makes the receipt of each of its results slower.
    """
    n = len(result.msg_ids)
    is_rest = all(i in indices or result._tasks.result_of(i) is not None for i in range(n))
    if n == 1 or (is_rest and not result.cancelled()):
        return {result}
    parts = result.split()
    return {parts[i] for i in indices}


@brief_methods()
class KnownResults(MutableMapping[MsgId, Any]):
    """The results that have come and that nobody has fetched.

    To delete one is to drop it from the client's cache; the hub may still have it.
    """

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def __getitem__(self, msg_id: MsgId) -> Any:
        """Return a result, or the error in its place."""
        result, index = self._kept[msg_id]
        return result._details.value_or_error(index)

    def __setitem__(self, msg_id: MsgId, value: Any) -> None:
        raise TypeError("results come from the cluster: they can be deleted, not assigned")

    def __delitem__(self, msg_id: MsgId) -> None:
        del self._kept[msg_id]

    def clear(self) -> None:
        self._kept.clear()

    def __iter__(self) -> Iterator[MsgId]:
        return iter(list(self._kept))

    def __len__(self) -> int:
        return len(self._kept)


@brief_methods()
class KnownMetadata(Mapping[MsgId, Metadata]):
    """The tasks that are outstanding, or whose result nobody has fetched."""

    def __init__(self, io: IOThread, kept: Kept) -> None:
        self._io = io
        self._kept = kept

    def clear(self) -> None:
        """Do nothing: what is known of a task goes with its result, see `KnownResults`."""

    def __getitem__(self, msg_id: MsgId) -> Metadata:
        place = self._io.find(msg_id) or self._kept.get(msg_id)
        if place is None:
            raise KeyError(msg_id)
        result, index = place
        return result._details.metadata(index)

    def __iter__(self) -> Iterator[MsgId]:
        return iter({**dict.fromkeys(list(self._kept)), **dict.fromkeys(self._io.outstanding)})

    def __len__(self) -> int:
        return len(list(iter(self)))
