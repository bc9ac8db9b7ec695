"""What clients are told of engines that come and go: one message for all that is new.

That somebody left is told at once, before the results that are lost with it. Of those who come
many come together, so that after one message the next waits a moment, unless results leave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hippodrome.protocol import messages as m
from hippodrome.protocol.messages import EngineId, EngineInfo
from hippodrome.scheduler.outbox import Mail
from hippodrome.scheduler.peers import Peers

EVERY_S: Final = 0.02


@dataclass(slots=True, repr=False)
class Announcements:
    """The changes of members that clients are yet to be told of.

    Attributes:
        n_told: how many messages about changes there have been.
    """

    peers: Peers
    mail: Mail
    n_told: int = 0
    _present: dict[EngineId, EngineInfo] = field(default_factory=dict)
    _left: dict[EngineId, str] = field(default_factory=dict)
    _due: float = 0.0
    _is_urgent: bool = False

    def come(self, info: EngineInfo) -> None:
        """An engine is a member from now on."""
        if info.engine in self._left:
            self.tell()  # a message says of nobody that he left and came back
        self._present[info.engine] = info

    def change(self, info: EngineInfo) -> None:
        """A member is in another state."""
        self.come(info)
        self._is_urgent = True

    def leave(self, engine: EngineId, reason: str) -> None:
        """An engine is no member any more."""
        self._left[engine] = reason
        self._is_urgent = True

    def tell_if_due(self, *, is_urgent: bool) -> None:
        """Tell clients what is new; who comes may wait if nothing is urgent."""
        if self._is_urgent or (self._present and (is_urgent or self.mail.now >= self._due)):
            self.tell()

    def tell(self) -> None:
        """Tell clients what is new, now."""
        if not (self._present or self._left):
            return
        self.n_told += 1
        message = m.Membership([*self._present.values()], self._left, self.n_told)
        for peer in self.peers.with_role("client"):
            for channel in ("task", "control") if self._left else ("control",):
                self.mail.post_to(peer.uuid, channel, message)
        self._present, self._left, self._is_urgent = {}, {}, False
        self._due = self.mail.now + EVERY_S

    def next_tick(self) -> float | None:
        """When clients are to be told, if something waits."""
        return self._due if self._present else None
