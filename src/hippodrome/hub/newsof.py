"""What the log says of engines that come, go, fall silent and are heard again."""

from __future__ import annotations

from hippodrome.hub.query import Outgoing
from hippodrome.protocol import messages as m


def news_of(message: Outgoing) -> list[str]:
    """Return what there is to say of a message to the scheduler; of most there is nothing."""
    match message:
        case m.Joined(info):
            python = f", Python {info.python}" if info.python else ""
            how = "is in its start-up" if info.state == m.STARTING else "joined"
            return [f"engine {info.engine} {how}: process {info.pid} on {info.host}{python}"]
        case m.Suspected(engine, suspect):
            how = "is silent, and gets no new work" if suspect else "is heard again"
            return [f"engine {engine} {how}"]
        case m.Left(engine, reason):
            return [f"engine {engine} left: {reason}"]
    return []
