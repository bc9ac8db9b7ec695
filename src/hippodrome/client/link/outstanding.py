"""The tasks of a client, from their submission to their results; a pure part of its core.

Each msg_id that was submitted is resolved exactly once, whatever comes late, twice, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count, repeat
from typing import Final

from msgspec.structs import replace

from hippodrome.client.link.events import (
    ClientAction,
    Note,
    Publish,
    Resolve,
    ResolveAll,
    Show,
    SubmittedBundle,
    SubmittedDirect,
    TaskSubmitted,
    Turned,
    Waiter,
)
from hippodrome.client.link.sent_functions import FunctionBook, NamedFunction
from hippodrome.client.link.tasklists import bundled
from hippodrome.errors import ProtocolError
from hippodrome.protocol.bundles import deal, ids_of
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import (
    Failure,
    Functions,
    Message,
    MsgId,
    NeedFunctions,
    Output,
    Published,
    Result,
    ResultBundle,
    Results,
    Submit,
)

TASKS_PER_MESSAGE: Final = 256
BYTES_PER_MESSAGE: Final = 1 << 20

_Place = tuple[NamedFunction, Waiter, int]


class OutstandingTasks:
    """The tasks that have no result yet, and the functions that they need.

    Args:
        send: returns what puts a message, and buffers, on the task channel.

    Attributes:
        pending: where the result of each goes.
        resolving: the same of those that end just now, until the shell has told of them, and
            empties it. A task is entered here first and then leaves `pending`, so that other
            threads, which look in that order, find it in the one or the other.
        functions: those that were sent, and what they were.
        over: why what is submitted now fails at once; None as long as it does not.
    """

    def __init__(self, send: Callable[[Message, Sequence[Buffer]], list[ClientAction]]) -> None:
        self.pending: dict[MsgId, _Place] = {}
        self.resolving: dict[MsgId, _Place] = {}
        self.functions: FunctionBook = FunctionBook()
        self.over: Failure | None = None
        self._send = send
        self._gathered: list[TaskSubmitted] = []
        self._gathered_bytes = 0

    # ---- submission

    def on_submitted(self, event: TaskSubmitted) -> list[ClientAction]:
        function = self.functions.need(event.task.function, event.blob)
        self.pending[event.task.msg_id] = (function, event.waiter, event.index)
        if self.over is not None:
            return self.fail(self.over)
        self._gathered.append(event)
        self._gathered_bytes += len(event.task.payload)
        if (
            len(self._gathered) < TASKS_PER_MESSAGE
            and self._gathered_bytes < BYTES_PER_MESSAGE
            and not event.buffers
        ):
            return []
        return self.submit_gathered()

    def on_turned(self, event: Turned) -> list[ClientAction]:
        return self.submit_gathered() if self._gathered else []

    def submit_gathered(self) -> list[ClientAction]:
        if not self._gathered:
            return []
        events, self._gathered, self._gathered_bytes = self._gathered, [], 0
        digests, frames = self.functions.take_unsent([item.task.function for item in events])
        for item in events:
            frames.extend(item.buffers)
        return self._send(Submit(bundled([item.task for item in events]), digests), frames)

    def on_submitted_bundle(self, event: SubmittedBundle) -> list[ClientAction]:
        actions = self.submit_gathered()  # first come, first sent
        bundle = event.bundle
        msg_ids = bundle.msg_ids
        function = self.functions.need(bundle.function, event.blob, len(msg_ids))
        places = zip(repeat(function), repeat(event.waiter), count(event.first))
        self.pending.update(zip(msg_ids, places, strict=False))  # the places go on
        if self.over is not None:
            return self.fail(self.over)
        digests, frames = self.functions.take_unsent([bundle.function])
        return actions + self._send(Submit([bundle], digests), frames)

    def on_submitted_direct(self, event: SubmittedDirect) -> list[ClientAction]:
        actions = self.submit_gathered()  # first come, first sent
        message = event.message
        function = self.functions.need(message.function, event.blob, len(message.msg_ids))
        for index, msg_id in enumerate(message.msg_ids, event.first):
            self.pending[msg_id] = (function, event.waiter, index)
        if self.over is not None:
            return self.fail(self.over)
        digests, frames = self.functions.take_unsent([message.function])
        whole = replace(message, functions=digests)
        return actions + self._send(whole, [*frames, *event.buffers])

    # ---- what the controller tells

    def on_need_functions(self, message: NeedFunctions) -> list[ClientAction]:
        """Answer with what there is, even if it is nothing: the scheduler waits for it."""
        kept = self.functions.kept(message.digests)
        return self._send(Functions([f.digest for f in kept]), [f.blob for f in kept])

    def on_results(self, message: Results, buffers: Sequence[Buffer]) -> list[ClientAction]:
        results = message.results
        try:
            dealt = deal(results, buffers)
        except ProtocolError as error:
            return [Note(f"task: {error}"), *self._on_damaged(results, str(error))]
        actions: list[ClientAction] = []
        for result, owned in zip(results, dealt, strict=True):
            if isinstance(result, ResultBundle):
                actions.append(self._resolve_all(result))
            else:
                actions += self._resolve(result, owned)
        return actions

    def _resolve_all(self, bundle: ResultBundle) -> ResolveAll:
        results: list[Result] = []
        waiters: list[Waiter] = []
        indices: list[int] = []
        engine, attempt = bundle.engine, bundle.attempt
        pending, resolving = self.pending, self.resolving
        columns = zip(bundle.msg_ids, bundle.started, bundle.run_s, bundle.payloads, strict=True)
        for msg_id, started, run_s, payload in columns:
            found = pending.get(msg_id)
            if found is not None:  # else late, or twice
                resolving[msg_id] = found  # first: other threads find it in the one or the other
                del pending[msg_id]
                function, waiter, index = found
                function.release()
                completed = started + run_s
                results.append(Result(msg_id, "ok", engine, attempt, started, completed, payload))
                waiters.append(waiter)
                indices.append(index)
        return ResolveAll(results, waiters, indices)

    def _on_damaged(self, results: Sequence[Result | ResultBundle], why: str) -> list[ClientAction]:
        """End tasks whose results cannot be told apart; they will not be sent again."""
        failure = Failure("DeserializationError", f"the result arrived damaged: {why}")
        return [
            action
            for result in results
            for msg_id in ids_of(result)
            for action in self._resolve(Result(msg_id, "error", None, failure=failure))
        ]

    def on_output(self, message: Output) -> list[ClientAction]:
        actions: list[ClientAction] = []
        for piece in message.pieces:
            found = self.pending.get(piece.msg_id)
            if found is not None:
                actions.append(Show(piece, message.engine, found[1], found[2]))
        return actions

    def on_published(self, message: Published, buffers: Sequence[Buffer]) -> list[ClientAction]:
        try:
            dealt = deal(message.data, buffers)
        except ProtocolError as error:
            return [Note(f"task: {error}")]
        actions: list[ClientAction] = []
        for datum, owned in zip(message.data, dealt, strict=True):
            found = self.pending.get(datum.msg_id)
            if found is not None:
                actions.append(Publish(datum, owned, found[1], found[2]))
        return actions

    # ---- ends

    def fail(self, failure: Failure) -> list[ClientAction]:
        """End all of them."""
        self._gathered, self._gathered_bytes = [], 0
        return [
            action
            for msg_id in list(self.pending)
            for action in self._resolve(Result(msg_id, "lost", None, failure=failure))
        ]

    def _resolve(self, result: Result, buffers: Sequence[Buffer] = ()) -> list[ClientAction]:
        found = self.pending.get(result.msg_id)
        if found is None:
            return []  # late, or twice
        self.resolving[result.msg_id] = found  # first, see `_resolve_all`
        del self.pending[result.msg_id]
        function, waiter, index = found
        function.release()
        return [Resolve(result, buffers, waiter, index)]

    def check(self) -> None:
        """Assert what must always be true."""
        self.functions.check(function for function, _, _ in self.pending.values())
        assert all(item.task.msg_id in self.pending for item in self._gathered)
        assert len(self._gathered) < TASKS_PER_MESSAGE
        assert self.over is None or not self.pending
