"""An engine decides here which attempt starts next, which never will, and what to tell.

Pure: messages, outcomes and the time go in, actions come out, and nothing here waits. The shell
may call from two threads, one at a time. The rules, beside those of `attemptqueue`:

- A cell that fails takes with it the cells of the same client that wait behind it: their outcome
  is that they were aborted.
- An attempt has one outcome, or was named in a `Dropped`, never both. Therefore an attempt that
  ended is remembered until the controller has acknowledged its outcome: a `Drop` that comes
  later was sent before the outcome was seen, and whatever is answered to it is too late to matter.
- Everything that is remembered has a bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hippodrome.engine.actions import Action, EngineChannel, Interrupt, Join, Leave, StartOver, send
from hippodrome.engine.attemptqueue import AttemptQueue
from hippodrome.engine.attempts import (
    AttemptEnded,
    EngineSnapshot,
    StartAttempt,
    Value,
    items_of,
    not_begun,
)
from hippodrome.engine.ended import EndedAttempts
from hippodrome.engine.passing_on import LivePiece, PassingOn
from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer, BufferReader, Frames
from hippodrome.protocol.functions import UNUSED_BYTES
from hippodrome.protocol.link import Link
from hippodrome.protocol.silence import REGISTRATION_S, ListeningClock
from hippodrome.protocol.stream import SIZES, Sizes

EARLY_DROP_LIMIT: Final = 1 << 18
FAILED_TO_REGISTER: Final = 255


class EngineCore:
    """One engine, both of its channels included.

    Args:
        uuid: names the engine for as long as its process lives.
        info: host, pid, node and versions, for the controller.
        registration_timeout_s: how long to wait for a number, counted from the first `tick`.
        function_bytes: how much to keep of functions that nothing here calls for now.
        early_drop_limit: how many drops of attempts that have not arrived to remember. It is
            large because a whole queue may be waiting in the socket behind one long task.
        sizes: how large things may be on their way.
        secret: by which the controller knows this engine again.
        engaged: what the engine is busy with from the start; see `Engaged`.
    """

    def __init__(
        self,
        uuid: m.PeerId,
        info: dict[str, str | int],
        registration_timeout_s: float = REGISTRATION_S,
        function_bytes: int = UNUSED_BYTES,
        early_drop_limit: int = EARLY_DROP_LIMIT,
        sizes: Sizes = SIZES,
        secret: bytes = b"",
        engaged: str = "",
    ) -> None:
        if engaged:
            info = {**info, "engaged": engaged}
        self._engaged = engaged
        self.links: dict[EngineChannel, Link] = {
            channel: Link("engine", channel.value, uuid, info, sizes, secret)
            for channel in EngineChannel
        }
        self.engine: m.EngineId | None = None
        self._tasks = self.links[EngineChannel.TASK]
        self._live = PassingOn(self.links[EngineChannel.CONTROL])
        self._live_data = PassingOn(self._tasks)
        self._timeout_s = registration_timeout_s
        self._waiting = ListeningClock()
        self._was_welcomed = False
        self._attempts = AttemptQueue(function_bytes, early_drop_limit)
        self._functions = self._attempts.functions
        self._ended = EndedAttempts()

    @property
    def running(self) -> StartAttempt | None:
        """The attempt that has begun and not ended."""
        return self._attempts.running

    # what comes in

    def hello(self, channel: EngineChannel) -> list[Action]:
        """Introduce the engine over a new connection."""
        return send(channel, self.links[channel].hello())

    def receive(self, channel: EngineChannel, frames: Frames) -> list[Action]:
        """Handle one message off the wire.

        Raises:
            ProtocolError: it is malformed, or not for engines; nothing has changed.
        """
        received = self.links[channel].receive(frames)
        actions = send(channel, received.replies)
        if channel is EngineChannel.TASK:
            stream = self._tasks.stream
            acknowledged = stream.sent - stream.n_unacknowledged
            for outcomes in self._ended.take_acknowledged(acknowledged):
                self._attempts.forget(outcomes)
        if received.message is not None:
            actions += self._handle(channel, received.message, received.buffers)
        return actions

    def tick(self, channel: EngineChannel, now: float) -> list[Action]:
        """Repeat what may have been lost; *now* is any monotonic time in seconds."""
        actions = send(channel, self.links[channel].tick(now))
        if channel is EngineChannel.CONTROL and self.engine is None:
            actions += self._wait_for_registration(now)
        return actions

    def renewed(self, channel: EngineChannel) -> list[Action]:
        """There is a new connection, of which the controller does not know whose it is."""
        link = self.links[channel]
        return send(channel, [link.stream.sync()] if link.is_open else [])

    def is_quiet(self, channel: EngineChannel) -> bool:
        """Say whether `tick` may wait for seconds unless something happens on this channel."""
        link = self.links[channel]
        return link.is_open and not link.stream.n_unacknowledged

    @property
    def is_passing(self) -> bool:
        """Whether a large message is half here or half away, and the task channel needs care."""
        return self._tasks.stream.is_passing

    def next_attempt(self) -> StartAttempt | None:
        """Return the attempt that starts now; None if there is none or its function is missing."""
        return self._attempts.begin()

    def finish(self, ended: AttemptEnded) -> None:
        """Take the outcome of the running attempt; it leaves with the next `flush`."""
        start = self._attempts.running
        assert start is not None
        self._attempts.running = None
        self._ended.add(start, ended)
        if ended.ends_cells:
            for msg_id, attempt in self._attempts.drop_cells_like(start):
                self._ended.add_not_begun(not_begun(msg_id, attempt))

    def flush(self) -> list[Action]:
        """Send the outcomes that are ready, and ask for the function that is missing."""
        actions: list[Action] = []
        if published := self._ended.take_published():
            actions += self._send(EngineChannel.TASK, *published)
        if ready := self._ended.take_outcomes():
            actions += self._send(EngineChannel.TASK, *ready)
            self._ended.note_sent(self._tasks.stream.sent, ready[0])
        head = self._attempts.head()
        return actions if head is None else actions + self._ask([head.function])

    def engage(self, what: str) -> list[Action]:
        """Say what the engine is busy with beside tasks from now on; empty for nothing."""
        self._engaged = what
        is_known = self.engine is not None
        return self._send(EngineChannel.CONTROL, m.Engaged(what)) if is_known else []

    def may_show(self) -> bool:
        """Whether something runs that could show anything, and the controller keeps up."""
        return self.running is not None and self.engine is not None and self._live.has_room()

    def show(self, shown: Sequence[LivePiece]) -> list[Action]:
        """Pass on what the running attempt has just shown: stream, place and what it is."""
        if self.running is None or not shown:
            return []
        return send(EngineChannel.CONTROL, self._live.show(self.running, shown))

    def may_publish(self) -> bool:
        """Whether something runs that could publish anything, and the controller keeps up."""
        return self.running is not None and self.engine is not None and self._live_data.has_room()

    def publish(self, values: Sequence[Value]) -> list[Action]:
        """Pass on what the running attempt has just published."""
        if self.running is None or not values:
            return []
        return send(EngineChannel.TASK, self._live_data.publish(self.running, values))

    @property
    def n_outcomes(self) -> int:
        """How many outcomes wait for a `flush`."""
        return self._ended.n_ready

    @property
    def has_next(self) -> bool:
        """Whether `next_attempt` would return something other than None."""
        head = self._attempts.head()
        return head is not None and head.function in self._functions

    # messages

    def _handle(
        self, channel: EngineChannel, message: m.PeerMessage, buffers: Frames
    ) -> list[Action]:
        match message, channel:
            case m.Assign(), EngineChannel.TASK:
                return self._on_assign(message, buffers)
            case m.Functions(), EngineChannel.TASK:
                reader = BufferReader(buffers)
                pickles = reader.take(len(message.digests))
                reader.check_empty()
                self._functions.learn(message.digests, pickles)
                # What was asked for and did not come was not needed any more; it may be again.
                self._functions.asked.clear()
                return []
            case m.Welcome(), EngineChannel.TASK:
                return self._on_welcome(message)
            case m.Drop(), EngineChannel.CONTROL:
                return self._on_drop(message)
            case m.Registered(engine, taken=True), EngineChannel.CONTROL:
                text = f"the controller refused: engine id {engine} is taken by another engine"
                return [Leave(text, FAILED_TO_REGISTER)]
            case m.Registered(), EngineChannel.CONTROL:
                self.engine = message.engine
                return [Join(message.engine), *self.engage(self._engaged)]
            case ((m.Welcome() | m.Beat()), EngineChannel.CONTROL):
                return []
            case m.Bye(), _:
                return [Leave(message.reason or "the controller said good-bye", 0)]
            case m.Refused(), _:
                return [Leave(f"the controller refused: {message.reason}", FAILED_TO_REGISTER)]
            case _:
                name = type(message).__name__
                raise ProtocolError(f"{name} on the {channel.value} channel of an engine")

    def _on_assign(self, message: m.Assign, buffers: Frames) -> list[Action]:
        reader = BufferReader(buffers)
        pickles = reader.take(len(message.functions))
        items = items_of(message, reader)
        superseded = self._attempts.put(items)
        self._functions.learn(message.functions, pickles)  # now that they are in use, however large
        actions = self._send(EngineChannel.CONTROL, m.Dropped(superseded)) if superseded else []
        return actions + self._ask([a.function for a in message.attempts])

    def _on_drop(self, message: m.Drop) -> list[Action]:
        begun = set(self._ended.attempts())
        if self.running is not None:
            begun.add((self.running.msg_id, self.running.attempt))
        dropped = [a for a in message.attempts if tuple(a) not in begun and self._attempts.drop(*a)]
        actions = self._send(EngineChannel.CONTROL, m.Dropped(dropped))
        running = self.running if message.interrupt else None
        if running and (running.msg_id, running.attempt) in map(tuple, message.attempts):
            actions.append(Interrupt(running.serial))
        return actions

    def _on_welcome(self, message: m.Welcome) -> list[Action]:
        starts_over = message.fresh and self._was_welcomed
        self._was_welcomed = True
        if not starts_over:
            return []
        self._attempts.clear()
        self._ended.forget_sent()
        return [StartOver()]

    # helpers

    def _wait_for_registration(self, now: float) -> list[Action]:
        if self._waiting.tick(now) < self._timeout_s:
            return []
        answered = any(link.is_open for link in self.links.values())
        what = "did not register this engine" if answered else "did not answer"
        return [Leave(f"the controller {what} within {self._timeout_s:g} s", FAILED_TO_REGISTER)]

    def _ask(self, digests: Iterable[m.Digest]) -> list[Action]:
        """Ask for those of *digests* that are missing and were not asked for."""
        missing = self._functions.to_ask(digests)
        return self._send(EngineChannel.TASK, m.NeedFunctions(missing)) if missing else []

    def _send(
        self, channel: EngineChannel, message: m.Message, buffers: Sequence[Buffer] = ()
    ) -> list[Action]:
        return send(channel, self.links[channel].send(message, buffers))

    # for tests and people

    def snapshot(self) -> EngineSnapshot:
        """Return what this engine has, as a frozen record."""
        running = self.running
        return EngineSnapshot(
            self.engine,
            tuple(self._attempts.queued()),
            None if running is None else (running.msg_id, running.attempt),
            sum(1 for _ in self._ended.attempts()),
            self._attempts.n_early_drops,
            len(self._functions),
            frozenset(self._functions.asked),
        )

    def __repr__(self) -> str:
        return f"<EngineCore {self.snapshot()}>"

    def check(self) -> None:
        """Assert every invariant."""
        self._attempts.check()
        self._ended.check()
        for link in self.links.values():
            link.stream.check()
