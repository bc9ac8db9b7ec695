"""What has come of the tasks of a call, as it came: results, output, published values.

It is put here on the I/O thread, and looked at on any. Whoever waits for it is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import msgspec

from hippodrome.client.results.description import Description
from hippodrome.client.results.metadata import as_time
from hippodrome.client.results.outputs import LiveOutput, with_last_words
from hippodrome.client.results.published import PublishedValues
from hippodrome.client.results.slot import Slot
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Datum, EngineId, Piece, Result

sharing: Final[AbstractContextManager[object]] = threading.Lock()  # what several results share


class Viewer(Protocol):
    """Is told what tasks show, on the I/O thread."""

    def put(self, index: int, piece: Piece) -> None:
        """Task *index* shows something."""

    def end(self, index: int) -> None:
        """Task *index* has ended."""


class Receiver(Protocol):
    """An `AsyncResult`, as those who deliver know it."""

    _tasks: TaskSlots
    _watchers: int
    _condition: threading.Condition

    def _end(self, state: str) -> bool: ...


class TaskSlots(msgspec.Struct, eq=False):
    """A slot for each task of a call.

    No lock is needed for results: only the I/O thread fills slots, each once, and counts `left`
    down afterwards; so whoever finds that nothing is left finds all slots filled.

    Attributes:
        about: what the call is.
        slots: None where nothing has come.
        left: how many of these there are.
        n_failed: how many have not ended well.
        arrived: indices in the order of arrival, where that matters.
        flaws: tells that a task ended well, but not in all.
        listeners: who is told of a task too, and what number it is there.
        is_given_up: whether what is aborted before it started counts as cancelled.
        end_state: of the future, once nothing is left.
    """

    about: Description
    slots: list[Slot | None]
    left: int
    n_failed: int = 0
    arrived: list[int] | None = None
    flaws: Callable[[Slot], bool] | None = None
    listeners: dict[int, list[tuple[Receiver, int]]] | None = None
    is_given_up: bool = False
    end_state: str = FINISHED
    _live: dict[int, LiveOutput] | None = None
    _viewers: tuple[Viewer, ...] = ()
    _published: dict[int, PublishedValues] | None = None

    # ---- results

    def fill(self, index: int, slot: Slot) -> None:
        """Take the result of a task that has none."""
        live = self._live.get(index) if self._live is not None else None
        if live is not None and slot.result.status == "lost":
            slot.result = with_last_words(slot.result, live)
        self.slots[index] = slot
        if self._live is not None:
            self._live.pop(index, None)
        if self.arrived is not None:
            self.arrived.append(index)
        if slot.result.status != "ok":
            self.n_failed += 1
            if self.is_given_up and slot.result.status == "aborted":
                self.end_state = CANCELLED_AND_NOTIFIED
        self.left -= 1
        for viewer in self._viewers:  # last, as they may look
            viewer.end(index)

    def fill_all(
        self, indices: Sequence[int], results: Sequence[Result], received: float
    ) -> list[int]:
        """Take results that are not errors and have no buffers; return which ones are new."""
        slots, arrived = self.slots, self.arrived
        new = [i for i in indices if slots[i] is None]
        for index, result in zip(indices, results, strict=True):
            if slots[index] is None:
                slots[index] = Slot(result, (), received)
        if arrived is not None:
            arrived += new
        self.left -= len(new)
        for viewer in self._viewers:
            for index in new:
                viewer.end(index)
        return new

    def result_of(self, index: int) -> Result | None:
        """Return how task *index* ended, None if it has not."""
        slot = self.slots[index]
        return None if slot is None else slot.result

    def engine_of(self, index: int) -> EngineId | None:
        """Return which engine runs, or ran, task *index*, if that is known."""
        result = self.result_of(index)
        if result is not None and result.engine is not None:
            return result.engine
        if self.about.targets is not None:
            return self.about.targets[index]
        live = self.live_of(index)
        return None if live is None else live.engine

    def is_flawed(self) -> bool:
        """Whether errors are among the results of tasks that ended well."""
        flaws = self.flaws
        return flaws is not None and any(flaws(slot) for slot in self.slots if slot is not None)

    def wall_s(self) -> float:
        """Return seconds until the last result came; no tasks, or cancelled ones, take none."""
        submitted = self.about.submitted
        came = max((slot.received for slot in self.slots if slot is not None), default=submitted)
        return max(0.0, came - submitted)  # the clocks of two hosts may differ

    def serial_s(self) -> float:
        """Return seconds that the tasks ran, all together."""
        return sum(_run_s(slot.result) for slot in self.slots if slot is not None)

    # ---- what tasks show and publish

    def show(self, index: int, piece: Piece, engine: EngineId | None) -> None:
        """Task *index*, which runs on *engine*, shows something."""
        with sharing:
            if self._live is None:
                self._live = {}
            self._live.setdefault(index, LiveOutput()).add(piece, engine)
            listeners = list(self.listeners.get(index, ())) if self.listeners else []
        for viewer in self._viewers:
            viewer.put(index, piece)
        for listener, number in listeners:
            listener._tasks.show(number, piece, engine)

    def publish(self, index: int, datum: Datum, buffers: Sequence[Buffer]) -> None:
        """Task *index* publishes something."""
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
        for listener, number in self.listeners.get(index, ()) if self.listeners else ():
            listener._tasks._share(number, published)

    def live_of(self, index: int) -> LiveOutput | None:
        """Return what a task has shown that runs."""
        return self._live.get(index) if self._live is not None else None

    def data_of(self, index: int) -> dict[str, Any]:
        """Return what a task has published."""
        published = self._published.get(index) if self._published is not None else None
        if published is None:
            return {}
        result = self.result_of(index)
        return published.values(None if result is None else result.attempt)

    # ---- who is told

    def listen(self, index: int, listener: Receiver, number: int) -> None:
        """Tell *listener* from now on of what comes of task *index*, its number *number*."""
        with sharing:
            if self.listeners is None:
                self.listeners = {}
            self.listeners.setdefault(index, []).append((listener, number))
            if self._published is not None and index in self._published:
                listener._tasks._share(number, self._published[index])

    def add_viewer(self, viewer: Viewer) -> None:
        """Tell *viewer* what tasks show from now on."""
        with sharing:
            self._viewers = (*self._viewers, viewer)

    def remove_viewer(self, viewer: Viewer) -> None:
        """Tell it nothing any more."""
        with sharing:
            self._viewers = tuple(one for one in self._viewers if one is not viewer)


def deliver(
    to: Receiver, index: int, result: Result, buffers: Sequence[Buffer], received: float
) -> None:
    """Deliver the result of task *index*; the first one counts. On the I/O thread."""
    tasks = to._tasks
    if tasks.slots[index] is None:
        tasks.fill(index, Slot(result, buffers, tasks.about.came_at(received)))
        if tasks.left or tasks.listeners is not None:
            _tell(to, index)
        else:
            to._end(tasks.end_state)


def deliver_all(
    to: Receiver, indices: Sequence[int], results: Sequence[Result], received: float
) -> None:
    """Deliver many results at once that are not errors and have no buffers; see `deliver`."""
    tasks = to._tasks
    new = tasks.fill_all(indices, results, tasks.about.came_at(received))
    if tasks.listeners is not None:  # asked last: who comes now finds the slots filled
        for index in new:
            _tell(to, index)
    _wake(to)


def overhear(to: Receiver, index: int, slot: Slot) -> None:
    """Deliver what came for somebody else too: on any thread, perhaps on two at once."""
    with sharing:
        if to._tasks.slots[index] is not None:
            return
        to._tasks.fill(index, Slot(slot.result, slot.buffers, slot.received))
    _tell(to, index)


def pass_on(whole: Receiver, index: int, listener: Receiver, number: int) -> None:
    """Deliver what comes, or has come, for a task of *whole* to *listener* too, as *number*."""
    whole._tasks.listen(index, listener, number)
    slot = whole._tasks.slots[index]
    if slot is not None:
        overhear(listener, number, slot)


def _tell(who: Receiver, index: int) -> None:
    """Tell everybody who waits for the slot that has just been filled."""
    listeners, slot = who._tasks.listeners, who._tasks.slots[index]
    if listeners is not None and slot is not None:
        for listener, number in listeners.get(index, ()):
            overhear(listener, number, slot)
    _wake(who)


def _wake(who: Receiver) -> None:
    """Wake whoever waits for all slots, or for any."""
    if not who._tasks.left:
        who._end(who._tasks.end_state)
    elif who._watchers:
        with who._condition:
            who._condition.notify_all()


def ran_on(result: Receiver, index: int) -> EngineId | None:
    """Return the engine that ran a task last; None if none has, or it has not ended."""
    slot = result._tasks.slots[index]
    return None if slot is None else slot.result.engine


def tasks_of(result: Receiver) -> TaskSlots:
    """Return what has come of the tasks of *result*, for who shows or counts it."""
    return result._tasks


def _run_s(result: Result) -> float:
    """Return how long a task ran; 0.0 if that is not known, or makes no sense."""
    started, completed = as_time(result.started), as_time(result.completed)
    if started is None or completed is None:
        return 0.0
    return max(0.0, result.completed - result.started)
