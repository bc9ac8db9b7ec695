"""A client decides here on requests, engines, and whether the controller lives.

Rules: no sockets, threads, clocks or logs; `handle(event)` is the only door to the state, and
returns what is to be done, in order. Each msg_id that was submitted is resolved exactly once,
whatever comes late, twice, or not at all. The cost of an event does not depend on how many tasks
are outstanding.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, repeat
from typing import Any, Final

from hippodrome.client.link.events import (
    AbortRequested,
    ClientAction,
    ClientEvent,
    Closing,
    Connected,
    ControllerEnded,
    DeliverAnswer,
    EnginesChanged,
    Enqueue,
    FlushAsked,
    FramesArrived,
    Lose,
    Note,
    Publish,
    Question,
    Regain,
    Renewed,
    Resolve,
    ResolveAll,
    SendFrames,
    Show,
    SubmittedBundle,
    SubmittedDirect,
    TaskSubmitted,
    TellUser,
    Ticked,
    Turned,
    Waiter,
    Welcomed,
)
from hippodrome.client.link.sent_functions import FunctionBook, NamedFunction
from hippodrome.client.link.tasklists import bundled
from hippodrome.errors import ProtocolError
from hippodrome.protocol.bundles import deal, ids_of
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.link import Link
from hippodrome.protocol.messages import (
    Abort,
    Answer,
    Bye,
    Digest,
    EngineId,
    EngineInfo,
    Failure,
    Flush,
    Flushed,
    Functions,
    Membership,
    Message,
    MsgId,
    NeedFunctions,
    Output,
    PeerId,
    Published,
    Query,
    Refused,
    Result,
    ResultBundle,
    Results,
    Submit,
    SubmitDirect,
    Task,
    Welcome,
)
from hippodrome.protocol.silence import PATIENCE_S, News, Patience
from hippodrome.protocol.stream import SIZES, Sizes

TASKS_PER_MESSAGE: Final = 256
BYTES_PER_MESSAGE: Final = 1 << 20
ASK_AFTER_S: Final = 3.0  # of silence; a new connection is noticed only by talking over it
ABORT_DONE: Final = "abort_done"
ABOUT_TASKS: Final = frozenset({ABORT_DONE, "queue_status", "history", "db_query"})


class State(enum.Enum):
    """Where the connection stands."""

    GREETING = "greeting"
    OPEN = "open"
    SILENT = "silent"  # not heard from for too long; may come back
    OVER = "over"  # the controller said good-bye or no, or this client left; terminal


_Pending = tuple[NamedFunction, Waiter, int]


@dataclass(frozen=True, slots=True)
class ClientSnapshot:
    """The state at one instant."""

    state: State
    reason: str
    outstanding: frozenset[MsgId]
    queries: frozenset[int]
    engines: tuple[EngineInfo, ...]
    functions: frozenset[Digest]


class ClientCore:
    """The client's side of the protocol over its two channels.

    Args:
        uuid: names this client.
        info: what the controller is told of it.
        patience_s: silence after which the controller is given up.
        sizes: how large things may be on their way.
        secret: by which the controller knows this client again.
    """

    def __init__(
        self,
        uuid: PeerId,
        info: dict[str, str | int],
        patience_s: float = PATIENCE_S,
        sizes: Sizes = SIZES,
        secret: bytes = b"",
    ) -> None:
        self.state: State = State.GREETING
        self.reason: str = ""
        self.pending: dict[MsgId, _Pending] = {}
        self.resolving: dict[MsgId, _Pending] = {}  # until the shell has done so and empties it
        self.engines: dict[EngineId, EngineInfo] = {}
        self.links: dict[str, Link] = {
            name: Link("client", name, uuid, info, sizes, secret) for name in ("task", "control")
        }
        self._patience_s = patience_s
        self._patience = Patience(patience_s)
        self._functions = FunctionBook()
        self._gathered: list[TaskSubmitted] = []
        self._gathered_bytes = 0
        self._queries: dict[int, Waiter] = {}
        self._n_queries = 0
        self._sessions = dict.fromkeys(self.links, 0)
        self._knows_engines = False
        self._handlers: dict[
            type, Callable[[Any], list[ClientAction]]
        ] = {  # Any: each takes its event
            TaskSubmitted: self._on_submitted,
            Turned: self._on_turned,
            FramesArrived: self._on_arrived,
            SubmittedBundle: self._on_submitted_bundle,
            SubmittedDirect: self._on_submitted_direct,
            AbortRequested: self._on_abort_asked,
            Question: self._on_asked,
            FlushAsked: self._on_flush_asked,
            Ticked: self._on_ticked,
            Renewed: self._on_renewed,
            ControllerEnded: self._on_controller_ended,
            Connected: self._on_connected,
            Closing: self._on_closing,
        }

    @property
    def silent_s(self) -> float:
        """For how long the controller has been silent, in seconds."""
        return self._patience.silent_s

    def handle(self, event: ClientEvent) -> list[ClientAction]:
        """Take note of *event* and return what is to be done about it."""
        return self._handlers[type(event)](event)

    # ---- what the user asked for

    def _on_submitted(self, event: TaskSubmitted) -> list[ClientAction]:
        function = self._functions.need(event.task.function, event.blob)
        self.pending[event.task.msg_id] = (function, event.waiter, event.index)
        if self.state is State.OVER:
            return self._fail_outstanding()
        self._gathered.append(event)
        self._gathered_bytes += len(event.task.payload)
        if (
            len(self._gathered) < TASKS_PER_MESSAGE
            and self._gathered_bytes < BYTES_PER_MESSAGE
            and not event.buffers
        ):
            return []
        return self._submit_gathered()

    def _on_turned(self, event: Turned) -> list[ClientAction]:
        return self._submit_gathered() if self._gathered else []

    def _submit_gathered(self) -> list[ClientAction]:
        if not self._gathered:
            return []
        events, self._gathered, self._gathered_bytes = self._gathered, [], 0
        digests, frames = self._functions.take_unsent([item.task.function for item in events])
        for item in events:
            frames.extend(item.buffers)
        return self._send("task", Submit(bundled([item.task for item in events]), digests), frames)

    def _on_submitted_bundle(self, event: SubmittedBundle) -> list[ClientAction]:
        actions = self._submit_gathered()  # first come, first sent
        bundle = event.bundle
        msg_ids = bundle.msg_ids
        function = self._functions.need(bundle.function, event.blob, len(msg_ids))
        places = zip(repeat(function), repeat(event.waiter), count(event.first))
        self.pending.update(zip(msg_ids, places, strict=False))  # the places go on
        if self.state is State.OVER:
            return self._fail_outstanding()
        digests, frames = self._functions.take_unsent([bundle.function])
        return actions + self._send("task", Submit([bundle], digests), frames)

    def _on_submitted_direct(self, event: SubmittedDirect) -> list[ClientAction]:
        actions = self._submit_gathered()  # first come, first sent
        message = event.message
        function = self._functions.need(message.function, event.blob, len(message.msg_ids))
        for index, msg_id in enumerate(message.msg_ids, event.first):
            self.pending[msg_id] = (function, event.waiter, index)
        if self.state is State.OVER:
            return self._fail_outstanding()
        digests, frames = self._functions.take_unsent([message.function])
        whole = SubmitDirect(
            message.msg_ids,
            message.targets,
            message.function,
            message.payload,
            message.n_buffers,
            message.label,
            digests,
        )
        return actions + self._send("task", whole, [*frames, *event.buffers])

    def _on_abort_asked(self, event: AbortRequested) -> list[ClientAction]:
        """Name the tasks, also when all are meant: not those that are submitted from now on."""
        actions = self._submit_gathered()
        asked = self.pending if event.msg_ids is None else event.msg_ids
        msg_ids = [msg_id for msg_id in asked if msg_id in self.pending]
        if not msg_ids or self.state is State.OVER:
            return actions
        *others, last = self._channels_that_know()
        for channel in others:
            actions += self._send(channel, Abort(msg_ids))
        return actions + self._send(last, Abort(msg_ids, event.interrupt))

    def _on_asked(self, event: Question) -> list[ClientAction]:
        if self.state is State.OVER:
            return [DeliverAnswer(event.waiter, Answer(0, error=self._failure()))]
        self._n_queries += 1
        self._queries[self._n_queries] = event.waiter
        query = Query(self._n_queries, event.name, event.arguments)
        actions = self._submit_gathered()
        channel = self._channels_that_know()[-1] if event.name in ABOUT_TASKS else "control"
        return actions + self._send(channel, query)

    def _on_flush_asked(self, event: FlushAsked) -> list[ClientAction]:
        if self.state is State.OVER:
            return []
        return [*self._submit_gathered(), *self._send("task", Flushed(event.number))]

    def _channels_that_know(self) -> tuple[str, ...]:
        """Return the channels over which to speak of tasks, so that none is missed.

        The control channel is the fast one, but may overtake tasks that have just been submitted;
        so what concerns them is said once more behind them.
        """
        return ("control", "task") if self.links["task"].stream.n_unacknowledged else ("control",)

    def _on_closing(self, event: Closing) -> list[ClientAction]:
        if self.state is State.OVER:
            return []
        actions = [*self._submit_gathered(), *self._send("control", Bye(event.reason))]
        return actions + self._end(event.reason)

    # ---- what came over the wire

    def _on_connected(self, event: Connected) -> list[ClientAction]:
        return [
            SendFrames(channel, frames)
            for channel, link in self.links.items()
            for frames in link.hello()
        ]

    def _on_arrived(self, event: FramesArrived) -> list[ClientAction]:
        if self.state is State.OVER:
            return []
        self._patience.hear()
        link = self.links[event.channel]
        try:
            received = link.receive(event.frames)
        except ProtocolError as error:
            return [Note(f"{event.channel}: {error}")]
        actions: list[ClientAction] = [
            SendFrames(event.channel, frames) for frames in received.replies
        ]
        if self.state is State.SILENT:
            self.state, self.reason = State.OPEN, ""
            self._patience = Patience(self._patience_s)
            actions.append(Regain())
        message = received.message
        match message:
            case None:
                return actions
            case Results():
                return actions + self._on_results(message, received.buffers)
            case Output():
                return actions + self._on_output(message)
            case Published():
                return actions + self._on_published(message, received.buffers)
            case Membership():
                return actions + self._on_membership(message)
            case NeedFunctions():
                return actions + self._on_need_functions(message)
            case Answer():
                return actions + self._on_answer(message, received.buffers)
            case Flush(number):
                return [*actions, Enqueue(FlushAsked(number))]
            case Welcome():
                return actions + self._on_welcome(event.channel, message)
            case Refused():
                reason = message.reason or "the controller refused this client"
                return actions + self._end(reason, refused=True, code=message.code)
            case Bye():
                acknowledge = SendFrames(event.channel, link.stream.sync())
                return [
                    *actions,
                    acknowledge,
                    *self._end(_why_it_left(message), asked=not message.failed),
                ]
        return actions

    def _on_results(self, message: Results, buffers: Sequence[Buffer]) -> list[ClientAction]:
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

    def _on_output(self, message: Output) -> list[ClientAction]:
        actions: list[ClientAction] = []
        for piece in message.pieces:
            found = self.pending.get(piece.msg_id)
            if found is not None:
                actions.append(Show(piece, message.engine, found[1], found[2]))
        return actions

    def _on_published(self, message: Published, buffers: Sequence[Buffer]) -> list[ClientAction]:
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

    def _on_membership(self, message: Membership) -> list[ClientAction]:
        if not self._knows_engines:
            self.engines = {}
        for info in message.present:
            self.engines[info.engine] = info
        for engine in message.left:
            self.engines.pop(engine, None)
        actions: list[ClientAction] = [EnginesChanged(dict(self.engines), message.left)]
        if not self._knows_engines:
            self._knows_engines = True
            actions += self._ready()
        return actions

    def _on_need_functions(self, message: NeedFunctions) -> list[ClientAction]:
        """Answer with what there is, even if it is nothing: the scheduler waits for it."""
        kept = self._functions.kept(message.digests)
        return self._send("task", Functions([f.digest for f in kept]), [f.blob for f in kept])

    def _on_answer(self, message: Answer, buffers: Sequence[Buffer]) -> list[ClientAction]:
        waiter = self._queries.pop(message.number, None)
        return [] if waiter is None else [DeliverAnswer(waiter, message, buffers)]

    def _on_welcome(self, channel: str, message: Welcome) -> list[ClientAction]:
        """Go on, or, when the controller does not know this client any more, start anew."""
        actions: list[ClientAction] = []
        if message.fresh:
            if self._sessions[channel]:
                actions = self._fail_outstanding("the controller was replaced by a new one")
            self._sessions[channel] = message.number
            if channel == "task":
                self._functions.forget_sendings()
            else:
                self._knows_engines = False
        return actions + self._ready()

    def _ready(self) -> list[ClientAction]:
        is_open = all(link.is_open for link in self.links.values())
        if self.state is not State.GREETING or not is_open or not self._knows_engines:
            return []
        self.state = State.OPEN
        return [Welcomed(self.links["control"].welcome_info)]

    # ---- time

    def _on_ticked(self, event: Ticked) -> list[ClientAction]:
        if self.state is State.OVER:
            return []
        now = event.now
        news = self._patience.tick(now)
        silence_s = self._patience.silent_s
        actions: list[ClientAction] = [
            SendFrames(channel, frames)
            for channel, link in self.links.items()
            for frames in link.tick(now)
        ]
        if silence_s >= ASK_AFTER_S:
            actions += self._speak_up()
        if self.state is State.OPEN:
            actions += self._on_silence(news, silence_s)
        return actions

    def _on_renewed(self, event: Renewed) -> list[ClientAction]:
        return [] if self.state is State.OVER else self._speak_up()

    def _speak_up(self) -> list[ClientAction]:
        """Let the controller see whose connections these are."""
        return [
            SendFrames(channel, link.stream.sync())
            for channel, link in self.links.items()
            if link.is_open
        ]

    def _on_controller_ended(self, event: ControllerEnded) -> list[ClientAction]:
        if self.state is not State.OPEN:
            return []
        return self._give_up("the controller has ended without a good-bye: nobody listens there")

    def _on_silence(self, news: News, silence_s: float) -> list[ClientAction]:
        silence = f"nothing was heard of the controller for {silence_s:.0f} s"
        if news is News.OVER:
            return self._give_up(silence)
        if news is News.LONG:
            return [TellUser(f"{silence}; waiting for it, up to {self._patience_s:g} s")]
        return [TellUser("the controller is back")] if news is News.BACK else []

    def _give_up(self, reason: str) -> list[ClientAction]:
        self.state, self.reason = State.SILENT, reason
        return [Lose(self.reason, final=False), *self._fail_outstanding()]

    # ---- ends

    def _end(
        self, reason: str, *, refused: bool = False, code: str = "", asked: bool = False
    ) -> list[ClientAction]:
        self.state, self.reason = State.OVER, reason
        lost = Lose(reason, final=True, refused=refused, code=code, asked=asked)
        return [lost, *self._fail_outstanding()]

    def _fail_outstanding(self, reason: str = "") -> list[ClientAction]:
        self._gathered, self._gathered_bytes = [], 0
        failure = self._failure(reason)
        actions = [
            action
            for msg_id in list(self.pending)
            for action in self._resolve(Result(msg_id, "lost", None, failure=failure))
        ]
        queries, self._queries = self._queries, {}
        for number, waiter in queries.items():
            actions.append(DeliverAnswer(waiter, Answer(number, error=failure)))
        return actions

    def _failure(self, reason: str = "") -> Failure:
        return Failure("ControllerLost", reason or self.reason)

    def _resolve(self, result: Result, buffers: Sequence[Buffer] = ()) -> list[ClientAction]:
        found = self.pending.get(result.msg_id)
        if found is None:
            return []  # late, or twice
        self.resolving[result.msg_id] = found  # first, see `_resolve_all`
        del self.pending[result.msg_id]
        function, waiter, index = found
        function.release()
        return [Resolve(result, buffers, waiter, index)]

    def _send(
        self, channel: str, message: Message, buffers: Sequence[Buffer] = ()
    ) -> list[ClientAction]:
        return [
            SendFrames(channel, frames) for frames in self.links[channel].send(message, buffers)
        ]

    # ---- for tests

    def check(self) -> None:
        """Assert what must always be true."""
        self._functions.check(function for function, _, _ in self.pending.values())
        gathered: list[Task] = [item.task for item in self._gathered]
        assert all(task.msg_id in self.pending for task in gathered)
        assert len(gathered) < TASKS_PER_MESSAGE
        if self.state in {State.OVER, State.SILENT}:
            assert self.reason
        if self.state is State.OVER:
            assert not self.pending
            assert not self._queries
        for link in self.links.values():
            link.stream.check()

    def snapshot(self) -> ClientSnapshot:
        """Return the state as a frozen record."""
        return ClientSnapshot(
            self.state,
            self.reason,
            frozenset(self.pending),
            frozenset(self._queries),
            tuple(self.engines.values()),
            self._functions.digests,
        )


def _why_it_left(message: Bye) -> str:
    return message.reason or "the controller was shut down"
