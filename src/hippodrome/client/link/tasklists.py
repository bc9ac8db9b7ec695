"""Which tasks of a burst share their way."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from hippodrome.protocol.messages import Digest, Options, Task, TaskBundle


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
