"""The result of a call that has been submitted.

A call of many tasks is one object with many slots, not many futures; futures of its single tasks
are made when somebody wants them (`AsyncResult.split`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_EXCEPTION, CancelledError
from concurrent.futures import wait as wait_for_futures
from concurrent.futures._base import CANCELLED_AND_NOTIFIED
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from hippodrome.briefly import brief_methods, end
from hippodrome.client.interruption import tell_who_goes_on
from hippodrome.client.link.events import AbortRequested
from hippodrome.client.looks.words import what_was_printed
from hippodrome.client.results.described import DescribedFuture
from hippodrome.client.results.future import check_seconds
from hippodrome.client.results.slots import Outcome, Value, sharing
from hippodrome.errors import ClusterError

if TYPE_CHECKING:
    from hippodrome.client.looks.viewer import OutputStream


@brief_methods("_iterate", "r", "result_dict", but=("get",))
class AsyncResult(DescribedFuture):
    """The result, now or later, of one call.

    A `concurrent.futures.Future` in every respect, which can also be awaited.

    Attributes:
        msg_ids: one for each task.
        owner: whether fetching the result drops it from the client's cache.
    """

    _parts: tuple[AsyncResult, ...] | None = None
    _items_per_task = 1  # unless that differs between tasks

    def __repr__(self) -> str:
        said = what_was_printed(slot[0] for slot in self._slots if slot is not None)
        printed = f", printed {said}" if said else ""
        return f"<{type(self).__name__}({self._fname}): {self._progress_word()}{printed}>"

    def _instead(self) -> str:
        return "wait for it there, and send what get() returns"

    # ---- waiting

    def get(
        self,
        timeout: float | None = None,
        return_exceptions: bool | None = None,
        return_when: str | None = None,
    ) -> Value:
        """Wait, and return the result.

        Args:
            timeout: seconds; None or a negative number waits for as long as it takes.
            return_exceptions: put errors in the place of results rather than raise them.
            return_when: ``FIRST_EXCEPTION`` raises as soon as one task has failed.

        Returns:
            The result of a call with one target; a list of them otherwise.

        Raises:
            RemoteError: the one task failed.
            CompositeError: some of several tasks failed.
            TimeoutError: the result is not complete within *timeout*.
            TypeError: *timeout* is no number.
            CancelledError: it was cancelled.

        >>> view.map_async(pow, [2, 3], [5, 2]).get()
        [32, 9]
        """
        try:
            check_seconds(timeout)
            if return_when == FIRST_EXCEPTION and not return_exceptions:
                self._wait_watching(lambda: self._n_failed > 0, timeout)
                if self._n_failed and not self.done():
                    raise self._failure()  # noqa: TRY301 - and again, when it is brief
            if not return_exceptions:
                return self.result(timeout)
            if not self._wait_until(self.done, timeout):
                raise TimeoutError(f"{self!r} has not ended within {timeout} s")  # noqa: TRY301
            if self.cancelled():
                raise CancelledError  # noqa: TRY301
            return self._shape([self._value_or_error(i) for i in range(len(self._slots))])
        except BaseException as error:
            end(error)
            raise

    @property
    def r(self) -> Value:
        """The result, as from `get`."""
        return self.get()

    def wait(self, timeout: float | None = -1, return_when: str | None = None) -> Any:
        """Wait until all tasks have ended.

        Args:
            timeout: seconds; None or a negative number waits for as long as it takes.
            return_when: as for `concurrent.futures.wait`, whose ``(done, pending)`` is then
                returned: sets of the futures of the single tasks.

        Returns:
            Whether they have, if *return_when* is not given.
        """
        check_seconds(timeout)
        if return_when is None:
            return self._wait_until(self.done, timeout)
        self._check_may_wait()
        limit = None if timeout is None or timeout < 0 else timeout
        return wait_for_futures(self.split(), limit, return_when)

    def ready(self) -> bool:
        """Whether all tasks have ended."""
        return self.done()

    def successful(self) -> bool:
        """Whether all tasks ended with a result.

        Raises:
            RuntimeError: some have not ended.
        """
        if not self.done():
            raise RuntimeError(f"{self!r} is not ready")
        is_well = not (self._n_failed or self.cancelled() or self._is_flawed())
        return is_well and all(self._decoded(i)[1] is None for i in range(len(self._slots)))

    def wait_for_output(self, timeout: float | None = -1) -> bool:
        """Wait until the output is complete; it comes with the results."""
        return bool(self.wait(timeout))

    def stream_output(self) -> OutputStream:
        """Return a context manager: in its block, what tasks show is shown here as it comes.

        Lines begin with ``[stdout:3]`` for engine 3. What comes faster than about 256 kB per
        second is left out, with a note; `stdout` has it.
        """
        from hippodrome.client.looks.viewer import OutputStream

        return OutputStream(self)

    def display_outputs(self, groupby: str = "type", result_only: bool = False) -> None:
        """Wait, and show what the tasks have shown: richly in IPython, else as text.

        Where there are several, lines begin with ``[stdout:3]`` for engine 3.

        Args:
            groupby: ``"type"`` shows all text, then all displays, then all values; ``"engine"``
                all of one engine, then of the next; ``"order"`` the first display of each engine,
                then the second.
            result_only: only the values of last expressions.

        Raises:
            ValueError: there is no such grouping.
        """
        from hippodrome.client.looks.viewer import display_outputs

        self.wait_for_output()
        display_outputs(self, groupby, result_only, is_named=not self._single)

    @property
    def sent(self) -> bool:
        """Whether the buffers of the arguments are surely not needed any more.

        So it is at once where they have been copied: into a pickle, or into shared memory.
        """
        return not self._borrows or self.done()

    def wait_for_send(self, timeout: float | None = -1) -> bool:
        """Wait until `sent`.

        Raises:
            TimeoutError: not within *timeout* seconds.
        """
        check_seconds(timeout)
        if not self.sent and not self.wait(timeout):
            raise TimeoutError(f"{self!r} was not sent within {timeout} s")
        return True

    def wait_interactive(
        self,
        interval: float = 0.1,
        timeout: float | None = -1,
        widget: bool | None = None,
        return_when: str = ALL_COMPLETED,
    ) -> None:
        """Wait, with a progress bar in a terminal or notebook; `ready` tells how it went.

        Args:
            interval: seconds between updates.
            timeout: seconds; None or a negative number waits for as long as it takes.
            widget: whether to use a notebook's widget, if ipywidgets is installed; None finds out.
            return_when: ``FIRST_EXCEPTION`` stops as soon as one task has failed,
                ``FIRST_COMPLETED`` as soon as one has ended.

        Raises:
            TypeError: *interval* or *timeout* is no number.
            ValueError: there is no such *return_when*.
        """
        from hippodrome.client.looks.progress import wait_for_result

        wait_for_result(self, interval, timeout, widget, return_when)

    def _tell_who_goes_on(self, error: KeyboardInterrupt) -> None:
        tell_who_goes_on(self._client, [self], error)

    # ---- aborting

    def abort(self) -> None:
        """Keep the tasks from starting that have not; these end with `TaskAborted`.

        Raises:
            RuntimeError: all have ended.
        """
        if self.done():
            raise RuntimeError(f"{self!r} has ended, there is nothing to abort")
        self._client.abort(self, block=False)

    def interrupt(self) -> None:
        """Abort the tasks that have not started, and raise KeyboardInterrupt in those that run.

        Nothing else that the engines do is touched. A task that is interrupted ends with a
        `RemoteError`, unless it catches that.
        """
        self._client._io.post(AbortRequested(tuple(self.msg_ids), interrupt=True))

    def cancel(self, interrupt: bool = False) -> bool:
        """Give the result up, and abort the tasks that have not started.

        Args:
            interrupt: also raise KeyboardInterrupt in those that run.

        Returns:
            False if it has ended before.
        """
        if not self._end(CANCELLED_AND_NOTIFIED):
            return self.cancelled()
        with suppress(ClusterError):  # without a controller there is nothing to abort
            if interrupt:
                self.interrupt()
            else:
                self._client.abort(self, block=False)
        return True

    # ---- results

    def _outcome(self) -> Outcome:
        if self.owner:
            self._client._forget(self.msg_ids)
        if self._single:
            return self._decoded(0)
        if self._n_failed:
            return None, self._failure()
        outcomes = [self._decoded(i) for i in range(len(self._slots))]
        if any(error is not None for _, error in outcomes):
            return None, self._failure()
        return self._shape([value for value, _ in outcomes]), None

    def _shape(self, values: list[Value]) -> Value:
        return values[0] if self._single else values

    def get_dict(self, timeout: float | None = -1) -> dict[int, Value]:
        """Wait, and return the results by engine id.

        Raises:
            ValueError: one engine ran several of the tasks.
        """
        results = self.get(timeout)
        engines = [self._metadata(i)["engine_id"] for i in range(len(self._slots))]
        if len(set(engines)) != len(engines):
            raise ValueError(f"an engine ran several tasks of {self!r}: there is no result_dict")
        return dict(zip(engines, [results] if self._single else results, strict=True))

    @property
    def result_dict(self) -> dict[int, Value]:
        """The results by engine id."""
        return self.get_dict()

    def __len__(self) -> int:
        return len(self._slots)

    def __bool__(self) -> bool:
        return True  # a result of nothing is a result

    def __iter__(self) -> Iterator[Value]:
        if self._single:
            raise TypeError(f"{self!r} is a single result and cannot be iterated")
        return self._iterate()

    def _iterate(self) -> Iterator[Value]:
        for index in range(len(self._slots)):
            yield self._value_of(index)

    def __aiter__(self) -> AsyncIterator[Value]:
        if self._single:
            raise TypeError(f"{self!r} is a single result: await it")
        from hippodrome.client.results import async_iteration  # a blocking program does without

        return async_iteration.iterate(self)

    def _place(self, number: int) -> int | None:
        """Return which task is number *number* of those iterated over; None if it has not come."""
        return None if self._slots[number] is None else number

    def _items(self, index: int, value: Value) -> Sequence[Value]:
        """Return the items of one task."""
        return [value]

    def split(self) -> tuple[AsyncResult, ...]:
        """Return one AsyncResult for each task."""
        if len(self._slots) == 1 and self._single:
            return (self,)
        if self._parts is None:
            parts = tuple(self._part(i) for i in range(len(self._slots)))
            with sharing:  # of threads that come at the same time, one makes them for all
                self._parts = self._parts or parts
        return self._parts

    def _part(self, index: int) -> AsyncResult:
        part = AsyncResult(self._client, [self.msg_ids[index]], self._fname, single=True)
        part._copy_description(self, index)
        self.pass_on(index, part, 0)
        return part

    def _copy_description(self, other: AsyncResult, index: int) -> None:
        self._submitted, self._clock = other._submitted, other._clock
        self._label = other._label
        self._execute_input = other._execute_input
        self._options = other._options
        if other._targets is not None:
            self._targets = [other._targets[index]]

    @classmethod
    def join(cls, *async_results: AsyncResult) -> AsyncResult:
        """Return one AsyncResult for the tasks of several.

        Raises:
            ValueError: there are none.
        """
        if not async_results:
            raise ValueError("join needs at least one AsyncResult")
        first = async_results[0]
        msg_ids = list(chain.from_iterable(ar.msg_ids for ar in async_results))
        joined = AsyncResult(first._client, msg_ids, first._fname, single=False)
        joined._submitted, joined._clock = min((ar._submitted, ar._clock) for ar in async_results)
        number = 0
        for ar in async_results:
            for index in range(len(ar.msg_ids)):
                ar.pass_on(index, joined, number)
                number += 1
        return joined
