"""A message that cannot be read still tells which tasks it was about.

Such a message has been received, and will not come again. Whoever waits for its tasks is told so.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hippodrome.errors import ProtocolError
from hippodrome.protocol.messages import MsgId
from hippodrome.protocol.ranges import Int
from hippodrome.protocol.reading import read


class _Part(msgspec.Struct, array_like=True):
    """The first elements of what is in a message; the others are passed over, unread."""


class _Task(_Part, tag=1):
    msg_id: MsgId


class _TaskBundle(_Part, tag=2):
    msg_ids: list[MsgId]


class _Outcome(_Part, tag=1):
    msg_id: MsgId
    attempt: Int


class _OutcomeBundle(_Part, tag=2):
    msg_ids: list[MsgId]
    attempt: Int


class _Submit(_Part, tag="submit"):
    tasks: list[_Task | _TaskBundle]


class _SubmitDirect(_Part, tag="direct"):
    msg_ids: list[MsgId]


class _Outcomes(_Part, tag="outcomes"):
    outcomes: list[_Outcome | _OutcomeBundle]


_submission: Final = msgspec.msgpack.Decoder(_Submit | _SubmitDirect).decode
_outcomes: Final = msgspec.msgpack.Decoder(_Outcomes).decode


def tasks_in(body: Any) -> list[MsgId]:
    """Return the tasks that a client meant to submit, as far as that can be told."""
    try:
        message = read(_submission, body, "a submission")
    except ProtocolError:
        return []
    if isinstance(message, _SubmitDirect):
        return message.msg_ids
    return [msg_id for task in message.tasks for msg_id in _ids_of(task)]


def attempts_in(body: Any) -> list[tuple[MsgId, int]]:
    """Return the attempts whose outcomes an engine meant to tell, as far as that can be told."""
    try:
        message = read(_outcomes, body, "outcomes")
    except ProtocolError:
        return []
    return [(msg_id, part.attempt) for part in message.outcomes for msg_id in _ids_of(part)]


def _ids_of(part: _Task | _TaskBundle | _Outcome | _OutcomeBundle) -> list[MsgId]:
    return part.msg_ids if isinstance(part, _TaskBundle | _OutcomeBundle) else [part.msg_id]
