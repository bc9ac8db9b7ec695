"""The client's I/O thread: owns both sockets, feeds the core, does what the core says.

User threads append events to an outbox and wake the thread once per burst; it sends whatever is
there. It never waits for user code: results are handed over as they came, and a call that would
block it raises. If it dies, everything that was waited for fails with the reason.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import zmq

from hippodrome.client.link.core import ClientCore
from hippodrome.client.link.events import (
    ClientAction,
    ClientEvent,
    Closing,
    Connected,
    ControllerEnded,
    DeliverAnswer,
    EnginesChanged,
    Enqueue,
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
    Welcomed,
)
from hippodrome.client.link.presence import Presence
from hippodrome.client.link.widget_comms import CommRelay
from hippodrome.client.results.future import LazyFuture
from hippodrome.client.results.slots import deliver, deliver_all
from hippodrome.errors import ClusterError, ControllerLost, ProtocolError
from hippodrome.process.memory import Ebb
from hippodrome.process.wakepipe import WakePipe
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Answer, Failure, MsgId, Result
from hippodrome.protocol.reading import one_line, read
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

_decode_answer: Final = msgspec.msgpack.Decoder(strict=False).decode


class Reply(LazyFuture[Any]):  # Any: what the hub answers
    """The answer, now or later, to a question to the hub.

    Args:
        io: whose thread must not wait for it.
        what: is asked for, to people.

    Attributes:
        buffers: what came along with it.
    """

    def __init__(self, io: IOThread, what: str = "question") -> None:
        self._io = io
        self.what: str = what
        self.buffers: Sequence[Buffer] = ()

    def __repr__(self) -> str:
        word = "cancelled" if self.cancelled() else "failed" if self._has_failed() else "done"
        return f"<{self.what}: {word if self.done() else 'pending'}>"

    def _check_may_wait(self) -> None:
        self._io.check_may_wait()


class IOThread(Presence):
    """Runs a `ClientCore` over two sockets.

    Args:
        core: decides everything.
        sockets: a connected DEALER for each channel; closed in the end.
        context: terminated in the end; None if it belongs to somebody else.
        lifeline: tells whether the controller is still there; closed in the end.
        debug: log every message.

    Attributes:
        is_over: whether the controller, or this client, is gone for good.
        scheme: how the controller chooses engines.
        info: of the controller, as its connection file tells.
        was_shut_down: whether the controller has ended because somebody asked it to.
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
        super().__init__()
        self.ready: Reply = Reply(self, "connection")
        self.gone: Reply = Reply(self, "end of the connection")
        self.is_over: bool = False
        self.was_shut_down: bool = False
        self.scheme: str = ""
        self.info: ConnectionInfo = ConnectionInfo("client", ())
        self._core = core
        self._sockets = dict(sockets)
        self._context = context
        self._lifeline = lifeline
        self._debug = debug
        self._lost: ControllerLost | None = None
        self._outbox: deque[ClientEvent] = deque()
        self._segments: Segments | None = None
        self._is_awake = False
        self._is_forked = False
        self._has_ended = False
        self._is_leaving = False
        self._ending = threading.Lock()
        self._comms = CommRelay()
        self._may_answer = True
        self._n_notes = 0
        self._now = 0.0  # wall clock at the start of this turn of the loop
        self._wakes = WakePipe()
        self._thread = threading.Thread(target=self._run, name="hippodrome-client", daemon=True)
        self._performers: dict[
            type[ClientAction], Callable[[Any], None]
        ] = {  # Any: each its action
            SendFrames: self._send,
            Resolve: self._resolve,
            ResolveAll: self._resolve_all,
            Show: self._show,
            Publish: self._publish,
            DeliverAnswer: self._deliver,
            EnginesChanged: self._change_engines,
            Welcomed: self._get_ready,
            Lose: self._lose,
            Regain: self._regain,
            Enqueue: self._enqueue,
            Note: self._note,
            TellUser: self._say,
        }

    # ---- on any thread

    def start(self) -> None:
        """Introduce this client to the controller."""
        _living.add(self)
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
        elif not self._is_awake:
            self._wake()

    def lend(self, msg_id: MsgId, buffers: Sequence[Buffer]) -> Sequence[Buffer]:
        """Put the large ones of *buffers* where engines on this host can map them."""
        if not buffers or self._segments is None:
            return buffers
        return self._segments.lend(msg_id, buffers)

    def ask(self, name: str, **arguments: Any) -> Reply:  # Any: what msgpack can hold
        """Ask the hub.

        Raises:
            ControllerLost: the controller is not there.
        """
        reply = Reply(self, name.replace("_", " "))
        self.post(Question(name, msgspec.msgpack.encode(arguments), reply))
        return reply

    @property
    def is_lost(self) -> bool:
        """Whether the controller is not there, for now or for good."""
        return self._lost is not None

    @property
    def state(self) -> str:
        """Where the connection stands, in a word or two."""
        if self._is_forked:
            return "of another process"
        if self._is_leaving:
            return "closed"
        if self.was_shut_down:
            return "shut down"
        return "connected" if self._lost is None else "controller lost"

    def check_there(self) -> None:
        """Raise what `post` would raise, if anything."""
        if self._lost is not None or self._is_forked:
            self._raise_trouble()

    def check_may_wait(self) -> None:
        """Raise RuntimeError on the I/O thread, and ClusterError in a forked process."""
        if self.is_current_thread:
            raise RuntimeError(
                "this would wait on the client's I/O thread for ever: in a callback, use results "
                "that are there, or hand over to another thread"
            )
        if self._is_forked:
            self._raise_trouble()

    @property
    def is_current_thread(self) -> bool:
        return threading.get_ident() == self._thread.ident

    @property
    def outstanding(self) -> set[MsgId]:
        """The tasks without a result."""
        found: set[MsgId] = set()
        for event in list(self._outbox):
            if isinstance(event, TaskSubmitted):
                found.add(event.task.msg_id)
            elif isinstance(event, SubmittedBundle):
                found.update(event.bundle.msg_ids)
            elif isinstance(event, SubmittedDirect):
                found.update(event.message.msg_ids)
        core = self._core  # asked in this order, which is that in which tasks go
        return found.union(core.tasks.pending, core.tasks.resolving)

    def find(self, msg_id: MsgId) -> tuple[AsyncResult, int] | None:
        """Return where the result of a task that is outstanding will be."""
        found = self._find_pending(msg_id) or self._find_in_outbox(msg_id)
        return found or self._find_pending(msg_id)  # it may have left the outbox in between

    def _find_pending(self, msg_id: MsgId) -> tuple[AsyncResult, int] | None:
        core = self._core
        found = core.tasks.pending.get(msg_id) or core.tasks.resolving.get(msg_id)
        return None if found is None else (cast("AsyncResult", found[1]), found[2])

    def _find_in_outbox(self, msg_id: MsgId) -> tuple[AsyncResult, int] | None:
        for event in list(self._outbox):
            if isinstance(event, TaskSubmitted) and event.task.msg_id == msg_id:
                return cast("AsyncResult", event.waiter), event.index
            if isinstance(event, SubmittedBundle) and msg_id in event.bundle.msg_ids:
                index = event.first + event.bundle.msg_ids.index(msg_id)
                return cast("AsyncResult", event.waiter), index
            if isinstance(event, SubmittedDirect) and msg_id in event.message.msg_ids:
                index = event.first + event.message.msg_ids.index(msg_id)
                return cast("AsyncResult", event.waiter), index
        return None

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
            self._wake()

    def why_lost(self) -> ControllerLost:
        """Return the error that tells why there is no controller."""
        return self._lost or ControllerLost("the client was closed")

    def on_fork(self) -> None:
        """This is the child now: it has neither the thread nor a right to the sockets."""
        self._is_forked = True

    def _wake(self) -> None:
        self._is_awake = True
        self._wakes.wake()  # if it is closed: see `_settle`

    def _raise_trouble(self) -> None:
        if self._is_forked:
            raise ClusterError(
                "this process was forked from the one that made the client, and has no connection "
                "of its own: make a new Client here"
            )
        lost = self._lost  # which the thread forgets when the controller is back
        if lost is not None:
            raise ControllerLost(str(lost))

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
        wake = self._wakes.fd
        for source in (*self._sockets.values(), wake):
            poller.register(source, zmq.POLLIN)
        tick_due = time.monotonic()
        ebb = Ebb(tick_due)
        while not self.is_over:
            timeout_s = max(0.0, tick_due - time.monotonic())
            arrived = poller.poll(int(1000 * timeout_s))
            self._now = time.time()
            for sock, _ in arrived:
                if sock == wake:
                    self._wakes.clear()
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
        """Hand over all that is there, and only then ask to be woken again."""
        outbox, handle = self._outbox, self._core.handle
        while True:
            if not outbox:
                self._is_awake = False
                if not outbox:
                    return
                self._is_awake = True
            while outbox:
                actions = handle(outbox[0])
                outbox.popleft()  # afterwards: a task is always in the one place or the other
                if actions:
                    self._perform(actions)
            self._feed(Turned())

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

    def _resolve(self, action: Resolve) -> None:
        waiter, index, result = cast("AsyncResult", action.waiter), action.index, action.result
        waiter._client._kept[result.msg_id] = (waiter, index)
        if result.shown is not None:
            self._comms.end(waiter, result)
        try:
            buffers = self._take_over(action.buffers)
        except (OSError, ValueError) as error:  # the latter: there is nothing in it
            failure = Failure("DeserializationError", f"a part of the result is gone: {error}")
            result = Result(result.msg_id, "error", result.engine, failure=failure)
            buffers = ()
        deliver(waiter, index, result, buffers, self._now)

    def _take_over(self, buffers: Sequence[Buffer]) -> Sequence[Buffer]:
        """Return *buffers* with what lies in segments in place of references.

        Raises:
            OSError: a segment is gone.
        """
        if not buffers or self._segments is None:
            return buffers
        return self._segments.take_over(buffers)

    def _resolve_all(self, action: ResolveAll) -> None:
        now, results, indices = self._now, action.results, action.indices
        waiters = cast("list[AsyncResult]", action.waiters)
        if not waiters:
            return
        first = waiters[0]
        places = zip(waiters, indices, strict=True)
        first._client._kept.update(zip((one.msg_id for one in results), places, strict=True))
        if waiters.count(first) == len(waiters):
            deliver_all(first, indices, results, now)
            return
        for waiter, index, result in zip(waiters, indices, results, strict=True):
            deliver(waiter, index, result, (), now)

    def _show(self, action: Show) -> None:
        waiter = cast("AsyncResult", action.waiter)
        if action.piece.comm is not None:
            self._comms.show(waiter, action.piece)
        else:
            waiter._tasks.show(action.index, action.piece, action.engine)

    def _publish(self, action: Publish) -> None:
        publish = cast("AsyncResult", action.waiter)._tasks.publish
        publish(action.index, action.datum, action.buffers)

    def _deliver(self, action: DeliverAnswer) -> None:
        reply = cast("Reply", action.waiter)
        answer: Answer = action.answer
        try:
            reply.buffers = self._take_over(action.buffers)
        except (OSError, ValueError) as error:
            failure = Failure("ResultExpired", f"a part of the answer is gone: {error}")
            answer = Answer(answer.number, error=failure)
        if answer.error is not None:
            reply.set_exception(_query_error(answer.error))
        else:
            self._set_answer(reply, answer.value)

    def _set_answer(self, reply: Reply, value: bytes) -> None:
        try:
            found = read(_decode_answer, value or b"\xc0", "an answer")
        except ProtocolError as error:
            reply.set_exception(error)
        else:
            reply.set_result(found)

    def _get_ready(self, action: Welcomed) -> None:
        self._close_segments()
        self._segments = Segments.of(action.info, pooled=True)
        self.scheme = str(action.info.get("scheme", ""))
        self.ready.set_result(action.info)

    def _lose(self, action: Lose) -> None:
        self._lost = ControllerLost(action.reason)
        self._set_engines({})  # whether any live on, and where, nobody here knows
        self._may_answer = self._is_leaving and action.final
        if action.final:
            self.is_over, self.was_shut_down = True, action.asked
            self.ready.set_exception(_refusal(action) if action.refused else self._lost)
            self._tell_watchers({})

    def _regain(self, action: Regain) -> None:
        log.warning("the controller is back")
        self._lost, self._may_answer = None, True
        self._set_engines(dict(self._core.engines))

    def _enqueue(self, action: Enqueue) -> None:
        self._outbox.append(action.event)  # which is emptied in each turn of the loop

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
        self.is_over = True
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

    def _close_segments(self) -> None:
        if self._segments is not None:
            self._segments.close()

    def _close_sockets(self) -> None:
        self._close_segments()
        if self._lifeline is not None:
            self._lifeline.close()
        says_bye = self._is_leaving and self._may_answer
        for sock in self._sockets.values():
            sock.close(linger=LINGER_MS if says_bye else 0)
        if self._context is not None:
            self._context.term()
        self._wakes.close()

    def _settle(self) -> None:
        """Fail what was posted after the end."""
        with self._ending:
            while self._outbox:
                event = self._outbox.popleft()  # the core, being over, fails it
                if not isinstance(event, Connected | Closing):
                    self._perform(self._core.handle(event))
        self.gone.set_result(None)
        _living.discard(self)


_living: set[IOThread] = set()  # no weak ones: other threads must not change it while it is read


def _on_fork() -> None:
    for io in list(_living):
        io.on_fork()
    _living.clear()


def _on_exit() -> None:
    """Leave before the interpreter does: daemon threads do not survive that."""
    for io in list(_living):
        io.leave("the client's process ends")
    for io in list(_living):
        io.close()


atexit.register(_on_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_on_fork)


def _query_error(failure: Failure) -> Exception:
    from hippodrome.serialize import restore_error

    return restore_error(failure)


def _refusal(action: Lose) -> ClusterError:
    from hippodrome.errors import AuthenticationError, ProtocolVersionError

    if action.code == "full":
        return ClusterError(action.reason)
    kinds = (ProtocolVersionError, AuthenticationError)
    kind = {kind.code: kind for kind in kinds}.get(action.code, ProtocolError)
    return kind(action.reason)
