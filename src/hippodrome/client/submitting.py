"""The one door through which calls leave a client.

All pass it in the same order: whoever waits is told of the result, as Ctrl-C may come from then on;
large buffers are lent to the engines of this host; the tasks are posted; and those that were, and
no others, are entered into histories, however the posting ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from hippodrome.client.history import History
from hippodrome.client.interruption import OwnCalls
from hippodrome.client.link.events import SubmittedBundle, SubmittedDirect, TaskSubmitted
from hippodrome.client.link.io_thread import IOThread
from hippodrome.client.link.outstanding import BYTES_PER_MESSAGE, TASKS_PER_MESSAGE
from hippodrome.client.results.owner import Owner
from hippodrome.client.results.result import AsyncResult
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import EngineId, MsgId, Options
from hippodrome.serialize import Function, FunctionPickler, Pickled, Reference

Books = tuple[History, ...]  # into which tasks are entered


class Dispatch(NamedTuple):
    """A call, for *engines*, each of which has a task of it, or for any one if these are None."""

    function: Function
    call: Pickled
    options: Options | None
    engines: Sequence[EngineId] | None = None


_Post = Callable[[AsyncResult, int], int]  # posts tasks of a result, from a number on; how many


class Submissions:
    """Pickles functions, numbers tasks, posts them, and enters them into histories.

    A result has as many of the `new_ids` as it has tasks, made in one go.

    Args:
        io: where they are posted.
        prefix: what their ids begin with.

    Attributes:
        pickle: pickles a function, or remembers that it has; raises SerializationError.
    """

    def __init__(self, io: IOThread, prefix: str) -> None:
        self.pickle: Callable[[Callable[..., Any] | Reference], Function] = FunctionPickler().pickle
        self._io = io
        self._prefix = prefix
        self._numbers = itertools.count(1)

    def new_ids(self, n: int) -> list[MsgId]:
        """Return *n* ids with consecutive numbers."""
        numbers = list(itertools.islice(self._numbers, n))  # one step of the interpreter
        return [MsgId(f"{self._prefix}{number}") for number in numbers]

    def one(
        self,
        client: Owner,
        function: Function,
        call: Pickled,
        options: Options | None,
        books: Books,
        own: OwnCalls | None = None,
    ) -> AsyncResult:
        """Submit one task and return its result: what `to_any` does, at the least cost."""
        number = next(self._numbers)
        msg_id = MsgId(f"{self._prefix}{number}")
        result = AsyncResult(client, [msg_id], function.name, single=True)
        if options is not None:
            result._about.options, result._about.label = options, options.label
        if own is not None:
            own.add(result)
        n = len(call.buffers)
        task = m.Task(msg_id, function.digest, call.payload, n, options)
        buffers = self._lent(call, result, 0) if n else ()
        self._io.post(TaskSubmitted(task, function.data, buffers, result))
        for book in books:
            book._append_number(number)
        result._era = books[-1]._era
        return result

    def to_any(
        self,
        result: AsyncResult,
        function: Function,
        calls: Sequence[Pickled],
        options: Options | None,
        books: Books,
        own: OwnCalls | None = None,
    ) -> None:
        """Submit a task for each of *calls*, to engines that the scheduler chooses.

        Args:
            result: gets what they return.
            function: is called.
            calls: its arguments.
            options: what the scheduler is told of each.
            books: the histories that are to have them.
            own: the calls of the statement, if that waits for them.
        """
        if options is not None:
            result._about.options, result._about.label = options, options.label
        posts = (partial(self._post_run, function, run, options) for run in _runs(calls))
        self._pass(result, posts, books, own)

    def to_named(
        self,
        result: AsyncResult,
        function: Function,
        calls: Sequence[tuple[Pickled, Sequence[EngineId]]],
        label: str | None,
        books: Books,
        own: OwnCalls | None = None,
    ) -> None:
        """Submit each of *calls* to the engines that go with it; see `to_any`."""
        result._about.targets = [engine for _, engines in calls for engine in engines]
        result._about.label = label or ""
        options = Options(label=label or "")
        dispatches = (Dispatch(function, call, options, engines) for call, engines in calls)
        self._pass(result, (partial(self._post, one) for one in dispatches), books, own)

    def again(
        self, result: AsyncResult, dispatches: Sequence[Dispatch], books: Books, own: OwnCalls
    ) -> None:
        """Submit what has been submitted before; see `to_any`."""
        about = result._about
        about.label = next((one.options.label for one in dispatches if one.options), "")
        if len(dispatches) == 1:
            about.options, about.targets = dispatches[0].options, dispatches[0].engines
        self._pass(result, (partial(self._post, one) for one in dispatches), books, own)
        result._borrows = False  # any memory of the caller's: it came from the hub

    def _pass(
        self, result: AsyncResult, posts: Iterable[_Post], books: Books, own: OwnCalls | None
    ) -> None:
        if own is not None:
            own.add(result)
        n = 0
        try:
            for post in posts:
                n += post(result, n)
        finally:
            if n and books:
                first = int(result.msg_ids[0][len(self._prefix) :])
                for book in books:
                    book._append_numbers(first, n)
                result._era = books[-1]._era

    def _post_run(
        self,
        function: Function,
        run: Sequence[Pickled],
        options: Options | None,
        result: AsyncResult,
        at: int,
    ) -> int:
        if len(run) == 1:
            return self._post_task(function, run[0], options, result, at)
        msg_ids, payloads = result.msg_ids[at : at + len(run)], [call.payload for call in run]
        bundle = m.TaskBundle(msg_ids, function.digest, payloads, options)
        self._io.post(SubmittedBundle(bundle, function.data, result, at))
        return len(run)

    def _post(self, dispatch: Dispatch, result: AsyncResult, at: int) -> int:
        function, call, options, engines = dispatch
        if engines is None:
            return self._post_task(function, call, options, result, at)
        msg_ids, label = result.msg_ids[at : at + len(engines)], options.label if options else ""
        digest, n = function.digest, len(call.buffers)
        direct = m.SubmitDirect(msg_ids, [*engines], digest, call.payload, n, label)
        buffers = self._lent(call, result, at)
        self._io.post(SubmittedDirect(direct, function.data, buffers, result, at))
        return len(engines)

    def _post_task(
        self, function: Function, call: Pickled, options: Options | None, to: AsyncResult, at: int
    ) -> int:
        digest, n = function.digest, len(call.buffers)
        task = m.Task(to.msg_ids[at], digest, call.payload, n, options)
        buffers = self._lent(call, to, at) if n else ()
        self._io.post(TaskSubmitted(task, function.data, buffers, to, at))
        return 1

    def _lent(self, call: Pickled, result: AsyncResult, at: int) -> Sequence[Buffer]:
        buffers = self._io.lend(result.msg_ids[at], call.buffers)
        result._note_sending(call.buffers, buffers)
        if buffers and self._io.lends_in_place:
            result._borrows = True
        return buffers


def _runs(calls: Iterable[Pickled]) -> Iterator[list[Pickled]]:
    """Yield those of *calls* that go together, in order; one with buffers goes alone."""
    run: list[Pickled] = []
    size_bytes = 0
    for call in calls:
        size_bytes += len(call.payload)
        is_full = len(run) == TASKS_PER_MESSAGE or size_bytes > BYTES_PER_MESSAGE
        if run and (call.buffers or is_full):
            yield run
            run, size_bytes = [], len(call.payload)
        if call.buffers:
            yield [call]
        else:
            run.append(call)
    if run:
        yield run
