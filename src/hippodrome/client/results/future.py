"""A `concurrent.futures.Future` that costs little until somebody waits for it.

The standard library's future makes a condition variable when it is made, which is most of its
time and memory; a client that submits ten thousand tasks and then waits for the last of them
needs a handful. Here the condition is made by whoever first waits. Everything that is documented
of futures holds: `concurrent.futures.wait` and ``as_completed``, `asyncio.wrap_future`, callbacks.

The invariant behind it: while there is no condition, the state changes only under `_creating`,
under which conditions are made too; once there is one, only while it is held.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future
from concurrent.futures._base import (
    CANCELLED,
    CANCELLED_AND_NOTIFIED,
    FINISHED,
    PENDING,
)
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

from hippodrome.briefly import end
from hippodrome.live import Live

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # a checker has it

    T = TypeVar("T", default=Any)  # whoever does not say of what gets what there was before
else:
    from typing import TypeVar

    T = TypeVar("T")

_NUMBERS: Final = (int, float, Real)  # the abstract one, which is slow to ask, last
_creating = threading.Lock()
_log: Final = logging.getLogger("concurrent.futures")  # where other futures tell of this, too
_ENDED: Final = frozenset({FINISHED, CANCELLED, CANCELLED_AND_NOTIFIED})


def check_seconds(value: object, name: str = "timeout") -> None:
    """Raise TypeError unless *value* is a number of seconds, or None."""
    if value is not None and not isinstance(value, _NUMBERS):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class LazyFuture(Live, Future[T]):
    """A future whose outcome is computed by whoever asks for it.

    Subclasses override `_outcome`; on which thread a future may be waited for is up to
    `_check_may_wait`.
    """

    _state: str = PENDING
    _result: Any = None  # Any: as in the base class
    _exception: BaseException | None = None

    def __init__(self) -> None:
        """Make nothing: see the module's docstring."""

    def __getattr__(self, name: str) -> Any:  # Any: a condition or a list
        """Make the parts that a waiting thread needs, when the first one comes."""
        if name not in {"_condition", "_waiters", "_done_callbacks"}:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        with _creating:
            parts = self.__dict__
            if "_condition" not in parts:
                parts["_waiters"] = []
                parts["_done_callbacks"] = []
                parts["_condition"] = threading.Condition()
            return parts[name]

    def _instead(self) -> str:
        return "wait for it there, and send what it returns"

    # ---- for whoever waits

    def done(self) -> bool:
        """Whether it has ended, one way or another.

        >>> ar = lbv.apply_async(abs, -2)
        >>> ar.wait(10) and ar.done()
        True
        """
        return self._state in _ENDED

    def cancelled(self) -> bool:
        """Whether it has ended as cancelled.

        >>> future = rc.wait_for_engines(99, block=False)
        >>> future.cancel() and future.cancelled()
        True
        """
        return self._state in {CANCELLED, CANCELLED_AND_NOTIFIED}

    def running(self) -> bool:
        """Always False: the client is not told when a task starts.

        >>> lbv.apply_async(abs, -2).running()
        False
        """
        return False

    def result(self, timeout: float | None = None) -> T:
        """Wait, and return the result or raise what it ended with.

        Args:
            timeout: seconds; None or a negative number waits for as long as it takes.

        Raises:
            TimeoutError: it has not ended within *timeout*.
            CancelledError: it was cancelled.

        >>> lbv.apply_async(abs, -2).result(10)
        2
        """
        value: T
        try:
            value, error = self._ended(timeout)
            if error is None:
                return value
            # with no traceback of an earlier call
            raise error.with_traceback(None)  # noqa: TRY301 - and raised again, when it is brief
        except BaseException as raised:
            end(raised)
            raise
        finally:
            error = None  # no cycle from the traceback back to the error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait, and return what it ended with, None if that is a result.

        Raises:
            TimeoutError: it has not ended within *timeout*.
            CancelledError: it was cancelled.

        >>> print(lbv.apply_async(abs, -2).exception(10))
        None
        """
        try:
            return self._ended(timeout)[1]
        except BaseException as error:
            end(error)
            raise

    def __await__(self) -> Generator[Any, None, T]:
        import asyncio  # a blocking program does without

        return asyncio.wrap_future(self).__await__()

    def _ended(self, timeout: float | None) -> tuple[Any, BaseException | None]:
        if self._state != FINISHED or timeout is not None:
            self._wait_for_end(timeout)
        return self._outcome()

    def _wait_for_end(self, timeout: float | None) -> None:
        check_seconds(timeout)
        if not self._wait_until(self.done, timeout):
            raise TimeoutError(f"{self!r} has not ended within {timeout} s{self._why_late()}")
        if self.cancelled():
            raise CancelledError

    def _outcome(self) -> tuple[Any, BaseException | None]:  # Any: what the task returned
        """Return value and error, of which one is None; only called when it has ended."""
        return self._result, self._exception

    def _has_failed(self) -> bool:
        """Whether it has ended with an error, as far as can be told without decoding it."""
        return self._exception is not None

    def _get_snapshot(self) -> tuple[bool, bool, Any, BaseException | None]:
        """Tell newer versions of asyncio all at once: done, cancelled, result, exception."""
        if not self.done() or self.cancelled():
            return self.done(), self.cancelled(), None, None
        return True, False, *self._outcome()

    def _wait_until(self, is_so: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until *is_so*, which may change whenever the condition is notified."""
        if is_so():
            return True
        if timeout == 0:
            return False
        self._check_may_wait()
        deadline = None if timeout is None or timeout < 0 else time.monotonic() + timeout
        condition = self._condition
        with condition:
            while not is_so():
                left_s = None if deadline is None else deadline - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return False
                self._wait_once(condition, left_s)
        return True

    def _wait_once(self, condition: threading.Condition, timeout: float | None) -> None:
        condition.wait(timeout)

    def _why_late(self) -> str:
        """Return why it may have to wait, as the end of a sentence; empty if that is not known."""
        return ""

    def _check_may_wait(self) -> None:
        """Raise RuntimeError on a thread that must not block."""

    # ---- for whoever ends it

    def set_result(self, result: T) -> None:
        """End with *result*; whoever comes late changes nothing."""
        self._end(FINISHED, (result, None))

    def set_exception(self, exception: BaseException | None) -> None:
        """End with *exception*; whoever comes late changes nothing."""
        self._end(FINISHED, (None, exception))

    def cancel(self) -> bool:
        """End as cancelled; False if it has ended already.

        >>> rc.wait_for_engines(99, block=False).cancel()
        True
        """
        return self._end(CANCELLED_AND_NOTIFIED) or self.cancelled()

    def _end(self, state: str, outcome: tuple[Any, BaseException | None] | None = None) -> bool:
        """Change to *state* and tell everybody, unless it has ended before."""
        with _creating:
            condition = self.__dict__.get("_condition")
            if condition is None:
                return self._change(state, outcome)
        with condition:
            if not self._change(state, outcome):
                return False
            for waiter in self._waiters:
                if state != FINISHED:
                    waiter.add_cancelled(self)
                elif self._has_failed():
                    waiter.add_exception(self)
                else:
                    waiter.add_result(self)
            condition.notify_all()
        self._invoke_callbacks()
        return True

    def _invoke_callbacks(self) -> None:
        """Call what was to be called; nothing that a callback raises ends the I/O thread."""
        for callback in self._done_callbacks:
            try:
                callback(self)
            except BaseException as error:
                if not isinstance(error, Exception) and _is_main_thread():
                    raise  # a user's Ctrl-C, or exit
                _log.exception("exception calling callback for %r", self)

    def _change(self, state: str, outcome: tuple[Any, BaseException | None] | None) -> bool:
        if self._state != PENDING:
            return False
        if outcome is not None:
            self._result, self._exception = outcome
        self._state = state
        return True
