"""Two threads, one of which is stopped in the middle: what a race does seldom, done on purpose.

A thread that is about to execute an instruction of ours lets another one run first: once before the
first instruction, once before the second, and so on. The other thread ends in between unless it
needs a lock that the first one holds. So whatever goes wrong when two calls meet goes wrong in one
of the rounds, each time.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar

import hippodrome

T = TypeVar("T")

OURS: Final = str(Path(hippodrome.__file__).parent)
BLOCKED_S: Final = 0.003  # who has not ended by then needs a lock, or runs on beside the first
END_S: Final = 30.0
MOST_ROUNDS: Final = 3000


def interleavings(
    make: Callable[[], T], first: Callable[[T], object], second: Callable[[T], object]
) -> Iterator[T]:
    """Yield what *make* made after *first* and *second* were called with it, once for each round.

    Args:
        make: makes what the two share; called for each round.
        first: is stopped in the middle, each time before another instruction.
        second: runs meanwhile.

    Raises:
        AssertionError: the two have not ended, or one of them raised.
    """
    for place in range(MOST_ROUNDS):
        shared = make()
        stopper = _Stopper(place, partial(second, shared))
        errors = _run(partial(stopper.call, partial(first, shared)))
        stopper.join()
        assert not errors + stopper.errors, (place, errors + stopper.errors)
        yield shared
        if not stopper.has_stopped:
            return
    raise AssertionError(f"the first call has more than {MOST_ROUNDS} instructions")


class _Stopper:
    def __init__(self, place: int, other: Callable[[], object]) -> None:
        self.has_stopped = False
        self.errors: list[BaseException] = []
        self._left = place
        self._other = threading.Thread(target=self._run_other, args=(other,), daemon=True)

    def call(self, function: Callable[[], object]) -> None:
        sys.settrace(self._trace)
        try:
            function()
        finally:
            sys.settrace(None)

    def join(self) -> None:
        if not self.has_stopped:
            self._other.start()
        self._other.join(END_S)
        assert not self._other.is_alive(), "the second call does not end"

    def _run_other(self, other: Callable[[], object]) -> None:
        try:
            other()
        except BaseException as error:
            self.errors.append(error)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode" and not self.has_stopped:
            if self._left:
                self._left -= 1
            else:
                self.has_stopped = True
                self._other.start()
                self._other.join(BLOCKED_S)
        return self._trace


def _run(function: Callable[[], object]) -> list[BaseException]:
    """Call *function* on a thread of its own, and return what it raised."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(END_S)
    assert not thread.is_alive(), "the first call does not end"
    return errors
