"""A line of the log for each action that a core asks of its shell, at DEBUG."""

from __future__ import annotations

import logging

from hippodrome.protocol.brief import brief, says_something


def note_action(log: logging.Logger, action: object) -> None:
    """Log *action*, in short, unless it only shows that this process is there."""
    if log.isEnabledFor(logging.DEBUG):
        frames = getattr(action, "frames", None)
        if frames is None or says_something(frames):
            log.debug("%s", brief(action))
