"""A task that ends while it stands in line is let go of at once."""

from __future__ import annotations

import pytest

from hippodrome.protocol.messages import Digest, EngineId, MsgId, Options, PeerId, Task
from hippodrome.scheduler.core import TaskScheduler
from hippodrome.scheduler.events import AbortAsked, EngineJoined, Event, TasksSubmitted, TimePassed
from simulation.kept import paths_to

CLIENT = PeerId("c")
ABORTED = AbortAsked(CLIENT, [MsgId("t1"), MsgId("t2")])


@pytest.mark.parametrize("end", [ABORTED, TimePassed(2.0)], ids=["aborted", "timed out"])
def test_ended_tasks_are_not_kept_in_a_line(end: Event) -> None:
    core = TaskScheduler("lru", hwm=1)
    core.handle(EngineJoined(EngineId(0)))
    options = [None, Options(timeout_s=1.0), Options(timeout_s=1.0, targets=[EngineId(0)])]
    tasks = [Task(MsgId(f"t{n}"), Digest(b"f"), b"", 0, asked) for n, asked in enumerate(options)]
    core.handle(TasksSubmitted(CLIENT, tasks, [()] * len(tasks)))
    assert len(core.handle(end)) == 2
    core.handle(TimePassed(3.0))
    in_heaps = ["_lines"]  # an engine's heap of lanes is cleared when it looks for work
    assert paths_to(core, {"t1", "t2"}, ["endings", "_endings", *in_heaps]) == []
