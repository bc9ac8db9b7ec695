"""A future that ends when all tasks of a call have."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, CancelledError
from concurrent.futures._base import FINISHED
from typing import TYPE_CHECKING, Any, ClassVar  # Any: what tasks return

from hippodrome.briefly import brief_methods
from hippodrome.client.looks.words import what_was_printed
from hippodrome.client.results.description import Description, steady_s
from hippodrome.client.results.details import Details
from hippodrome.client.results.future import LazyFuture, T
from hippodrome.client.results.slot import Outcome
from hippodrome.client.results.slots import TaskSlots
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import MsgId

if TYPE_CHECKING:
    from hippodrome.client.looks.panels import CallLooks
    from hippodrome.client.results.owner import Owner


@brief_methods("_iterate")
class CallFuture(LazyFuture[T]):
    """Has a description of its call, slots for what comes of the tasks, and what these mean.

    Args:
        client: whose tasks these are.
        msg_ids: one for each task.
        fname: the name of the function, for people.
        single: whether the one task's value is the result, rather than a list.
    """

    owner: bool = True
    _description: ClassVar[type[Description]] = Description
    _watchers = 0
    _era: object = None  # of the last history into which its tasks were entered
    _borrows = False  # memory of the caller's, from which arguments may be sent until the end
    _takes_errors = False  # in the place of results, if nobody says otherwise

    def __init__(self, client: Owner, msg_ids: list[MsgId], fname: str, *, single: bool) -> None:
        self._client = client
        self.msg_ids = msg_ids
        self._single = single
        now = time.time()
        self._about = self._description(fname, now, now - steady_s())
        self._tasks = TaskSlots(self._about, [None] * len(msg_ids), len(msg_ids))
        if not msg_ids:
            self._end(FINISHED)

    def __repr__(self) -> str:
        said = what_was_printed(slot.result for slot in self._tasks.slots if slot is not None)
        printed = f", printed {said}" if said else ""
        return f"<{type(self).__name__}({self._about.fname}): {self._progress_word()}{printed}>"

    def _progress_word(self) -> str:
        if self.cancelled():
            return "cancelled"
        if not self.done():
            return "pending"
        return "failed" if self._tasks.n_failed or self._tasks.is_flawed() else "finished"

    def _repr_html_(self) -> str:
        from hippodrome.client.looks.panels import of_result

        return of_result(self._looks())

    def _looks(self) -> CallLooks:
        """Return what there is to be seen of it now."""
        from hippodrome.client.looks.panels import CallLooks

        state = self._progress_word()
        return CallLooks(
            type(self).__name__,
            self._about,
            state,
            list(self._tasks.slots),
            self._tasks.flaws,
            len(self),
            self.progress,
            self.elapsed,
        )

    def _instead(self) -> str:
        return "wait for it there, and send what get() returns"

    def __len__(self) -> int:
        return len(self._tasks.slots)

    def __bool__(self) -> bool:
        return True  # a result of nothing is a result

    @property
    def progress(self) -> int:
        """How many items have ended.

        >>> ar = lbv.map_async(abs, [-1, -2])
        >>> ar.wait(10) and ar.progress
        2
        """
        return self._n_tasks - self._tasks.left

    @property
    def elapsed(self) -> float:
        """Seconds since submission; once all is done, until the last result came.

        >>> lbv.apply_async(abs, -2).elapsed >= 0.0
        True
        """
        return self._tasks.wall_s() if self.done() else self._about.passed_s()

    def _note_sending(self, given: Sequence[Buffer], used: Sequence[Buffer]) -> None:
        """Note whether any of the buffers that were *given* is among those that are *used*."""
        if any(one is other for one, other in zip(given, used, strict=True)):
            self._borrows = True

    # ---- waiting

    def _wait_for(self, return_when: str) -> Callable[[float | None], bool]:
        """Return what waits for that, for some seconds, and tells whether it is so.

        Raises:
            ValueError: there is no such *return_when*.
        """
        tasks, n = self._tasks, self._n_tasks
        if return_when == ALL_COMPLETED:
            return lambda timeout: self._wait_until(self.done, timeout)
        enough: dict[str, Callable[[], bool]] = {
            FIRST_EXCEPTION: lambda: tasks.n_failed > 0,
            FIRST_COMPLETED: lambda: tasks.left < n,
        }
        if return_when not in enough:
            raise ValueError(f"return_when must be one of concurrent.futures', not {return_when!r}")
        return lambda timeout: self._wait_watching(enough[return_when], timeout)

    def _wait_watching(self, is_so: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until *is_so* or the end, woken by each single result."""
        if is_so():
            return True
        with self._condition:
            self._watchers += 1
        try:
            return self._wait_until(lambda: self.done() or is_so(), timeout)
        finally:
            with self._condition:
                self._watchers -= 1

    def _wait_until(self, is_so: Callable[[], bool], timeout: float | None) -> bool:
        try:
            return super()._wait_until(is_so, timeout)
        except KeyboardInterrupt as error:
            self._client._tell_who_goes_on([self], error)
            raise

    def _wait_once(self, condition: threading.Condition, timeout: float | None) -> None:
        self._client._io.wait_on(condition, timeout)

    def _why_late(self) -> str:
        return "" if self._client._io.engines else "; there are no engines (ipcluster status)"

    def _check_may_wait(self) -> None:
        self._client._io.check_may_wait()

    # ---- values

    @property
    def _n_tasks(self) -> int:
        return len(self._tasks.slots)

    @property
    def _details(self) -> Details:
        return Details(self.msg_ids, self._tasks, self._client._io)

    def _outcome(self) -> Outcome:
        if self.owner:
            self._client._forget(self.msg_ids)
        if self._takes_errors:
            return self._whole(), None
        if self._single:
            return self._details.outcome(0)
        if self._tasks.n_failed:
            return None, self._details.failure(self._single)
        outcomes = list(map(self._details.outcome, range(self._n_tasks)))
        if any(error is not None for _, error in outcomes):
            return None, self._details.failure(self._single)
        return self._shape([value for value, _ in outcomes]), None

    def _whole(self) -> Any:
        """Return the result, with errors in the place of results."""
        return self._shape(list(map(self._details.value_or_error, range(self._n_tasks))))

    def _shape(self, values: list[Any]) -> Any:
        return values[0] if self._single else values

    def _has_failed(self) -> bool:
        return self._tasks.n_failed > 0 and not self._takes_errors

    def _place(self, number: int) -> int | None:
        """Return which task is number *number* of those iterated over; None if it has not come."""
        return None if self._tasks.slots[number] is None else number

    def _items(self, index: int, value: Any) -> Sequence[Any]:
        """Return the items of one task."""
        return [value]

    def _value_of(self, index: int, deadline: float | None = None) -> Any:
        """Wait for one task, and return its result or raise its error."""
        self._await(lambda: self._tasks.slots[index] is not None, deadline)
        return self._settled(index)

    def _await(self, is_there: Callable[[], bool], deadline: float | None) -> None:
        left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        self._wait_watching(is_there, left_s)
        if not is_there():
            raise CancelledError if self.done() else TimeoutError(f"{self!r} is late")

    def _settled(self, index: int) -> Any:
        """Return the result of a task that has ended, or raise its error."""
        if self.owner and not self._takes_errors:
            self._client._forget(self.msg_ids[index : index + 1])
        result = self._tasks.result_of(index)
        if result is not None and result.status == "aborted" and self.cancelled():
            raise CancelledError  # it was aborted because its result was cancelled
        value, error = self._details.outcome(index)
        if error is not None and not self._takes_errors:
            raise error.with_traceback(None)  # not that of an earlier call too
        return value if error is None else error

    def _iterate(self) -> Iterator[Any]:
        for index in range(self._n_tasks):
            yield self._value_of(index)

    def _check_done(self) -> None:
        if not self.done():
            raise TimeoutError(f"{self!r} is not ready")


def note_items(result: CallFuture[Any], items: range) -> None:
    """Note which items of something larger the one task of *result* has, for its error."""
    result._about.own_items = items
