"""The result of a call that has been submitted: a future with one slot for each of its tasks.

Results are put into their slots as they came, on the I/O thread; they are decoded by the thread
that asks for them, once. A call of many tasks is one object with many slots, not many futures;
futures of its single tasks are made when somebody wants them (`AsyncResult.split`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_EXCEPTION, CancelledError
from concurrent.futures import wait as wait_for_futures
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from hippodrome.client.chunk import Raised
from hippodrome.client.codec import decode
from hippodrome.client.future import LazyFuture
from hippodrome.client.metadata import KEYS, Metadata, as_time
from hippodrome.errors import CompositeError, ControllerLost
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import EngineId, MsgId, Options, Result
from hippodrome.serialize import restore_error

if TYPE_CHECKING:
    import threading

    from hippodrome.client.client import Client

Value = Any  # whatever a task returned
_Slot = tuple[Result, Sequence[Buffer], float]
_Outcome = tuple[Value, BaseException | None]


class AsyncResult(LazyFuture[Value]):
    """The result, now or later, of one call.

    A `concurrent.futures.Future` in every respect, which can also be awaited.

    Attributes:
        msg_ids: one for each task.
        owner: whether fetching the result drops it from the client's cache.
    """

    owner = True
    _watchers = 0
    _n_failed = 0
    _received = 0.0
    _label = ""
    _targets: Sequence[EngineId] | None = None
    _options: Options | None = None
    _values: dict[int, _Outcome] | None = None
    _listeners: dict[int, list[tuple[AsyncResult, int]]] | None = None
    _parts: tuple[AsyncResult, ...] | None = None

    def __init__(self, client: Client, msg_ids: list[MsgId], fname: str, *, single: bool) -> None:
        self._client = client
        self.msg_ids = msg_ids
        self._fname = fname
        self._single = single
        self._submitted = time.time()
        self._slots: list[_Slot | None] = [None] * len(msg_ids)
        self._left = len(msg_ids)
        if not msg_ids:
            self._end(FINISHED)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._fname}): {self._progress_word()}>"

    def _progress_word(self) -> str:
        if self.cancelled():
            return "cancelled"
        if not self.done():
            return "pending"
        return "failed" if self._n_failed else "finished"

    # ---- on the I/O thread

    def deliver(
        self, index: int, result: Result, buffers: Sequence[Buffer], received: float
    ) -> None:
        """Take the result of task *index*; the first one counts."""
        slots = self._slots
        if slots[index] is not None:
            return
        slots[index] = (result, buffers, received)
        if result.status != "ok":
            self._n_failed += 1
        self._left -= 1
        if self._listeners is not None:
            for listener, number in self._listeners.pop(index, ()):
                listener.deliver(number, result, buffers, received)
        if not self._left:
            self._received = received
            self._end(FINISHED)
        elif self._watchers:
            with self._condition:
                self._condition.notify_all()

    def pass_on(self, index: int, listener: AsyncResult, number: int) -> None:
        """Deliver what comes, or has come, for task *index* to *listener* too, as *number*."""
        if self._listeners is None:
            self._listeners = {}
        self._listeners.setdefault(index, []).append((listener, number))
        slot = self._slots[index]
        if slot is not None:
            listener.deliver(number, *slot)

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
            CancelledError: it was cancelled.
        """
        if return_when == FIRST_EXCEPTION and not return_exceptions:
            self._wait_watching(lambda: self._n_failed > 0, timeout)
            if self._n_failed and not self.done():
                raise self._failure()
        if not return_exceptions:
            return self.result(timeout)
        if not self._wait_until(self.done, timeout):
            raise TimeoutError(f"{self!r} has not ended within {timeout} s")
        if self.cancelled():
            raise CancelledError
        return self._shape([self._value_or_error(i) for i in range(len(self._slots))])

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
        return not self._n_failed and not self.cancelled()

    def wait_for_output(self, timeout: float | None = -1) -> bool:
        """Wait until the output is complete; it comes with the results."""
        return bool(self.wait(timeout))

    @property
    def sent(self) -> bool:
        """Whether the buffers of the arguments are surely not needed any more."""
        return self.done()

    def wait_for_send(self, timeout: float | None = -1) -> bool:
        """Wait until `sent`.

        Raises:
            TimeoutError: not within *timeout* seconds.
        """
        if not self.wait(timeout):
            raise TimeoutError(f"{self!r} was not sent within {timeout} s")
        return True

    def wait_interactive(
        self,
        interval: float = 0.1,
        timeout: float | None = -1,
        widget: bool | None = None,
        return_when: str = ALL_COMPLETED,
    ) -> bool:
        """Wait, with a progress bar in a terminal or notebook.

        Args:
            interval: seconds between updates.
            timeout: seconds; None or a negative number waits for as long as it takes.
            widget: whether to use a notebook's widget; None finds out.
            return_when: ``FIRST_EXCEPTION`` stops as soon as one task has failed.
        """
        from hippodrome.client.progress import wait_with_bar

        return wait_with_bar(self, interval, timeout, widget, return_when)

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

    def _wait_once(self, condition: threading.Condition, timeout: float | None) -> None:
        self._client._io.wait_on(condition, timeout)

    def _check_may_wait(self) -> None:
        self._client._io.check_may_wait()

    # ---- aborting

    def abort(self) -> None:
        """Keep the tasks from starting that have not; these end with `TaskAborted`.

        Raises:
            RuntimeError: all have ended.
        """
        if self.done():
            raise RuntimeError(f"{self!r} has ended, there is nothing to abort")
        self._client.abort(self, block=False)

    def cancel(self) -> bool:
        """Give the result up, and abort the tasks that have not started.

        Returns:
            False if it has ended before.
        """
        if not self._end(CANCELLED_AND_NOTIFIED):
            return self.cancelled()
        if not self._client._io.is_over:
            self._client.abort(self, block=False)
        return True

    # ---- results

    def _outcome(self) -> _Outcome:
        if self.owner:
            self._client._io.forget(self.msg_ids)
        if self._single:
            return self._decoded(0)
        if self._n_failed:
            return None, self._failure()
        outcomes = [self._decoded(i) for i in range(len(self._slots))]
        if any(error is not None for _, error in outcomes):
            return None, self._failure()
        return self._shape([value for value, _ in outcomes]), None

    def _decoded(self, index: int) -> _Outcome:
        """Return value and error of a task that has ended, decoding it the first time."""
        if self._values is None:
            self._values = {}
        found = self._values.get(index)
        if found is None:
            slot = self._slots[index]
            assert slot is not None
            found = self._values[index] = decode(slot[0], slot[1], self._engine_info(slot[0]))
        return found

    def _value_or_error(self, index: int) -> Value:
        value, error = self._decoded(index)
        return value if error is None else error

    def _failure(self) -> BaseException:
        if self._single:
            return cast("BaseException", self._decoded(0)[1])
        ended = [i for i, slot in enumerate(self._slots) if slot is not None]
        errors = [error for i in ended if (error := self._decoded(i)[1]) is not None]
        lost = next((error for error in errors if isinstance(error, ControllerLost)), None)
        if lost is not None:
            return lost
        message = f"{len(errors)} of {len(self._slots)} tasks of {self._fname} failed"
        return CompositeError(message, cast("list[Exception]", errors))

    def _shape(self, values: list[Value]) -> Value:
        return values[0] if self._single else values

    def _engine_info(self, result: Result) -> dict[str, Any]:
        if result.engine is None:
            return {"method": self._fname}
        return self._client._io.describe(result.engine) | {"method": self._fname}

    @property
    def raw(self) -> list[tuple[bytes, tuple[Buffer, ...]] | None]:
        """Pickle and buffers of each task's result as they came, None where none has come."""
        return [None if slot is None else (slot[0].payload, (*slot[1],)) for slot in self._slots]

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

    def _value_of(self, index: int) -> Value:
        """Wait for one task, and return its result or raise its error."""
        self._await(lambda: self._slots[index] is not None)
        return self._settled(index)

    def _settled(self, index: int) -> Value:
        value, error = self._decoded(index)
        if error is not None:
            raise error
        return value

    def _await(self, is_there: Callable[[], bool]) -> None:
        self._wait_watching(is_there, None)
        if not is_there():
            raise CancelledError

    def split(self) -> tuple[AsyncResult, ...]:
        """Return one AsyncResult for each task."""
        if len(self._slots) == 1 and self._single:
            return (self,)
        if self._parts is None:
            self._parts = tuple(self._part(i) for i in range(len(self._slots)))
        return self._parts

    def _part(self, index: int) -> AsyncResult:
        part = AsyncResult(self._client, [self.msg_ids[index]], self._fname, single=True)
        part._copy_description(self, index)
        self.pass_on(index, part, 0)
        return part

    def _copy_description(self, other: AsyncResult, index: int) -> None:
        self._submitted = other._submitted
        self._label = other._label
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
        joined._submitted = min(ar._submitted for ar in async_results)
        number = 0
        for ar in async_results:
            for index in range(len(ar.msg_ids)):
                ar.pass_on(index, joined, number)
                number += 1
        return joined

    # ---- metadata

    @property
    def metadata(self) -> Metadata | list[Metadata]:
        """What is known of the task now, or a list of that."""
        found = [self._metadata(i) for i in range(len(self._slots))]
        return found[0] if self._single else found

    def _metadata(self, index: int) -> Metadata:
        options = self._options
        known: dict[str, Any] = {
            "msg_id": self.msg_ids[index],
            "submitted": as_time(self._submitted),
            "label": self._label,
            "after": options.after.msg_ids if options and options.after else None,
            "follow": options.follow.msg_ids if options and options.follow else None,
        }
        slot = self._slots[index]
        if slot is None:
            if self._targets is not None:
                known["engine_id"] = self._targets[index]
            return Metadata(known)
        result, _, received = slot
        info = {} if result.engine is None else self._client._io.describe(result.engine)
        return Metadata(
            known
            | {
                "status": result.status,
                "started": as_time(result.started),
                "completed": as_time(result.completed),
                "received": as_time(received),
                "engine_id": result.engine,
                "engine_uuid": info.get("engine_uuid"),
                "stdout": result.stdout,
                "stderr": result.stderr,
                "error": self._decoded(index)[1],
            }
        )

    def __getitem__(self, key: Any) -> Any:
        """Return metadata by its name, or results by index or slice, waiting for these."""
        if isinstance(key, str):
            if key not in KEYS:
                raise KeyError(f"no metadata {key!r}; there are {', '.join(KEYS)}")
            values = [self._metadata(i)[key] for i in range(len(self._slots))]
            return values[0] if self._single else values
        if self._single:
            raise TypeError(f"{self!r} is a single result: use get()")
        if isinstance(key, slice):
            return [self._value_of(i) for i in range(*key.indices(len(self._slots)))]
        return self._value_of(range(len(self._slots))[key])

    def __getattr__(self, name: str) -> Any:
        if name in KEYS:
            return self[name]
        return super().__getattr__(name)

    # ---- times

    @property
    def progress(self) -> int:
        """How many items have ended."""
        return len(self._slots) - self._left

    @property
    def elapsed(self) -> float:
        """Seconds since submission; once all is done, until the last result came."""
        return (self._received if self.done() and self._received else time.time()) - self._submitted

    @property
    def serial_time(self) -> float:
        """Seconds that the tasks ran, all together.

        Raises:
            TimeoutError: some have not ended.
        """
        return sum(result.completed - result.started for result, _, _ in self._all_slots())

    @property
    def wall_time(self) -> float:
        """Seconds from submission until the last result came.

        Raises:
            TimeoutError: some have not ended.
        """
        self._all_slots()
        return self._received - self._submitted

    def _all_slots(self) -> list[_Slot]:
        if not self.done():
            raise TimeoutError(f"{self!r} is not ready")
        return [slot for slot in self._slots if slot is not None]

    def timedelta(
        self,
        start: datetime | Sequence[datetime],
        end: datetime | Sequence[datetime],
        start_key: Any = min,
        end_key: Any = max,
    ) -> float:
        """Return the seconds between two sets of times, by default the longest span."""
        first = start if isinstance(start, datetime) else start_key(start)
        last = end if isinstance(end, datetime) else end_key(end)
        return cast("float", (last - first).total_seconds())


class AsyncMapResult(AsyncResult):
    """The result of a map: an item for each call, iterable as results arrive.

    Args:
        sizes: how many items each task has; None if each task is an item.
        ordered: whether iteration keeps the order of submission.
        return_exceptions: whether errors take the place of results.
    """

    def __init__(
        self,
        client: Client,
        msg_ids: list[MsgId],
        fname: str,
        *,
        sizes: Sequence[int] | None = None,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> None:
        self._sizes = sizes
        self.ordered = ordered
        self.return_exceptions = return_exceptions
        self._arrived: list[int] = []
        super().__init__(client, msg_ids, fname, single=False)

    def deliver(
        self, index: int, result: Result, buffers: Sequence[Buffer], received: float
    ) -> None:
        """Take the result of task *index*; the first one counts."""
        if self._slots[index] is None:
            self._arrived.append(index)
            super().deliver(index, result, buffers, received)

    def __len__(self) -> int:
        return len(self._slots) if self._sizes is None else sum(self._sizes)

    @property
    def progress(self) -> int:
        """How many items have ended."""
        if self._sizes is None:
            return len(self._slots) - self._left
        ended = zip(self._slots, self._sizes, strict=True)
        return sum(size for slot, size in ended if slot is not None)

    def get(
        self,
        timeout: float | None = None,
        return_exceptions: bool | None = None,
        return_when: str | None = None,
    ) -> Value:
        """Wait, and return the list of items; see `AsyncResult.get`."""
        if return_exceptions is None:
            return_exceptions = self.return_exceptions
        return super().get(timeout, return_exceptions, return_when)

    def _outcome(self) -> _Outcome:
        if not self.return_exceptions:
            return super()._outcome()
        if self.owner:
            self._client._io.forget(self.msg_ids)
        return self._shape([self._value_or_error(i) for i in range(len(self._slots))]), None

    def _shape(self, values: list[Value]) -> Value:
        if self._sizes is None:
            return values
        return list(chain.from_iterable(map(self._items, range(len(values)), values)))

    def _items(self, index: int, value: Value) -> Sequence[Value]:
        """Return the items of one task; its error stands for each of them."""
        if self._sizes is None:
            return [value]
        if isinstance(value, BaseException):
            return [value] * self._sizes[index]
        if not self.return_exceptions:
            return cast("Sequence[Value]", value)
        return [self._restored(index, item) for item in value]

    def _restored(self, index: int, item: Value) -> Value:
        """Return an element of a chunk; its error, if its call raised."""
        if not isinstance(item, Raised):
            return item
        slot = self._slots[index]
        return restore_error(item.failure, self._engine_info(slot[0]) if slot else None)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) or self._sizes is None:
            return super().__getitem__(key)
        return self.get()[key]

    def __iter__(self) -> Iterator[Value]:
        for index in self._arrivals():
            yield from self._items(index, self._value_of(index))

    def _settled(self, index: int) -> Value:
        return self._value_or_error(index) if self.return_exceptions else super()._settled(index)

    def _arrivals(self) -> Iterator[int]:
        """Yield task numbers, each once its result is there: in order, or as they come."""
        if self.ordered:
            yield from range(len(self._slots))
            return
        for number in range(len(self._slots)):
            self._await(lambda number=number: len(self._arrived) > number)
            yield self._arrived[number]
