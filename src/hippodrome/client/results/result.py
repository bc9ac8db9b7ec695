"""The result of a call that has been submitted.

A call of many tasks is one object with many slots, not many futures; futures of its single tasks
are made when somebody wants them (`AsyncResult.split`). What comes is put into the slots on the I/O
thread; it is decoded by the thread that asks for it, once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_EXCEPTION
from concurrent.futures import wait as wait_for_futures
from concurrent.futures._base import CANCELLED_AND_NOTIFIED
from contextlib import suppress
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, cast  # Any: what tasks return

from hippodrome.briefly import brief_methods, end
from hippodrome.client import hints
from hippodrome.client.link.events import AbortRequested
from hippodrome.client.results.call import CallFuture
from hippodrome.client.results.future import T, check_seconds
from hippodrome.client.results.metadata import KEYS, Metadata, no_metadata
from hippodrome.client.results.slots import pass_on, sharing
from hippodrome.errors import ClusterError
from hippodrome.protocol.frames import Buffer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hippodrome.client.looks.viewer import OutputStream


@brief_methods("_iterate", "r", "result_dict", but=("get",))
class AsyncResult(CallFuture[T]):
    """The result, now or later, of one call.

    A `concurrent.futures.Future` in every respect, which can also be awaited.

    Attributes:
        msg_ids: one for each task.
        owner: whether fetching the result drops it from the client's cache.

    >>> ar = lbv.apply_async(pow, 2, 5)
    >>> ar.get(timeout=10)
    32
    >>> ar
    <AsyncResult(pow): finished>
    """

    _parts: tuple[AsyncResult[Any], ...] | None = None

    # ---- waiting

    def get(
        self,
        timeout: float | None = None,
        return_exceptions: bool | None = None,
        return_when: str | None = None,
    ) -> T:
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
            if return_exceptions is None:
                return_exceptions = self._takes_errors
            if return_when == FIRST_EXCEPTION and not return_exceptions:
                check_seconds(timeout)
                self._wait_watching(lambda: self._tasks.n_failed > 0, timeout)
                if self._tasks.n_failed and not self.done():
                    raise self._details.failure(self._single)  # noqa: TRY301 - when it is brief
            if not return_exceptions:
                return self.result(timeout)
            self._wait_for_end(timeout)
            found: T = self._whole()
            return found  # noqa: TRY300
        except BaseException as error:
            end(error)
            raise

    @property
    def r(self) -> T:
        """The result, as from `get`.

        >>> lbv.apply_async(abs, -2).r
        2
        """
        return self.get()

    def wait(self, timeout: float | None = -1, return_when: str | None = None) -> Any:
        """Wait until all tasks have ended.

        Args:
            timeout: seconds; None or a negative number waits for as long as it takes.
            return_when: as for `concurrent.futures.wait`, whose ``(done, pending)`` is then
                returned: sets of the futures of the single tasks.

        Returns:
            Whether they have, if *return_when* is not given.

        >>> lbv.apply_async(abs, -2).wait(10)
        True
        """
        check_seconds(timeout)
        if return_when is None:
            return self._wait_until(self.done, timeout)
        self._check_may_wait()
        limit = None if timeout is None or timeout < 0 else timeout
        return wait_for_futures(self.split(), limit, return_when)

    def ready(self) -> bool:
        """Whether all tasks have ended.

        >>> ar = lbv.apply_async(abs, -2)
        >>> ar.wait(10) and ar.ready()
        True
        """
        return self.done()

    def successful(self) -> bool:
        """Whether all tasks ended with a result.

        Raises:
            RuntimeError: some have not ended.

        >>> ar = lbv.apply_async(int, "two")
        >>> ar.wait(10) and ar.successful()
        False
        """
        if not self.done():
            raise RuntimeError(f"{self!r} is not ready")
        is_well = not (self._tasks.n_failed or self.cancelled() or self._tasks.is_flawed())
        return is_well and all(self._details.outcome(i)[1] is None for i in range(self._n_tasks))

    def wait_for_output(self, timeout: float | None = -1) -> bool:
        """Wait until the output is complete; it comes with the results.

        >>> lbv.apply_async(print, "hello").wait_for_output(10)
        True
        """
        return bool(self.wait(timeout))

    def stream_output(self) -> OutputStream:
        """Return a context manager: in its block, what tasks show is shown here as it comes.

        Lines begin with ``[stdout:3]`` for engine 3. What comes faster than about 256 kB per
        second is left out, with a note; `stdout` has it.

        >>> with rc[1].apply_async(print, "hello").stream_output() as stream:
        ...     n = rc[1].apply_sync(abs, -1)
        [stdout:1] hello
        """
        from hippodrome.client.looks.viewer import OutputStream

        return OutputStream(self._tasks)

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

        >>> view.apply_async(print, "hello").display_outputs()
        [stdout:0] hello
        [stdout:1] hello
        """
        from hippodrome.client.looks.viewer import display_outputs

        self.wait_for_output()
        display_outputs(self._tasks, groupby, result_only, is_named=not self._single)

    @property
    def sent(self) -> bool:
        """Whether the buffers of the arguments are surely not needed any more.

        So it is at once where they have been copied: into a pickle, or into shared memory.

        >>> lbv.apply_async(abs, -2).sent
        True
        """
        return not self._borrows or self.done()

    def wait_for_send(self, timeout: float | None = -1) -> bool:
        """Wait until `sent`.

        Raises:
            TimeoutError: not within *timeout* seconds.

        >>> lbv.apply_async(abs, -2).wait_for_send(10)
        True
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

        >>> lbv.apply_async(abs, -2).wait_interactive(timeout=10)
        """
        from hippodrome.client.looks import progress

        work = progress.Work(self._wait_for(return_when), lambda: self.progress)
        progress.check_times(interval, timeout)
        self._check_may_wait()
        bar = progress.bar_of_items(self._about.name, work, len(self), widget)
        progress.wait_showing(work, bar, interval, timeout, self._client._io)

    # ---- aborting

    def abort(self) -> None:
        """Keep the tasks from starting that have not; these end with `TaskAborted`.

        Raises:
            RuntimeError: all have ended.

        >>> import time
        >>> busy, idle = [rc[0].apply_async(time.sleep, 60) for _ in range(2)]
        >>> idle.abort()
        >>> idle.exception()
        <TaskAborted[0]:...>
        >>> busy.interrupt()
        """
        if self.done():
            raise RuntimeError(f"{self!r} has ended, there is nothing to abort")
        self._client.abort(self, block=False)

    def interrupt(self) -> None:
        """Abort the tasks that have not started, and raise KeyboardInterrupt in those that run.

        Nothing else that the engines do is touched. A task that is interrupted ends with a
        `RemoteError`, unless it catches that.

        >>> import time
        >>> ar = rc[0].apply_async(time.sleep, 60)
        >>> ar.interrupt()
        >>> ar.wait(10)
        True
        """
        self._client._io.post(AbortRequested(tuple(self.msg_ids), interrupt=True))

    def cancel(self, interrupt: bool = False) -> bool:
        """Give the result up, and abort the tasks that have not started.

        Args:
            interrupt: also raise KeyboardInterrupt in those that run; so it does after `cancel()`.

        Returns:
            False if it has ended otherwise before.

        >>> import time
        >>> rc[0].apply_async(time.sleep, 60).cancel(interrupt=True)
        True
        """
        has_ended = not self._end(CANCELLED_AND_NOTIFIED)
        if has_ended and not (interrupt and self.cancelled()):
            return self.cancelled()
        with suppress(ClusterError):  # without a controller there is nothing to abort
            if interrupt:
                self.interrupt()
            else:
                self._client.abort(self, block=False)
        return True

    # ---- results

    def get_dict(self, timeout: float | None = -1) -> dict[int, Any]:
        """Wait, and return the results by engine id.

        Raises:
            ValueError: there is not one result for each engine.

        >>> view.apply_async(abs, -2).get_dict(10)
        {0: 2, 1: 2}
        """
        results = self.get(timeout)
        engines = [self._details.metadata(i)["engine_id"] for i in range(self._n_tasks)]
        values = [results] if self._single else cast("list[Any]", results)
        if len(set(engines)) != len(values):
            raise ValueError(f"an engine has several results of {self!r}: use get(), not a dict")
        return dict(zip(engines, values, strict=True))

    @property
    def result_dict(self) -> dict[int, Any]:
        """The results by engine id.

        >>> view.apply_async(abs, -2).result_dict
        {0: 2, 1: 2}
        """
        return self.get_dict()

    @property
    def raw(self) -> list[tuple[bytes, tuple[Buffer, ...]] | None]:
        """Pickle and buffers of each task's result as they came, None where none has come.

        >>> len(view.apply_async(abs, -2).raw)
        2
        """
        slots = self._tasks.slots
        return [None if slot is None else (slot.result.payload, (*slot.buffers,)) for slot in slots]

    def __iter__(self) -> Iterator[Any]:
        if self._single:
            raise TypeError(f"{self!r} is a single result and cannot be iterated")
        return self._iterate()

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._single:
            raise TypeError(f"{self!r} is a single result: await it")
        from hippodrome.client.results import async_iteration  # a blocking program does without

        return async_iteration.iterate(
            self, self._tasks, self._place, lambda i: self._items(i, self._settled(i))
        )

    # ---- parts and wholes

    def split(self) -> tuple[AsyncResult[Any], ...]:
        """Return one AsyncResult for each task.

        >>> [part.get(10) for part in view.apply_async(abs, -2).split()]
        [2, 2]
        """
        if self._n_tasks == 1 and self._single:
            return (self,)
        if self._parts is None:
            parts = tuple(map(self._part, range(self._n_tasks)))
            with sharing:  # of threads that come at the same time, one makes them for all
                self._parts = self._parts or parts
        return self._parts

    def _part(self, index: int) -> AsyncResult[Any]:
        about = self._about
        part: AsyncResult[Any] = AsyncResult(
            self._client, [self.msg_ids[index]], about.fname, single=True
        )
        part._about = part._tasks.about = about.of_task(index)
        pass_on(self, index, part, 0)
        return part

    @classmethod
    def join(cls, *async_results: AsyncResult[Any]) -> AsyncResult[list[Any]]:
        """Return one AsyncResult for the tasks of several.

        Raises:
            ValueError: there are none.

        >>> ipp.AsyncResult.join(*(lbv.apply_async(abs, n) for n in (-1, -2))).get(10)
        [1, 2]
        """
        if not async_results:
            raise ValueError("join needs at least one AsyncResult")
        first = async_results[0]
        msg_ids = list(chain.from_iterable(ar.msg_ids for ar in async_results))
        joined: AsyncResult[list[Any]] = AsyncResult(
            first._client, msg_ids, first._about.fname, single=False
        )
        number = 0
        joined._about.begin_with(ar._about for ar in async_results)
        for ar in async_results:
            for index in range(len(ar.msg_ids)):
                pass_on(ar, index, joined, number)
                number += 1
        return joined

    # ---- metadata

    @property
    def metadata(self) -> Metadata | list[Metadata]:
        """The metadata that is known of the task now, or a list of them.

        >>> ar = lbv.apply_async(abs, -2)
        >>> ar.wait(10) and ar.metadata.status
        'ok'
        """
        found = list(map(self._details.metadata, range(self._n_tasks)))
        return found[0] if self._single else found

    @property
    def data(self) -> Any:
        """The values that the task has published until now, by name, or a list for each task.

        It is complete when the result is there. A value that cannot be unpickled here is
        replaced by the error that says why.

        >>> lbv.apply_async(abs, -2).data
        {}
        """
        found = list(map(self._tasks.data_of, range(self._n_tasks)))
        return found[0] if self._single else found

    def __getitem__(self, key: Any) -> Any:
        """Return metadata by its name, or results by index or slice, waiting for these."""
        if isinstance(key, str):
            if key not in KEYS:
                raise no_metadata(key)
            values = [self._details.metadata(i)[key] for i in range(self._n_tasks)]
            return values[0] if self._single else values
        if self._single:
            raise TypeError(f"{self!r} is a single result: use get()")
        if isinstance(key, slice):
            return list(map(self._value_of, range(*key.indices(self._n_tasks))))
        return self._value_of(position(key, self._n_tasks))

    def __getattr__(self, name: str) -> Any:
        if name in KEYS:
            return self[name]
        own = getattr(type(self), name, None)
        if isinstance(own, property):  # its task raised an AttributeError: that is the one to show
            return own.__get__(self)
        if not name.startswith("_") and hints.knows(self, name):
            hints.missing(self, name)
        return super().__getattr__(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *KEYS})

    # ---- times

    @property
    def serial_time(self) -> float:
        """Seconds that the tasks ran, all together.

        Raises:
            TimeoutError: some have not ended.

        >>> ar = lbv.apply_async(abs, -2)
        >>> ar.wait(10) and ar.serial_time < ar.wall_time + 1.0
        True
        """
        self._check_done()
        return self._tasks.serial_s()

    @property
    def wall_time(self) -> float:
        """Seconds from submission until the last result came.

        Raises:
            TimeoutError: some have not ended.

        >>> ar = lbv.apply_async(abs, -2)
        >>> ar.wait(10) and 0.0 <= ar.wall_time < 10.0
        True
        """
        self._check_done()
        return self._tasks.wall_s()

    def timedelta(
        self,
        start: datetime | Sequence[datetime],
        end: datetime | Sequence[datetime],
        start_key: Any = min,
        end_key: Any = max,
    ) -> float:
        """Return the seconds between two sets of times, by default the longest span.

        >>> ar = lbv.apply_async(abs, -2)
        >>> ar.wait(10) and ar.timedelta(ar.submitted, ar.received) >= 0.0
        True
        """
        first = start if isinstance(start, datetime) else start_key(start)
        last = end if isinstance(end, datetime) else end_key(end)
        return cast("float", (last - first).total_seconds())

    def timeline(self) -> Figure:
        """Draw which engine did what when, as far as that is known now.

        Returns:
            A figure of matplotlib with a lane for each engine and a bar for each task; if there are
            many of these, several share one.

        Raises:
            ImportError: matplotlib is not installed.

        >>> figure = view.apply_async(abs, -2).timeline()
        """
        from hippodrome.client.looks.panels import draw

        return draw(self._looks())


def position(key: Any, length: int) -> int:
    """Return the place in a list of results that *key* means.

    Raises:
        IndexError: there are fewer.
        TypeError: *key* is no int.
    """
    try:
        place: int = range(length)[key]
    except IndexError:
        raise IndexError(f"there is no result {key}: there are {length}") from None
    except TypeError:
        raise TypeError(
            f"use an int or a slice for results, or a str for metadata, not {key!r}"
        ) from None
    return place
