"""The names that a record has of its large buffers, not their bytes."""

from __future__ import annotations

from typing import Final

import msgspec

TOO_LARGE: Final = 0
CROWDED: Final = -1
GONE: Final = -2
PASSED: Final = -3


class Large(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One large buffer of a task.

    ``key`` names it where such buffers are kept. That of a buffer which never was is not
    positive, and says why: `TOO_LARGE`, `CROWDED`, `GONE` or `PASSED`.
    """

    key: int
    size_bytes: int = 0

    @property
    def was_kept(self) -> bool:
        return self.key > 0


Kept = tuple[bytes | Large, ...] | None  # an item's buffers; None if nothing is known of them


def inline_bytes(kept: Kept) -> int:
    """Return how many bytes of an item's buffers are in its record."""
    return sum(len(each) for each in kept or () if isinstance(each, bytes))


def are_kept(n_buffers: int, kept: tuple[bytes | Large, ...]) -> bool:
    """Tell whether all buffers of an item were kept at first."""
    return n_buffers == len(kept) and all(isinstance(each, bytes) or each.was_kept for each in kept)
