"""The hub gets of the buffers that pass all small ones, and large ones within reason.

The link to the hub is no place to gather gigabytes, and nobody waits for the hub. So no more than
`UNDER_WAY_BYTES` are on their way to it, or else a single buffer; the hub says what it has taken.
Segments cost nothing: they get a second name, and the reference goes along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.segments.reference import LEAST_BYTES, decode

UNDER_WAY_BYTES: Final = 128 << 20
FUNCTION_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Share:
    """The buffers of a message that go to the hub.

    Attributes:
        frames: as many as there were; those that do not go are empty.
        omitted: places of those that are too large.
        crowded: places of those for which there was too much on the way.
        passing: places of those that lie on other hosts.
    """

    frames: Frames
    omitted: list[int] = field(default_factory=list)
    crowded: list[int] = field(default_factory=list)
    passing: list[int] = field(default_factory=list)


class ForHub:
    """Decides what the hub is given.

    Args:
        token: begins references to segments; empty if there are none.
        limit_bytes: a larger buffer is never kept; 0: none that is large.
        lies_here: tells of a segment whether it is on this host; what is not is not kept.
    """

    def __init__(
        self,
        token: bytes = b"",
        limit_bytes: int = 0,
        lies_here: Callable[[str], bool] = lambda name: True,
    ) -> None:
        self._lies_here = lies_here
        self._token = token
        self._limit_bytes = limit_bytes
        self._under_way_bytes = 0
        self._names: list[str] = []

    def share(self, frames: Sequence[Buffer], n_functions: int = 0) -> Share:
        """Return what goes to the hub of *frames*, of which the first are functions."""
        share = Share(list(frames))
        for place, frame in enumerate(frames):
            size_bytes = memoryview(frame).nbytes
            if size_bytes < LEAST_BYTES:
                name = decode(self._token, frame) if self._token else None
                if name is None:
                    continue
                is_here = self._lies_here(name)
                if self._limit_bytes and is_here:
                    self._names.append(name)
                    continue
                (share.omitted if is_here else share.passing).append(place)
            elif size_bytes > (FUNCTION_BYTES if place < n_functions else self._limit_bytes):
                share.omitted.append(place)
            elif self._under_way_bytes and self._under_way_bytes + size_bytes > UNDER_WAY_BYTES:
                share.crowded.append(place)
            else:
                self._under_way_bytes += size_bytes
                continue
            share.frames[place] = b""
        return share

    def taken(self, size_bytes: int) -> None:
        """The hub has taken so much."""
        self._under_way_bytes = max(0, self._under_way_bytes - size_bytes)

    def take_names(self) -> list[str]:
        """Return the segments that are to be kept for the hub, once."""
        names, self._names = self._names, []
        return names
