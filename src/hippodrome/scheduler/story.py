"""What happens to tasks and engines, in words for the log: ids and numbers, never a payload."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from hippodrome.protocol import messages as m
from hippodrome.protocol.bundles import ids_of
from hippodrome.protocol.messages import MsgId, PeerId
from hippodrome.protocol.reading import one_line
from hippodrome.scheduler import events as e

_ID_SHOWN = 8


def told(what: e.Event | e.Action) -> str:
    """Return the line for an event or an action; empty if it is not worth one."""
    line = _LINES.get(type(what))
    return one_line(line(what)) if line is not None else ""


def _assigned(a: e.AssignAttempts) -> str:
    return f"{_tasks(a.msg_ids)}: attempt {a.attempt} to engine {a.engine}, serial {a.serial}"


def _delivered(a: e.Deliver) -> str:
    status = a.result.status if isinstance(a.result, m.Result) else "ok"
    where = "" if a.result.engine is None else f" on engine {a.result.engine}"
    return f"{_tasks(ids_of(a.result))}: {status}{where}, to client {_short(a.client)}"


def _recalled(a: e.Recall) -> str:
    how = "drop or interrupt" if a.interrupt else "drop"
    return f"{_tasks([i for i, _ in a.attempts])}: engine {a.engine} is asked to {how} it"


def _dropped(a: e.AttemptsDropped) -> str:
    return f"{_tasks([i for i, _ in a.attempts])}: engine {a.engine} has dropped it"


def _aborted(a: e.AbortAsked) -> str:
    named = "all" if a.msg_ids is None else _tasks(a.msg_ids)
    return f"{named}: client {_short(a.client)} wants it aborted"


def _lost(a: e.EngineLost) -> str:
    begun = "nobody knows what it began" if a.started is None else f"it began {a.started}"
    return f"engine {a.engine} is lost: {a.reason}; {begun}"


_LINES: Final[dict[type, Callable[[Any], str]]] = {  # Any: what is of that type
    e.AssignAttempts: _assigned,
    e.Deliver: _delivered,
    e.Recall: _recalled,
    e.AttemptsDropped: _dropped,
    e.AbortAsked: _aborted,
    e.EngineLost: _lost,
    e.EngineJoined: lambda a: f"engine {a.engine} is a member",
    e.EngineSuspected: lambda a: (
        f"engine {a.engine} {'is silent' if a.suspect else 'is heard again'}"
    ),
}


def _tasks(msg_ids: Sequence[MsgId]) -> str:
    """Return the first and the last of some tasks; the counter at the end tells them apart."""
    if len(msg_ids) < 2:
        return f"task {msg_ids[0] if msg_ids else '-'}"
    return f"{len(msg_ids)} tasks {msg_ids[0]} to {msg_ids[-1]}"


def _short(client: PeerId) -> str:
    return client[:_ID_SHOWN]
