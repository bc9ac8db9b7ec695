"""Items that gather for one peer in a turn are packed into few messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from hippodrome.protocol.frames import Frames
from hippodrome.protocol.functions import FunctionCache
from hippodrome.protocol.messages import Assign as AssignMessage
from hippodrome.protocol.messages import (
    Attempt,
    AttemptBundle,
    Digest,
    ResultBundle,
    Results,
)
from hippodrome.scheduler.events import AssignAttempts, Deliver
from hippodrome.scheduler.known import Known

T = TypeVar("T")

MOST_TASKS = 256  # so that the receiver can begin while the rest is on its way


def pack_assignments(
    items: list[AssignAttempts], known: Known, functions: FunctionCache
) -> Iterator[tuple[AssignMessage, Frames]]:
    """Yield messages for an engine, with the functions that it has not been sent yet."""
    for part in _parts(items, lambda item: len(item.msg_ids), _follows):
        new: list[Digest] = []
        frames: Frames = []
        for digest in dict.fromkeys(item.function for item in part):
            data = functions.get(digest)
            if data is not None and known.is_new(digest):
                new.append(digest)
                frames.append(data)
        for item in part:
            frames.extend(item.buffers)
        yield AssignMessage(part[0].serial, list(map(_attempt, part)), new), frames


def _attempt(item: AssignAttempts) -> Attempt | AttemptBundle:
    if len(item.msg_ids) > 1:
        return AttemptBundle(item.msg_ids, item.attempt, item.function, item.payloads)
    msg_id, payload = item.msg_ids[0], item.payloads[0]
    return Attempt(msg_id, item.attempt, item.function, payload, len(item.buffers))


def pack_results(items: list[Deliver]) -> Iterator[tuple[Results, Frames]]:
    """Yield messages for a client."""
    for part in _parts(items, _n_results):
        frames: Frames = []
        for item in part:
            frames.extend(item.buffers)
        yield Results([item.result for item in part]), frames


def _n_results(item: Deliver) -> int:
    return len(item.result.msg_ids) if isinstance(item.result, ResultBundle) else 1


def _follows(before: AssignAttempts, item: AssignAttempts) -> bool:
    """Tell whether no serial number is left out between two items."""
    return before.serial + len(before.msg_ids) == item.serial


def _parts(
    items: list[T],
    n_tasks: Callable[[T], int],
    follows: Callable[[T, T], bool] = lambda before, item: True,
) -> Iterator[list[T]]:
    """Divide *items* into parts of at most `MOST_TASKS` tasks, if no item has more.

    Args:
        items: what to divide.
        n_tasks: tells how many tasks an item has.
        follows: tells whether an item may be in one part with the one before it.
    """
    part: list[T] = []
    room = MOST_TASKS
    for item in items:
        n = n_tasks(item)
        if part and (n > room or not follows(part[-1], item)):
            yield part
            part, room = [], MOST_TASKS
        part.append(item)
        room -= n
    if part:
        yield part
