"""How the start-up of an engine fails."""

from __future__ import annotations

import traceback
from typing import Final

FAILED: Final = 1
_INSIDE: Final = ("hippodrome/engine/", "hippodrome\\engine\\")


class StartupFailed(Exception):
    """What an engine executes first raised an error, or wanted to end the process.

    Attributes:
        text: the traceback, without our own frames.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(_summary(error))
        self.text: str = _traceback(error)


def _is_ours(frame: traceback.FrameSummary) -> bool:
    is_inside = any(part in frame.filename for part in _INSIDE)
    return is_inside or (frame.line or "").startswith("exec(compile(")  # with all of a file's text


def _summary(error: BaseException) -> str:
    try:
        lines = traceback.format_exception_only(type(error), error)
    except BaseException:  # its own code fails
        return type(error).__name__
    return lines[-1].strip() if lines else type(error).__name__


def _traceback(error: BaseException) -> str:
    try:
        if isinstance(error, SyntaxError):
            return "".join(traceback.format_exception_only(error))
        found = traceback.TracebackException.from_exception(error)
        frames = [frame for frame in found.stack if not _is_ours(frame)]
        found.stack = traceback.StackSummary.from_list(frames)
        return "".join(found.format())
    except BaseException:  # see above
        return f"{type(error).__name__}\n"
