"""The segments that one process shares with others, found anew with each welcome."""

from __future__ import annotations

from collections.abc import Mapping

from hippodrome.segments.files import Segments


class Shared:
    """Where large buffers of this process go, and those that come are found.

    Attributes:
        segments: of this host; None before the first welcome, and where there are none.
    """

    def __init__(self) -> None:
        self.segments: Segments | None = None

    def look(self, info: Mapping[str, str | int]) -> bool:
        """Look for the segments that a welcome announces; return whether they are here."""
        self.segments = Segments.of(info)
        return self.segments is not None
