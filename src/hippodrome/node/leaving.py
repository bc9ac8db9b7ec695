"""How a supervisor leaves: it says its last words, and waits until they are heard, not for long."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from hippodrome.node import actions as do
from hippodrome.protocol.link import Link
from hippodrome.protocol.messages import Bye

LAST_WORDS_S: Final = 1.0


class Leaving(msgspec.Struct):
    """What a supervisor has decided on that leaves."""

    exit_code: int
    hurries: bool  # there is nobody to say last words to
    give_up_at: float = math.inf
    has_exited: bool = False

    def go(self, link: Link, now: float) -> list[do.Action]:
        """No engine is left: leave when the controller knows, or will not listen."""
        if self.has_exited:
            return []
        actions: list[do.Action] = []
        if self.give_up_at == math.inf:
            self.give_up_at = now + LAST_WORDS_S
            actions += do.send(link.send(Bye("all engines of this supervisor have ended")))
            actions += do.send([link.stream.sync()] if link.is_open else [])
        is_told = link.is_open and not link.stream.n_unacknowledged
        if is_told or self.hurries or now >= self.give_up_at:
            self.has_exited = True
            actions.append(do.Exit(self.exit_code))
        return actions
