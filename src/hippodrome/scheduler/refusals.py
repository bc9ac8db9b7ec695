"""The errors that the scheduler itself gives to tasks; their names are classes of `errors`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hippodrome.protocol.messages import EngineId, Failure, MsgId, Options
from hippodrome.scheduler.dependency import TaskEnd

PURE_SCHEME: Final = Failure(
    "TaskRejectError",
    "the pure scheme takes no after, follow, targets, timeout or retries; "
    "start the controller with another --scheme",
)
DEPENDS_ON_ITSELF: Final = Failure("InvalidDependency", "a task cannot wait for itself")
NOWHERE_TO_FOLLOW: Final = Failure(
    "ImpossibleDependency",
    "no engine is where all the tasks to follow ran, and among the targets",
)
ABORTED: Final = Failure("TaskAborted", "aborted before it started")
UNKNOWN_FUNCTION: Final = Failure(
    "TaskRejectError", "its function was not sent, and its client has it no more"
)
NO_ROOM_FOR_ARGUMENTS: Final = Failure(
    "TaskRejectError",
    "the controller holds so much of this client's arguments that there is no room for these, "
    "in its memory or on its disk: submit fewer at a time, and wait for their results",
)
NO_ROOM_FOR_RESULT: Final = Failure(
    "ResultExpired",
    "the result was dropped: its client has not taken earlier ones, and the controller has no "
    "room for more, in its memory or on its disk",
)


def needs_decisions(options: Options) -> bool:
    """Tell whether a task asks for anything that the ``pure`` scheme does not decide."""
    return bool(
        options.retries
        or options.timeout_s
        or options.after
        or options.follow
        or options.targets is not None
    )


def unknown_dependency(msg_id: MsgId) -> Failure:
    return Failure(
        "InvalidDependency",
        f"{msg_id} is no task that this controller knows, or it ended too long ago",
    )


def ruled_out(by: Sequence[tuple[MsgId, TaskEnd]]) -> Failure:
    """Say which tasks that one depends on have ended otherwise than it needs."""
    if not by:  # so many have ended since that these are forgotten
        return Failure("ImpossibleDependency", "what it depends on rules it out")
    msg_id, ending = by[0]
    how = "succeeded" if ending.ok else "failed"
    more = f", as did {len(by) - 1} more" if len(by) > 1 else ""
    return Failure("ImpossibleDependency", f"task {msg_id}, which it depends on, {how}{more}")


def no_engine_left(refused: bool, why: str) -> Failure:
    """Say that no engine takes a task, and *why* the last one that was asked refused it."""
    if refused and why:
        said = f"every engine that may run it refused the task, the last one because: {why}"
        return Failure("ImpossibleDependency", said)
    if refused:
        return Failure("ImpossibleDependency", "every engine that may run it refused the task")
    return Failure("ImpossibleDependency", "none of the engines that it names is here")


def timed_out(waited_s: float, *, dependencies: bool) -> Failure:
    if dependencies:
        return Failure(
            "DependencyTimeout", f"its dependencies were not met within {waited_s:g} seconds"
        )
    return Failure("TaskTimeout", f"no engine had room for it within {waited_s:g} seconds")


def engine_lost(reason: str) -> Failure:
    return Failure("EngineError", reason)


def no_such_engine(engine: EngineId) -> Failure:
    return Failure("EngineError", f"there is no engine {engine}")


def malformed(why: str) -> Failure:
    return Failure("TaskRejectError", f"its submission was malformed: {why}")
