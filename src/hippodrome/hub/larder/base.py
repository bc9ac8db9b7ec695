"""The interface of a larder, which keeps the large buffers of records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import MsgId
from hippodrome.segments.reference import LEAST_BYTES
from hippodrome.store.large import CROWDED, GONE, PASSED, TOO_LARGE, Large

OPTION: Final = "ipcontroller --large-limit"

Got = Mapping[Large, Buffer | str]  # a text says why there is none


@dataclass(frozen=True, slots=True)
class Stock:
    """The contents that a larder counts.

    Attributes:
        n_buffers: how many buffers.
        size_bytes: how many bytes these hold.
        limit_bytes: how many they may hold.
        n_dropped: how many had to go for others, or could not be kept.
        trouble: what keeps it from keeping any, in a few words; empty if nothing does.
    """

    n_buffers: int = 0
    size_bytes: int = 0
    limit_bytes: int = 0
    n_dropped: int = 0
    trouble: str = ""


class Larder(Protocol):
    """Keeps large buffers; drops those that were not asked for longest.

    Nothing here waits for a disk. What is fetched is handed over at once, or from `collect`, which
    is to be called when `wake_fd` is readable.
    """

    wake_fd: int | None

    def take(self, owners: Sequence[MsgId], frame: Buffer) -> bytes | Large:
        """Take a buffer of tasks; one that is not large is returned as it is."""

    def release(self, owner: MsgId) -> None:
        """Let go of what only this task has."""

    def owners(self) -> list[MsgId]:
        """Return whose the buffers are."""

    def why_not(self, large: Large) -> str:
        """Say why a buffer is not here; empty if it is."""

    def fetch(self, wanted: Collection[Large], then: Callable[[Got], None]) -> None:
        """Get buffers, as what can be sent to clients: themselves or references to segments."""

    def collect(self) -> None:
        """Hand over what was fetched meanwhile."""

    def stock(self) -> Stock:
        """Tell what there is."""

    def close(self) -> None:
        """Keep what is to be kept, and end."""


class NoLarder:
    """Keeps nothing that is large."""

    wake_fd: int | None = None

    def take(self, owners: Sequence[MsgId], frame: Buffer) -> bytes | Large:
        n = memoryview(frame).nbytes
        return Large(TOO_LARGE, n) if n >= LEAST_BYTES else bytes(frame)

    def release(self, owner: MsgId) -> None:
        pass

    def owners(self) -> list[MsgId]:
        return []

    def why_not(self, large: Large) -> str:
        return why_never(large, 0)

    def fetch(self, wanted: Collection[Large], then: Callable[[Got], None]) -> None:
        then({large: self.why_not(large) for large in wanted})

    def collect(self) -> None:
        pass

    def stock(self) -> Stock:
        return Stock()

    def close(self) -> None:
        pass


def why_never(large: Large, limit_bytes: int) -> str:
    """Say why a buffer was never kept."""
    if not limit_bytes:
        return f"was not kept: nothing large is ({OPTION})"
    match large.key:
        case _ if large.key == CROWDED:
            return "was not kept: more came at once than could be put away"
        case _ if large.key == GONE:
            return "was not kept: it was gone from the shared memory too early"
        case _ if large.key == PASSED:
            return "was not kept: what goes from one host to another is its client's alone"
        case _:
            return f"was too large to be kept: {limit_bytes:,} bytes are for all ({OPTION})"


def why_dropped(limit_bytes: int) -> str:
    """Say why a buffer is not here that was."""
    return (
        f"was dropped: of large arguments and results the latest {limit_bytes:,} bytes are kept "
        f"({OPTION})"
    )
