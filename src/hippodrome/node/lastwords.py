"""What an engine that died wrote last: of a dump of its stack, where the user's code was."""

from __future__ import annotations

import re
from typing import Final

MOST_LINES: Final = 20
_FATAL: Final = "Fatal Python error: "
_CURRENT: Final = ("Current thread ", "Stack (most recent")
_FRAME: Final = "  File "
_PACKAGE: Final = __file__.rpartition("node")[0]
_OURS: Final = re.compile(rf'  File "(?:{re.escape(_PACKAGE)}|<frozen runpy>).*", line \d+ in ')


def last_words(text: str) -> str:
    """Return the last lines of *text*.

    What `faulthandler` writes has the newest call first, of all threads, and ours below: so of
    that the first lines are kept, of the thread that failed, without our frames.
    """
    lines = [line for line in text.splitlines() if not _OURS.match(line)]
    starts = [i for i, line in enumerate(lines) if line.startswith(_FATAL)]
    if not starts:
        return "\n".join(lines[-MOST_LINES:])
    start = starts[-1]
    dump = _failed_thread(lines[start:])[:MOST_LINES]
    room = min(start, MOST_LINES - len(dump))
    return "\n".join([*lines[start - room : start], *dump])


def _failed_thread(dump: list[str]) -> list[str]:
    """Return the first line of a dump, and what it says of the thread that failed."""
    heads = [i for i, line in enumerate(dump) if line.startswith(_CURRENT)]
    if not heads:
        return dump
    frames = dump[heads[0] + 1 :]
    n = next((i for i, line in enumerate(frames) if not line.startswith(_FRAME)), len(frames))
    return [dump[0], dump[heads[0]], *frames[:n]]
