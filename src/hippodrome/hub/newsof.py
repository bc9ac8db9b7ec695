"""What the log says of engines that come, go, fall silent and are heard again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from hippodrome._version import __version__
from hippodrome.headings import listed
from hippodrome.hub.query import Outgoing
from hippodrome.protocol import messages as m

_CHANGES = (m.Joined, m.Suspected, m.Left)
MOST_LINES: Final = 4


def together(messages: Sequence[Outgoing]) -> Iterator[Outgoing]:
    """Yield what is to be sent, with changes of members that stand side by side as one message.

    So engines that go together, with their host for one, are gone all at once for everybody.
    """
    for are_changes, some in groupby(messages, lambda message: isinstance(message, _CHANGES)):
        group = list(some)
        if are_changes and len(group) > 1:
            yield m.Changed([one for one in group if isinstance(one, _CHANGES)])
        else:
            yield from group


def news_of(message: Outgoing) -> list[str]:
    """Return what there is to say of a message to the scheduler; of most there is nothing."""
    match message:
        case m.Changed(changes):
            kinds = ([one for one in changes if isinstance(one, kind)] for kind in _CHANGES)
            return [line for some in kinds for line in _news_of_many(some)]
        case m.Joined(info):
            return [_joined(info)]
        case m.Suspected(engine, True, True):
            return [f"engine {engine} is about to leave, and gets no new work"]
        case m.Suspected(engine, suspect):
            how = "is silent, and gets no new work" if suspect else "is heard again"
            return [f"engine {engine} {how}"]
        case m.Left(engine, reason):
            return [f"engine {engine} left: {reason}"]
    return []


def _joined(info: m.EngineInfo) -> str:
    python = f", Python {info.python}" if info.python else ""
    if info.version not in ("", __version__):
        python += f", hippodrome {info.version} (here {__version__})"
    how = "is in its start-up" if info.state == m.STARTING else "joined"
    return f"engine {info.engine} {how}: process {info.pid} on {info.host}{python}"


def _news_of_many(changes: Sequence[m.Joined | m.Suspected | m.Left]) -> list[str]:
    """Return a line for each of a few changes of one kind; of many, one and whose they are."""
    lines = [line for change in changes for line in news_of(change)]
    if len(lines) <= MOST_LINES:
        return lines
    ids = [one.info.engine if isinstance(one, m.Joined) else one.engine for one in changes]
    return [f"{lines[0]} (and {len(lines) - 1} more with it: engines {listed(ids)})"]
