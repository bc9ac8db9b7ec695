"""Lists in which tasks and results travel, single or bundled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from hippodrome.errors import ProtocolError
from hippodrome.protocol.frames import Buffer, take_all
from hippodrome.protocol.messages import (
    Digest,
    MsgId,
    Options,
    Result,
    ResultBundle,
    Task,
    TaskBundle,
)


def bundled(tasks: Iterable[Task]) -> list[Task | TaskBundle]:
    """Return *tasks* in order, those bundled that follow each other and may share their way."""
    items: list[Task | TaskBundle] = []
    for (function, options, n_buffers), group in groupby(tasks, _kind):
        run = list(group)
        if n_buffers or len(run) == 1:
            items += run
        else:
            msg_ids, payloads = [task.msg_id for task in run], [task.payload for task in run]
            items.append(TaskBundle(msg_ids, function, payloads, options))
    return items


def _kind(task: Task) -> tuple[Digest, Options | None, int]:
    return task.function, task.options, task.n_buffers


def deal(
    results: Sequence[Result | ResultBundle], buffers: Sequence[Buffer]
) -> Iterable[Sequence[Buffer]]:
    """Return the buffers of each of *results*.

    Raises:
        ProtocolError: the parts of the message do not fit together.
    """
    counts: list[int] = []
    for result in results:
        if isinstance(result, Result):
            counts.append(result.n_buffers)
            continue
        n = len(result.msg_ids)
        if any(len(c) != n for c in (result.started, result.run_s, result.payloads)):
            raise ProtocolError(f"a bundle of {n} results whose lists do not fit together")
        counts.append(0)
    return take_all(counts, buffers)


def ids_of(result: Result | ResultBundle) -> list[MsgId]:
    return [result.msg_id] if isinstance(result, Result) else result.msg_ids
