"""A client decides here on requests, engines, and whether the controller lives.

Rules: no sockets, threads, clocks or logs; `handle(event)` is the only door to the state, and
returns what is to be done, in order. What becomes of tasks is in `outstanding`. The cost of an
event does not depend on how many tasks are outstanding.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from hippodrome.client.link.attendance import Attendance
from hippodrome.client.link.channels import ClientLinks
from hippodrome.client.link.events import (
    AbortRequested,
    ClientAction,
    ClientEvent,
    Closing,
    Connected,
    ControllerEnded,
    DeliverAnswer,
    Enqueue,
    FlushAsked,
    FramesArrived,
    Lose,
    Note,
    Question,
    Regain,
    Renewed,
    SendFrames,
    SubmittedBundle,
    SubmittedDirect,
    TaskSubmitted,
    TellUser,
    Ticked,
    Turned,
    Waiter,
    Welcomed,
)
from hippodrome.client.link.freight import Freight
from hippodrome.client.link.outstanding import OutstandingTasks
from hippodrome.errors import ProtocolError
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.ids import client_of
from hippodrome.protocol.link import Link
from hippodrome.protocol.messages import (
    Abort,
    Answer,
    Bye,
    EngineId,
    EngineInfo,
    Failure,
    Flush,
    Flushed,
    Free,
    Give,
    Membership,
    Message,
    NeedFunctions,
    Output,
    PeerId,
    PeerMessage,
    Published,
    Query,
    Refused,
    Results,
    Slice,
    Welcome,
)
from hippodrome.protocol.moves import Moves, checked
from hippodrome.protocol.silence import PATIENCE_S, News, Patience
from hippodrome.protocol.stream import SIZES, Sizes
from hippodrome.segments.carrier import Carrier

ASK_AFTER_S: Final = 3.0  # of silence; a new connection is noticed only by talking over it
ABOUT_OBJECTS: Final = Give | Slice | Free
ABORT_DONE: Final = "abort_done"
ABOUT_TASKS: Final = frozenset({ABORT_DONE, "queue_status", "history", "db_query"})


_Handler = Callable[[Any], list[ClientAction]]  # Any: each takes its event


class State(enum.Enum):
    """Where the connection stands."""

    GREETING = "greeting"
    OPEN = "open"
    SILENT = "silent"  # not heard from for too long; may come back
    OVER = "over"  # the controller said good-bye or no, or this client left; terminal


MOVES: Final[Moves[State]] = {
    State.GREETING: frozenset({State.OPEN, State.OVER}),
    State.OPEN: frozenset({State.SILENT, State.OVER}),
    State.SILENT: frozenset({State.OPEN, State.OVER}),
    State.OVER: frozenset(),
}


class ClientCore:
    """The client's side of the protocol over its two channels.

    Args:
        uuid: names this client.
        info: what the controller is told of it.
        patience_s: silence after which the controller is given up.
        sizes: how large things may be on their way.
        secret: by which the controller knows this client again.
        freight: objects of this client, which has a channel for them; None if it has not.

    Attributes:
        reason: why the connection is silent or over.
    """

    def __init__(
        self,
        uuid: PeerId,
        info: dict[str, str | int],
        patience_s: float = PATIENCE_S,
        sizes: Sizes = SIZES,
        secret: bytes = b"",
        freight: Freight | None = None,
    ) -> None:
        self.state: State = State.GREETING
        self.reason: str = ""
        self.links: ClientLinks = ClientLinks(
            (name, Link("client", name, uuid, info, sizes, secret))
            for name in ("task", "control", *(["data"] if freight is not None else []))
        )
        self.freight: Freight | None = freight
        self._carrier = None if freight is None else Carrier(self.links["data"], freight)
        self.tasks: OutstandingTasks = OutstandingTasks(partial(self.links.send, "task"))
        self._patience_s = patience_s
        self._patience = Patience(patience_s)
        self._queries: dict[int, Waiter] = {}
        self._n_queries = 0
        self._sessions = dict.fromkeys(self.links, 0)
        self._attendance = Attendance()
        self._handlers: dict[type, _Handler] = {
            TaskSubmitted: self.tasks.on_submitted,
            Turned: self.tasks.on_turned,
            FramesArrived: self._on_arrived,
            SubmittedBundle: self.tasks.on_submitted_bundle,
            SubmittedDirect: self.tasks.on_submitted_direct,
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
    def engines(self) -> dict[EngineId, EngineInfo]:
        return self._attendance.engines

    @property
    def silent_s(self) -> float:
        """For how long the controller has been silent, in seconds."""
        return self._patience.silent_s

    def handle(self, event: ClientEvent) -> list[ClientAction]:
        """Take note of *event* and return what is to be done about it."""
        return self._handlers[type(event)](event)

    # ---- what the user asked for

    def _on_abort_asked(self, event: AbortRequested) -> list[ClientAction]:
        """Name the tasks, also when all are meant: not those that are submitted from now on.

        Those of other clients may be named, too; which of them have ended is not known here.
        """
        actions = self.tasks.submit_gathered()
        pending, me = self.tasks.pending, self.links["task"].uuid
        asked = pending if event.msg_ids is None else event.msg_ids
        msg_ids = [msg_id for msg_id in asked if msg_id in pending or client_of(msg_id) != me]
        if not msg_ids or self.state is State.OVER:
            return actions
        *others, last = self.links.that_know_tasks()
        for channel in others:
            actions += self.links.send(channel, Abort(msg_ids))
        return actions + self.links.send(last, Abort(msg_ids, event.interrupt))

    def _on_asked(self, event: Question) -> list[ClientAction]:
        if self.state is State.OVER:
            return [DeliverAnswer(event.waiter, Answer(0, error=self._failure()))]
        self._n_queries += 1
        self._queries[self._n_queries] = event.waiter
        query = Query(self._n_queries, event.name, event.arguments)
        actions = self.tasks.submit_gathered()
        channel = self.links.that_know_tasks()[-1] if event.name in ABOUT_TASKS else "control"
        return actions + self.links.send(channel, query)

    def _on_flush_asked(self, event: FlushAsked) -> list[ClientAction]:
        if self.state is State.OVER:
            return []
        return [*self.tasks.submit_gathered(), *self.links.send("task", Flushed(event.number))]

    def _on_closing(self, event: Closing) -> list[ClientAction]:
        if self.state is State.OVER:
            return []
        actions = [*self.tasks.submit_gathered(), *self.links.send("control", Bye(event.reason))]
        return actions + self._end(event.reason)

    # ---- what came over the wire

    def _on_connected(self, event: Connected) -> list[ClientAction]:
        return self.links.hello()

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
            self._move(State.OPEN)
            self._patience = Patience(self._patience_s)
            actions.append(Regain())
        if event.channel == "data" and isinstance(received.message, Welcome | ABOUT_OBJECTS):
            actions += self._on_object(received.message, received.buffers)
        elif received.message is not None:
            actions += self._on_message(event.channel, received.message, received.buffers)
        return actions

    def _on_object(self, message: PeerMessage, buffers: Sequence[Buffer]) -> list[ClientAction]:
        """Do what is asked over the channel for objects."""
        if self._carrier is None or isinstance(message, Welcome):
            return self._ready()
        try:
            many = self._carrier.handle(message, [*buffers])
        except ProtocolError as error:
            return [Note(f"data: {error}")]
        return [SendFrames("data", frames) for frames in many]

    def _on_message(
        self, channel: str, message: Message, buffers: Sequence[Buffer]
    ) -> list[ClientAction]:
        match message:
            case Results():
                return self.tasks.on_results(message, buffers)
            case Output():
                return self.tasks.on_output(message)
            case Published():
                return self.tasks.on_published(message, buffers)
            case NeedFunctions():
                return self.tasks.on_need_functions(message)
            case Membership():
                return self._on_membership(channel, message)
            case Answer():
                return self._on_answer(message, buffers)
            case Flush(number):
                return [Enqueue(FlushAsked(number))]
            case Welcome():
                return self._on_welcome(channel, message)
            case Refused():
                reason = message.reason or "the controller refused this client"
                return self._end(reason, refused=True, code=message.code)
            case Bye():
                acknowledge = SendFrames(channel, self.links[channel].stream.sync())
                ended = self._end(_why_it_left(message), asked=not message.failed)
                return [acknowledge, *ended]
        return []

    def _on_membership(self, channel: str, message: Membership) -> list[ClientAction]:
        if channel == "task":
            return [*self._attendance.on_early_news(message)]
        return [*self._attendance.on_news(message), *self._ready()]

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
                self.tasks.functions.forget_sendings()
            else:
                self._attendance.begin_anew()
        return actions + self._ready()

    def _ready(self) -> list[ClientAction]:
        is_ready = self.links.is_open and self._attendance.are_known
        if self.state is not State.GREETING or not is_ready:
            return []
        self._move(State.OPEN)
        return [Welcomed(self.links["control"].welcome_info)]

    # ---- time

    def _on_ticked(self, event: Ticked) -> list[ClientAction]:
        if self.state is State.OVER:
            return []
        now = event.now
        news = self._patience.tick(now)
        silence_s = self._patience.silent_s
        actions = self.links.tick(now)
        if silence_s >= ASK_AFTER_S:
            actions += self.links.speak_up()
        if self.state is State.OPEN:
            actions += self._on_silence(news, silence_s)
        return actions

    def _on_renewed(self, event: Renewed) -> list[ClientAction]:
        return [] if self.state is State.OVER else self.links.speak_up()

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
        self._move(State.SILENT, reason)
        return [Lose(reason, final=False), *self._fail_outstanding()]

    # ---- ends

    def _move(self, state: State, reason: str = "") -> None:
        self.state, self.reason = checked(MOVES, self, self.state, state), reason

    def _end(
        self, reason: str, *, refused: bool = False, code: str = "", asked: bool = False
    ) -> list[ClientAction]:
        self._move(State.OVER, reason)
        self.tasks.over = self._failure()
        lost = Lose(reason, final=True, refused=refused, code=code, asked=asked)
        return [lost, *self._fail_outstanding()]

    def _fail_outstanding(self, reason: str = "") -> list[ClientAction]:
        failure = self._failure(reason)
        actions = self.tasks.fail(failure)
        queries, self._queries = self._queries, {}
        for number, waiter in queries.items():
            actions.append(DeliverAnswer(waiter, Answer(number, error=failure)))
        return actions

    def _failure(self, reason: str = "") -> Failure:
        return Failure("ControllerLost", reason or self.reason)

    # ---- for tests

    def check(self) -> None:
        """Assert what must always be true."""
        self.tasks.check()
        if self.state in {State.OVER, State.SILENT}:
            assert self.reason
        assert (self.state is State.OVER) == (self.tasks.over is not None)
        assert self.state is not State.OVER or not self._queries
        for link in self.links.values():
            link.stream.check()


def _why_it_left(message: Bye) -> str:
    return message.reason or "the controller was shut down"
