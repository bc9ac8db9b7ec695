"""The client's I/O thread: owns both sockets, feeds the core, does what the core says.

User threads append events to an outbox and wake the thread once per burst; it sends whatever is
there. It never waits for user code: results are handed over as they came, and a call that would
block it raises. If it dies, everything that was waited for fails with the reason.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import msgspec
import zmq

from hippodrome.client.link.core import ClientCore
from hippodrome.client.link.delivery import Delivery, Reply
from hippodrome.client.link.events import (
    ClientAction,
    ClientEvent,
    Closing,
    Connected,
    ControllerEnded,
    EnginesChanged,
    Enqueue,
    FramesArrived,
    Lose,
    Note,
    Question,
    Regain,
    Renewed,
    SendFrames,
    TellUser,
    Ticked,
    Welcomed,
)
from hippodrome.client.link.freight import Freight, offering
from hippodrome.client.link.living import living
from hippodrome.client.link.outbox import Outbox
from hippodrome.client.link.presence import Presence
from hippodrome.client.link.standing import Standing
from hippodrome.client.results.slots import deliver
from hippodrome.errors import ClusterError, ControllerLost, ProtocolError
from hippodrome.process.memory import Ebb
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Failure, MsgId, Result
from hippodrome.protocol.reading import one_line
from hippodrome.security.connection_file import ConnectionInfo
from hippodrome.segments.files import Segments
from hippodrome.transport.lifeline import Finding, Lifeline
from hippodrome.transport.sockets import has_message, send

if TYPE_CHECKING:
    from hippodrome.client.results.result import AsyncResult

log: logging.Logger = logging.getLogger(__name__)

TICK_S: Final = 0.5
LINGER_MS: Final = 1000
JOIN_S: Final = 5.0
BURST: Final = 64  # messages taken from one socket before the other one is looked at
NOTES_PER_TICK: Final = 1

Socket = zmq.Socket[bytes]


class Closable(Protocol):
    """What ends with a connection."""

    def close(self) -> None:
        """End it, and wait for that."""


class IOThread(Standing, Presence):
    """Runs a `ClientCore` over two sockets.

    After the end nobody takes events any more. The thread says that it has ended, and then settles
    what is in the outbox; others append, and then look whether it has ended. So whichever comes
    later settles, under a lock, as both may.

    Args:
        core: decides everything.
        sockets: a connected DEALER for each channel; closed in the end.
        context: terminated in the end; None if it belongs to somebody else.
        lifeline: tells whether the controller is still there; closed in the end.
        debug: log every message.

    Attributes:
        scheme: how the controller chooses engines.
        info: of the controller, as its connection file tells.
        tunnel: what carries the sockets, closed after them; None if nothing does.
    """

    def __init__(
        self,
        core: ClientCore,
        sockets: Mapping[str, Socket],
        context: zmq.Context[Socket] | None = None,
        *,
        lifeline: Lifeline | None = None,
        debug: bool = False,
    ) -> None:
        Standing.__init__(self)
        Presence.__init__(self, lambda: len(self.outstanding))
        self.ready: Reply = Reply(self.check_may_wait, "connection")
        self.gone: Reply = Reply(self.check_may_wait, "end of the connection")
        self.scheme: str = ""
        self.info: ConnectionInfo = ConnectionInfo("client", ())
        self.tunnel: Closable | None = None
        self._core = core
        self._sockets = dict(sockets)
        self._context = context
        self._lifeline = lifeline
        self._debug = debug
        self._outbox = Outbox()
        self._has_ended = False
        self._ending = threading.Lock()
        self._delivery = Delivery()
        self._may_answer = True
        self._n_notes = 0
        self._thread = threading.Thread(target=self._run, name="hippodrome-client", daemon=True)
        self._performers: dict[type[ClientAction], Callable[[Any], None]] = {
            **self._delivery.performers,
            SendFrames: self._send,
            EnginesChanged: self._change_engines,
            Welcomed: self._get_ready,
            Lose: self._lose,
            Regain: self._regain,
            Enqueue: lambda action: self._outbox.append(action.event),  # emptied in each turn
            Note: self._note,
            TellUser: self._say,
        }

    # ---- on any thread

    def start(self) -> None:
        """Introduce this client to the controller."""
        living.add(self)
        self._outbox.append(Connected())
        self._thread.start()

    def post(self, event: ClientEvent) -> None:
        """Hand *event* to the core, soon.

        Raises:
            ControllerLost: the controller is not there.
            ClusterError: this process is a fork of the one that made the client.
        """
        if self._lost is not None or self._is_forked:
            self._raise_trouble()
        self._outbox.append(event)
        if self._has_ended:
            self._settle()
        elif not self._outbox.is_awake:
            self._outbox.wake()

    def lend(self, msg_id: MsgId, buffers: Sequence[Buffer]) -> Sequence[Buffer]:
        """Put the large ones of *buffers* where engines on this host can map them."""
        segments = self._delivery.segments
        return segments.lend(msg_id, buffers) if buffers and segments is not None else buffers

    @property
    def lends_in_place(self) -> bool:
        """Whether what is lent is sent later, from where it is."""
        return isinstance(self._delivery.segments, Freight)

    def ask(self, name: str, **arguments: Any) -> Reply:  # Any: what msgpack can hold
        """Ask the hub.

        Raises:
            ControllerLost: the controller is not there.
        """
        reply = Reply(self.check_may_wait, name.replace("_", " "))
        self.post(Question(name, msgspec.msgpack.encode(arguments), reply))
        return reply

    @property
    def outstanding(self) -> set[MsgId]:
        """The tasks without a result."""
        return self._outbox.outstanding(self._core.tasks)

    def outstanding_results(self) -> dict[MsgId, AsyncResult]:
        """Return the results of these tasks."""
        return cast("dict[MsgId, AsyncResult]", self._outbox.waiters(self._core.tasks))

    def find(self, msg_id: MsgId) -> tuple[AsyncResult, int] | None:
        """Return where the result of a task that is outstanding will be."""
        found = self._outbox.whereabouts(msg_id, self._core.tasks)
        return cast("tuple[AsyncResult, int] | None", found)

    def close(self, reason: str = "the client was closed") -> None:
        """Say good-bye, fail what is outstanding, and end the thread. Idempotent."""
        self.leave(reason)
        if not self._is_forked and self._thread.ident and not self.is_current_thread:
            self._thread.join(JOIN_S)

    def leave(self, reason: str) -> None:
        """Begin to close, and wait for nothing: for whoever must not block."""
        if not self._is_forked and self._thread.ident:
            self._is_leaving = True  # first: the thread may be awake, and look
            self._outbox.append(Closing(reason))
            self._outbox.wake()

    # ---- on the I/O thread

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            log.exception("the client's I/O thread failed")
            self._fail(f"the client's I/O thread failed: {type(error).__name__}: {error}")
        finally:
            self._close_sockets()
            self._has_ended = True  # from here on whoever posts something settles it too
            self._settle()

    def _loop(self) -> None:
        poller = zmq.Poller()
        channels = {sock: name for name, sock in self._sockets.items()}
        wake = self._outbox.wakes.fd
        for source in (*self._sockets.values(), wake):
            poller.register(source, zmq.POLLIN)
        tick_due = time.monotonic()
        ebb = Ebb(tick_due)
        while not self.is_over:
            timeout_s = max(0.0, tick_due - time.monotonic())
            arrived = poller.poll(int(1000 * timeout_s))
            self._delivery.now = time.time()
            for sock, _ in arrived:
                if sock == wake:
                    self._outbox.wakes.clear()
                else:
                    self._receive(cast("Socket", sock), channels[cast("Socket", sock)])
            self._empty_outbox()
            if time.monotonic() >= tick_due:
                tick_due = time.monotonic() + TICK_S
                self._n_notes = 0
                self._feed(Ticked(time.monotonic()))
                self._look_at_lifeline()
                ebb.tick(time.monotonic())

    def _look_at_lifeline(self) -> None:
        if self._lifeline is None or self.is_over:
            return
        match self._lifeline.look(self._core.silent_s):
            case Finding.RENEWED:
                self._feed(Renewed())
            case Finding.ENDED:
                self._feed(ControllerEnded())

    def _receive(self, sock: Socket, channel: str) -> None:
        if self._outbox:  # what comes may ask for what was submitted before
            self._empty_outbox()
        for _ in range(BURST):
            frame = sock.recv(zmq.NOBLOCK, copy=False)
            buffers = [frame.buffer]
            while frame.more:
                frame = sock.recv(zmq.NOBLOCK, copy=False)
                buffers.append(frame.buffer)
            if self._debug:
                log.debug("%s <- %s", channel, [len(buffer) for buffer in buffers])
            self._feed(FramesArrived(channel, buffers))
            if not has_message(sock):
                return

    def _empty_outbox(self) -> None:
        self._outbox.empty(self._core.handle, self._perform)

    def _feed(self, event: ClientEvent) -> None:
        self._perform(self._core.handle(event))

    def _perform(self, actions: Sequence[ClientAction]) -> None:
        for action in actions:
            self._performers[type(action)](action)
        if self._core.tasks.resolving:
            self._core.tasks.resolving.clear()

    def _send(self, action: SendFrames) -> None:
        sock, frames = self._sockets[action.channel], action.frames
        if self._debug:
            log.debug("%s -> %s", action.channel, [memoryview(frame).nbytes for frame in frames])
        send(sock, frames)

    def _get_ready(self, action: Welcomed) -> None:
        segments = Segments.of(action.info, pooled=True)
        self._delivery.share(segments or offering(self._core.freight, action.info))
        self.scheme = str(action.info.get("scheme", ""))
        self.ready.set_result(action.info)

    def _lose(self, action: Lose) -> None:
        self._lost = ControllerLost(action.reason)
        self._set_engines({})  # whether any live on, and where, nobody here knows
        self._may_answer = self._is_leaving and action.final
        if action.final:
            self._end(action.asked)
            self.ready.set_exception(_refusal(action) if action.refused else self._lost)
            self._tell_watchers({})

    def _regain(self, action: Regain) -> None:
        log.warning("the controller is back")
        self._lost, self._may_answer = None, True
        self._set_engines(dict(self._core.engines))

    def _say(self, action: TellUser) -> None:
        log.warning("%s", action.text)

    def _note(self, action: Note) -> None:
        self._n_notes += 1
        if self._n_notes <= NOTES_PER_TICK:
            log.warning("dropped a malformed message: %s", one_line(action.text))

    # ---- the end

    def _fail(self, reason: str) -> None:
        """End everything that is waited for, without trust in the core."""
        self._lost = ControllerLost(reason)
        self._end(self.was_shut_down)
        self._set_engines({})
        failure = Failure("ControllerLost", reason)
        pending, self._core.tasks.pending = self._core.tasks.pending, {}
        for msg_id, (_, waiter, index) in (pending | self._core.tasks.resolving).items():
            result = Result(msg_id, "lost", None, failure=failure)
            deliver(cast("AsyncResult", waiter), index, result, (), time.time())
        self.ready.set_exception(self._lost)
        self._tell_watchers({})
        self._core = ClientCore(self._core.links["task"].uuid, {})
        self._core.handle(Closing(reason))

    def _close_sockets(self) -> None:
        self._delivery.share(None)
        if self._lifeline is not None:
            self._lifeline.close()
        says_bye = self._is_leaving and self._may_answer
        for sock in self._sockets.values():
            lingers = says_bye and sock is not self._sockets.get("data")
            sock.close(linger=LINGER_MS if lingers else 0)
        if self._context is not None:
            self._context.term()
        if self.tunnel is not None:
            self.tunnel.close()
        self._outbox.wakes.close()

    def _settle(self) -> None:
        """Fail what was posted after the end."""
        with self._ending:
            while self._outbox:
                event = self._outbox.popleft()  # the core, being over, fails it
                if not isinstance(event, Connected | Closing):
                    self._perform(self._core.handle(event))
        self.gone.set_result(None)
        living.discard(self)


def _refusal(action: Lose) -> ClusterError:
    from hippodrome.errors import AuthenticationError, ProtocolVersionError

    if action.code == "full":
        return ClusterError(action.reason)
    kinds = (ProtocolVersionError, AuthenticationError)
    kind = {kind.code: kind for kind in kinds}.get(action.code, ProtocolError)
    return kind(action.reason)
