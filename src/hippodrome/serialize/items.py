"""Which of its elements a task was at when it raised.

Noted on the way out by what calls a function for each, so that elements that succeed cost nothing,
and taken by what runs the task, on the same thread.
"""

from __future__ import annotations

_noted: list[int] = []


def note_item(index: int) -> None:
    """Note which element the error is about that is being raised."""
    _noted[:] = [index]


def take_item() -> int | None:
    """Return what was noted since this was last asked; None if nothing was."""
    return _noted.pop() if _noted else None
