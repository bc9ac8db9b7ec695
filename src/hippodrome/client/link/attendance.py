"""Which engines there are, by what is told over two channels.

All news comes over the control channel, in order. What ended with an engine comes over the task
channel, and that the engine left comes there too, right before: whoever hears of the one has heard
of the other. Either channel may be ahead. So each change has a number, and the control channel is
right about all up to the number that it has reached.
"""

from __future__ import annotations

from hippodrome.client.link.events import EnginesChanged
from hippodrome.protocol.messages import EngineId, EngineInfo, Membership


class Attendance:
    """The engines, as the controller says.

    Attributes:
        engines: the engines there are.
        are_known: whether the controller has said who is there.
    """

    def __init__(self) -> None:
        self.engines: dict[EngineId, EngineInfo] = {}
        self.are_known: bool = False
        self._number = 0  # of the latest change that the control channel told
        self._ahead: dict[EngineId, int] = {}  # left, by a change that it has yet to tell

    def begin_anew(self) -> None:
        """The next news over the control channel lists who is there; numbers may begin anew."""
        self.are_known = False
        self._number = 0
        self._ahead.clear()

    def on_news(self, message: Membership) -> list[EnginesChanged]:
        """Take what the control channel tells."""
        was_known, self.are_known = self.are_known, True
        self._number = number = message.number
        ahead = {engine: n for engine, n in self._ahead.items() if n >= number}
        if not was_known:
            self.engines = {}
        present = {one.engine: one for one in message.present if one.engine not in ahead}
        left = {engine: why for engine, why in message.left.items() if engine not in ahead}
        self._ahead = {engine: n for engine, n in ahead.items() if n > number}
        return self._change(present, left) if present or left or not was_known else []

    def on_early_news(self, message: Membership) -> list[EnginesChanged]:
        """Take what the task channel tells: who left."""
        if message.number <= self._number or not message.left:
            return []
        self._ahead.update(dict.fromkeys(message.left, message.number))
        return self._change({}, message.left)

    def _change(
        self, present: dict[EngineId, EngineInfo], left: dict[EngineId, str]
    ) -> list[EnginesChanged]:
        self.engines.update(present)
        for engine in left:
            self.engines.pop(engine, None)
        return [EnginesChanged(dict(self.engines), left)]
