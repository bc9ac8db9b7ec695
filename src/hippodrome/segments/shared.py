"""The segments that one process shares with others, found anew with each welcome."""

from __future__ import annotations

from collections.abc import Mapping

from hippodrome.protocol.pieces import WHOLE_BYTES
from hippodrome.segments.files import Segments
from hippodrome.segments.reference import token_of


class Shared:
    """Where large buffers of this process go, and those that come are found.

    Args:
        home: the directory of this host's segments, where that is not the controller's; empty if
            there is none.

    Attributes:
        segments: of this host; None before the first welcome, and where there are none.
    """

    def __init__(self, home: str = "") -> None:
        self.segments: Segments | None = None
        self._home = home

    def look(self, info: Mapping[str, str | int]) -> bool:
        """Look for the segments that a welcome announces; return whether they are here.

        Where they are not, this host's own are used: only for what is so large that it takes a
        way of its own to other hosts.
        """
        self.segments = Segments.of(info)
        if self.segments is not None:
            return True
        token = token_of(info)
        if self._home and token:
            self.segments = Segments(self._home, token, least_bytes=WHOLE_BYTES)
        return False
