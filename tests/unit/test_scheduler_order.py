"""Tasks that come back from an engine together keep the order of their submission."""

from __future__ import annotations

from hippodrome.protocol.messages import Digest, EngineId, MsgId, PeerId, Task
from hippodrome.scheduler.core import TaskScheduler
from hippodrome.scheduler.events import (
    Action,
    AssignAttempts,
    AttemptsDropped,
    EngineJoined,
    EngineLost,
    EngineSuspected,
    TasksSubmitted,
)
from support.flat import attempts_of

NAMES = ["t0", "t1", "t2"]


def scheduler_with_tasks_on_an_engine() -> TaskScheduler:
    core = TaskScheduler("lru", hwm=0)
    core.handle(EngineJoined(EngineId(0)))
    tasks = [Task(MsgId(name), Digest(b"f"), b"") for name in NAMES]
    core.handle(TasksSubmitted(PeerId("c"), tasks, [()] * len(tasks)))
    return core


def assigned(actions: list[Action]) -> list[str]:
    sent = [one for one in actions if isinstance(one, AssignAttempts)]
    return [one.msg_id for action in sent for one in attempts_of(action)]


def dropped(*names: str) -> list[tuple[MsgId, int]]:
    return [(MsgId(name), 1) for name in names]


def test_recalled_tasks_are_put_back_in_order_however_the_engine_lists_them() -> None:
    core = scheduler_with_tasks_on_an_engine()
    core.handle(EngineSuspected(EngineId(0), True))
    core.handle(EngineJoined(EngineId(1)))
    event = AttemptsDropped(EngineId(0), dropped("t2", "t0", "t1", "t0"))
    assert assigned(core.handle(event)) == NAMES


def test_tasks_of_a_lost_engine_are_put_back_in_order() -> None:
    core = scheduler_with_tasks_on_an_engine()
    core.handle(AttemptsDropped(EngineId(0), dropped("t0")))  # it goes there again, last
    core.handle(EngineJoined(EngineId(1)))
    assert assigned(core.handle(EngineLost(EngineId(0), "died", started=0))) == NAMES
