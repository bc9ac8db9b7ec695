"""A future with one slot for each task of a call.

Results are put into their slots as they came, on the I/O thread; they are decoded by the thread
that asks for them, once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from msgspec.structs import replace

from hippodrome.client.results.codec import decode
from hippodrome.client.results.future import LazyFuture
from hippodrome.client.results.outputs import LiveOutput, with_last_words
from hippodrome.client.results.published import PublishedValues
from hippodrome.client.sources import with_sources
from hippodrome.errors import CompositeError, ControllerLost
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Datum, EngineId, MsgId, Options, Piece, Result
from hippodrome.serialize.executereply import ExecuteReply

if TYPE_CHECKING:
    from hippodrome.client.client import Client

Value = Any  # whatever a task returned
Slot = tuple[Result, Sequence[Buffer], float]
Outcome = tuple[Value, Exception | None]


sharing: AbstractContextManager[object] = threading.Lock()  # what several results share

JUMP_S: Final = 1.0  # a clock that has moved by more than time did was set meanwhile


def _steady() -> float:
    """Return seconds on a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(_STEADY)


_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Viewer(Protocol):
    """Is told what tasks show, on the I/O thread."""

    def put(self, index: int, piece: Piece) -> None:
        """Task *index* shows something."""

    def end(self, index: int) -> None:
        """Task *index* has ended."""


class SlotFuture(LazyFuture[Value]):
    """Ends when every slot is filled.

    Args:
        client: whose tasks these are.
        msg_ids: one for each task.
        fname: the name of the function, for people.
        single: whether the one slot's value is the result, rather than a list.
    """

    owner = True
    _watchers = 0
    _n_failed = 0
    _method = ""  # what engines were asked to do, if that is not what the call is named by
    _is_given_up = False  # whether what is aborted before it started counts as cancelled
    _end_state = FINISHED
    _borrows = False  # memory of the caller's, from which arguments may be sent until the end
    _label = ""
    _targets: Sequence[EngineId] | None = None
    _options: Options | None = None
    _values: list[Outcome | None] | None = None
    _own_items: range | None = None  # of a map, if this is one of its tasks
    _arrived: list[int] | None = None  # indices in the order of arrival, where that matters
    _listeners: dict[int, list[tuple[SlotFuture, int]]] | None = None
    _live: dict[int, LiveOutput] | None = None
    _viewers: tuple[Viewer, ...] = ()
    _published: dict[int, PublishedValues] | None = None

    def __init__(self, client: Client, msg_ids: list[MsgId], fname: str, *, single: bool) -> None:
        self._client = client
        self.msg_ids = msg_ids
        self._fname = fname
        self._single = single
        self._submitted = time.time()
        self._clock = self._submitted - _steady()  # how the wall clock went then
        self._slots: list[Slot | None] = [None] * len(msg_ids)
        self._left = len(msg_ids)
        if not msg_ids:
            self._end(FINISHED)

    def note_sending(self, given: Sequence[Buffer], used: Sequence[Buffer]) -> None:
        """Note whether any of the buffers that were *given* is among those that are *used*."""
        if any(one is other for one, other in zip(given, used, strict=True)):
            self._borrows = True

    # ---- results come

    def deliver(
        self, index: int, result: Result, buffers: Sequence[Buffer], received: float
    ) -> None:
        """Take the result of task *index*; the first one counts. On the I/O thread."""
        if self._slots[index] is None:
            self._fill(index, (result, buffers, self._came_at(received)))
            if self._left or self._listeners is not None:
                self._tell(index)
            else:
                self._end(self._end_state)

    def deliver_all(
        self, indices: Sequence[int], results: Sequence[Result], received: float
    ) -> None:
        """Take many results at once that are not errors and have no buffers; see `deliver`."""
        slots, arrived, received = self._slots, self._arrived, self._came_at(received)
        new = [i for i in indices if slots[i] is None]
        for index, result in zip(indices, results, strict=True):
            if slots[index] is None:
                slots[index] = (result, (), received)
        if arrived is not None:
            arrived += new
        self._left -= len(new)
        for viewer in self._viewers:
            for index in new:
                viewer.end(index)
        if self._listeners is not None:  # asked last: who comes now finds the slots filled
            for index in new:
                self._tell(index)
        self._wake()

    def _passed_s(self) -> float:
        """How many seconds have passed since the call was submitted, whatever clocks say."""
        return _steady() + self._clock - self._submitted

    def _came_at(self, received: float) -> float:
        """Return when something came that came just now, by the clock as it was at submission."""
        by_now = self._submitted + self._passed_s()
        return received if abs(received - by_now) < JUMP_S else by_now

    def pass_on(self, index: int, listener: SlotFuture, number: int) -> None:
        """Deliver what comes, or has come, for task *index* to *listener* too, as *number*."""
        with sharing:
            if self._listeners is None:
                self._listeners = {}
            self._listeners.setdefault(index, []).append((listener, number))
            if self._published is not None and index in self._published:
                listener._share(number, self._published[index])
        slot = self._slots[index]
        if slot is not None:
            listener._overhear(number, slot)

    def _overhear(self, index: int, slot: Slot) -> None:
        """Take a result from another future: on any thread, perhaps on two at once."""
        with sharing:
            if self._slots[index] is not None:
                return
            self._fill(index, slot)
        self._tell(index)

    def _fill(self, index: int, slot: Slot) -> None:
        live = self._live.get(index) if self._live is not None else None
        if live is not None and slot[0].status == "lost":
            slot = (with_last_words(slot[0], live), *slot[1:])
        self._slots[index] = slot
        if self._live is not None:
            self._live.pop(index, None)
        if self._arrived is not None:
            self._arrived.append(index)
        if slot[0].status != "ok":
            self._n_failed += 1
            if self._is_given_up and slot[0].status == "aborted":
                self._end_state = CANCELLED_AND_NOTIFIED
        self._left -= 1
        for viewer in self._viewers:  # last, as they may look
            viewer.end(index)

    def show(self, index: int, piece: Piece, engine: EngineId | None) -> None:
        """Task *index*, which runs on *engine*, shows something. On the I/O thread."""
        with sharing:
            if self._live is None:
                self._live = {}
            self._live.setdefault(index, LiveOutput()).add(piece, engine)
            listeners = list(self._listeners.get(index, ())) if self._listeners else []
        for viewer in self._viewers:
            viewer.put(index, piece)
        for listener, number in listeners:
            listener.show(number, piece, engine)

    def publish(self, index: int, datum: Datum, buffers: Sequence[Buffer]) -> None:
        """Task *index* publishes something. On the I/O thread."""
        with sharing:
            published = self._published.get(index) if self._published is not None else None
            if published is None:
                published = PublishedValues()
                self._share(index, published)
        published.add(datum, buffers)

    def _share(self, index: int, published: PublishedValues) -> None:
        """Let task *index* have published this, here and for listeners; `sharing` is held."""
        if self._published is None:
            self._published = {}
        self._published[index] = published
        for listener, number in self._listeners.get(index, ()) if self._listeners else ():
            listener._share(number, published)

    def add_viewer(self, viewer: Viewer) -> None:
        """Tell *viewer* what tasks show from now on."""
        with sharing:
            self._viewers = (*self._viewers, viewer)

    def remove_viewer(self, viewer: Viewer) -> None:
        """Tell it nothing any more."""
        with sharing:
            self._viewers = tuple(one for one in self._viewers if one is not viewer)

    def result_of(self, index: int) -> Result | None:
        """Return how task *index* ended, None if it has not."""
        slot = self._slots[index]
        return None if slot is None else slot[0]

    def engine_of(self, index: int) -> EngineId | None:
        """Return which engine runs, or ran, task *index*, if that is known."""
        result = self.result_of(index)
        if result is not None and result.engine is not None:
            return result.engine
        if self._targets is not None:
            return self._targets[index]
        live = self._live.get(index) if self._live is not None else None
        return None if live is None else live.engine

    def _tell(self, index: int) -> None:
        """Tell everybody who waits for the slot that has just been filled."""
        if self._listeners is not None:
            slot = self._slots[index]
            assert slot is not None
            for listener, number in self._listeners.get(index, ()):
                listener._overhear(number, slot)
        self._wake()

    def _wake(self) -> None:
        """Wake whoever waits for all slots, or for any."""
        if not self._left:
            self._end(self._end_state)
        elif self._watchers:
            with self._condition:
                self._condition.notify_all()

    def _has_failed(self) -> bool:
        return self._n_failed > 0

    # ---- waiting

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
            self._tell_who_goes_on(error)
            raise

    def _tell_who_goes_on(self, error: KeyboardInterrupt) -> None:
        """Say in a note on *error* what becomes of tasks that are not waited for any more."""

    def _wait_once(self, condition: threading.Condition, timeout: float | None) -> None:
        self._client._io.wait_on(condition, timeout)

    def _check_may_wait(self) -> None:
        self._client._io.check_may_wait()

    # ---- decoding

    def _decoded(self, index: int) -> Outcome:
        """Return value and error of a task that has ended, decoding it the first time."""
        values = self._values
        if values is None:
            with sharing:  # threads that come at the same time get the same list
                values = self._values = self._values or [None] * len(self._slots)
        found = values[index]
        if found is None:
            slot = self._slots[index]
            assert slot is not None
            result = slot[0]
            if result.failure is not None:
                result = replace(result, failure=with_sources(result.failure))
            decoded = decode(result, slot[1], self._engine_info, index)
            if type(decoded[0]) is ExecuteReply:
                decoded[0].describe(self._metadata(index))
            with sharing:  # and the same value, that of the first one
                found = values[index] = values[index] or decoded
        return found

    def _metadata(self, index: int) -> Mapping[str, Any]:
        """Return what is known of a task."""
        raise NotImplementedError

    def _let_go(self, index: int) -> None:
        """Do not keep the value of a task, which nobody will ask for again."""
        if self._values is not None:
            self._values[index] = None

    def _value_or_error(self, index: int) -> Value:
        value, error = self._decoded(index)
        return value if error is None else error

    def _failure(self) -> Exception:
        if self._single:
            return cast("Exception", self._decoded(0)[1])
        ended = [i for i, slot in enumerate(self._slots) if slot is not None]
        errors = [error for i in ended if (error := self._decoded(i)[1]) is not None]
        lost = next((error for error in errors if isinstance(error, ControllerLost)), None)
        if lost is not None:
            return lost
        message = f"{len(errors)} of {len(self._slots)} tasks of {self._fname} failed"
        return CompositeError(message, errors)

    def _engine_info(self, result: Result, index: int) -> dict[str, Any]:
        """Return what errors tell of a task: who ran it, and what it was of the call."""
        engine = {} if result.engine is None else self._client._io.describe(result.engine)
        at = None if result.failure is None else result.failure.item
        return (
            engine
            | {"method": self._method or self._fname}
            | place_in_map(self._items_at(index), at)
        )

    def _items_at(self, index: int) -> range | None:
        """Return which items of a map a task has; None if that is not known."""
        return self._own_items

    @property
    def raw(self) -> list[tuple[bytes, tuple[Buffer, ...]] | None]:
        """Pickle and buffers of each task's result as they came, None where none has come."""
        return [None if slot is None else (slot[0].payload, (*slot[1],)) for slot in self._slots]

    def _value_of(self, index: int, deadline: float | None = None) -> Value:
        """Wait for one task, and return its result or raise its error."""
        self._await(lambda: self._slots[index] is not None, deadline)
        return self._settled(index)

    def _settled(self, index: int) -> Value:
        if self.owner:
            self._client._forget(self.msg_ids[index : index + 1])
        self._check_not_given_up(index)
        value, error = self._decoded(index)
        if error is not None:
            raise error.with_traceback(None)  # not that of an earlier call too
        return value

    def _check_not_given_up(self, index: int) -> None:
        """Raise CancelledError if a task was aborted because its result was cancelled."""
        slot = self._slots[index]
        if slot is not None and slot[0].status == "aborted" and self.cancelled():
            raise CancelledError

    def _await(self, is_there: Callable[[], bool], deadline: float | None) -> None:
        left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        self._wait_watching(is_there, left_s)
        if not is_there():
            raise CancelledError if self.done() else TimeoutError(f"{self!r} is late")


def place_in_map(items: range | None, at: int | None) -> dict[str, Any]:
    """Return what errors tell of their place in a map.

    Args:
        items: those of the task.
        at: which of them it was, as the engine says, counted from 0; None if it does not.
    """
    if not items:
        return {}
    if at is None and len(items) > 1:
        return {"items": (items[0], items[-1])}
    place = 0 if at is None else at
    return {"item": items[place]} if 0 <= place < len(items) else {}
