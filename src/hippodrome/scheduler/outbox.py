"""What has gathered for one peer in this turn, packed into as few messages as make sense."""

from __future__ import annotations

from collections.abc import Iterator

from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.messages import Assign as AssignMessage
from hippodrome.protocol.messages import Attempt, Digest, Result, Results
from hippodrome.scheduler.events import Assign, Deliver
from hippodrome.scheduler.functions import FunctionCache, Known

MOST_ITEMS = 200  # so that the receiver can begin while the rest is on its way


def pack_assignments(
    items: list[Assign], known: Known, functions: FunctionCache
) -> Iterator[tuple[AssignMessage, Frames]]:
    """Yield messages for an engine, with the functions that it has not been sent yet."""
    for start in range(0, len(items), MOST_ITEMS):
        part = items[start : start + MOST_ITEMS]
        new: list[Digest] = []
        frames: Frames = []
        for digest in dict.fromkeys(item.function for item in part):
            data = functions.get(digest)
            if data is not None and known.is_new(digest):
                new.append(digest)
                frames.append(data)
        attempts = []
        for item in part:
            attempts.append(
                Attempt(item.msg_id, item.attempt, item.function, item.payload, len(item.buffers))
            )
            frames.extend(item.buffers)
        yield AssignMessage(part[0].serial, attempts, new), frames


def pack_results(items: list[Deliver]) -> Iterator[tuple[Results, Frames]]:
    """Yield messages for a client."""
    for start in range(0, len(items), MOST_ITEMS):
        part = items[start : start + MOST_ITEMS]
        frames: Frames = []
        results: list[Result] = []
        for item in part:
            results.append(item.result)
            frames.extend(item.buffers)
        yield Results(results), frames


def size_bytes(frames: list[Buffer]) -> int:
    """Return how many bytes *frames* hold together."""
    return sum(memoryview(frame).nbytes for frame in frames)
