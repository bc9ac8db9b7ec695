"""What an engine decides: which attempt starts next, which never will, and what to tell.

Pure: messages, outcomes and the time go in, actions come out, and nothing here waits. The shell
may call from two threads, one at a time. The rules:

- Attempts start strictly in the order of their serial numbers, each at most once. One whose
  function is missing holds up everything behind it.
- An attempt that was dropped, or superseded by a newer one of the same task, never starts.
- An attempt has one outcome, or was named in a `Dropped`, never both. Therefore an attempt that
  ended is remembered until the controller has acknowledged its outcome: a `Drop` that comes
  later was sent before the outcome was seen, and whatever is answered to it is too late to matter.
- Everything that is remembered has a bound.
"""

from __future__ import annotations

import enum
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

import msgspec

from hippodrome.errors import ProtocolError
from hippodrome.protocol.frames import Buffer, BufferReader, Frames
from hippodrome.protocol.link import Link
from hippodrome.protocol.messages import (
    Assign,
    Attempt,
    Beat,
    Bye,
    Digest,
    Drop,
    Dropped,
    EngineId,
    Functions,
    Message,
    MsgId,
    NeedFunctions,
    Outcome,
    Outcomes,
    PeerId,
    PeerMessage,
    Refused,
    Registered,
    Welcome,
)

FUNCTION_LIMIT: Final = 1_000
EARLY_DROP_LIMIT: Final = 1 << 18
FAILED_TO_REGISTER: Final = 255


class Channel(enum.Enum):
    """Which of the engine's two connections."""

    TASK = "task"
    CONTROL = "control"


class State(enum.Enum):
    """What is true of an attempt that has arrived."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"  # its outcome is not acknowledged yet
    DROPPED = "dropped"  # it stays in the queue until its turn, and is passed over then


# An attribute of an enumeration costs more than a variable, and these are used for every task.
_QUEUED, _RUNNING, _ENDED, _DROPPED = State


@dataclass(frozen=True, slots=True)
class Send:
    """Put these frames on the connection."""

    channel: Channel
    frames: Frames


@dataclass(frozen=True, slots=True)
class Join:
    """The controller has given this engine its number."""

    engine: EngineId


@dataclass(frozen=True, slots=True)
class StartOver:
    """The controller does not know this engine any more: serial numbers begin anew."""


@dataclass(frozen=True, slots=True)
class Leave:
    """End this process with *exit_code*, once what is ready has been sent."""

    reason: str
    exit_code: int


Action = Send | Join | StartOver | Leave


class Start(msgspec.Struct, frozen=True, gc=False):
    """Run this attempt now. ``function`` is the pickle that its digest names."""

    serial: int
    attempt: Attempt
    buffers: tuple[Buffer, ...]
    function: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What an engine has, for tests and for people."""

    engine: EngineId | None
    queued: tuple[tuple[MsgId, int], ...]
    running: tuple[MsgId, int] | None
    ended: int
    early_drops: int
    functions: int
    asked: frozenset[Digest]


class _Item(msgspec.Struct, gc=False):  # cheaper than a dataclass, and there is one per task
    serial: int
    attempt: Attempt
    buffers: tuple[Buffer, ...]
    state: State = State.QUEUED


class EngineCore:
    """One engine, both of its channels included.

    Args:
        uuid: names the engine for as long as its process lives.
        info: host, pid, node and versions, for the controller.
        registration_timeout_s: how long to wait for a number, counted from the first `tick`.
        function_limit: how many functions to keep.
        early_drop_limit: how many drops of attempts that have not arrived to remember. It is
            large because a whole queue may be waiting in the socket behind one long task.
    """

    def __init__(
        self,
        uuid: PeerId,
        info: dict[str, str | int],
        registration_timeout_s: float = 5.0,
        function_limit: int = FUNCTION_LIMIT,
        early_drop_limit: int = EARLY_DROP_LIMIT,
    ) -> None:
        self.links = {
            Channel.TASK: Link("engine", "task", uuid, info),
            Channel.CONTROL: Link("engine", "control", uuid, info),
        }
        self.engine: EngineId | None = None
        self.running: _Item | None = None
        self._tasks = self.links[Channel.TASK]
        self._timeout_s = registration_timeout_s
        self._deadline: float | None = None
        self._function_limit = function_limit
        self._early_drop_limit = early_drop_limit
        self._was_welcomed = False
        self._queue: deque[_Item] = deque()
        self._newest: dict[MsgId, _Item] = {}  # of each task, unless acknowledged or dropped
        self._next_serial = 0
        self._functions: OrderedDict[Digest, bytes] = OrderedDict()
        self._asked: set[Digest] = set()
        self._early_drops: OrderedDict[tuple[MsgId, int], None] = OrderedDict()
        self._outcomes: list[Outcome] = []
        self._buffers: list[Buffer] = []
        self._unacknowledged: deque[tuple[int, list[Outcome]]] = deque()

    # what comes in

    def hello(self, channel: Channel) -> list[Action]:
        """Introduce the engine over a new connection."""
        return self._out(channel, self.links[channel].hello())

    def receive(self, channel: Channel, frames: Frames) -> list[Action]:
        """Handle one message off the wire.

        Raises:
            ProtocolError: it is malformed, or not for engines; nothing has changed.
        """
        received = self.links[channel].receive(frames)
        actions = self._out(channel, received.replies)
        if channel is Channel.TASK:
            self._forget_acknowledged()
        if received.message is not None:
            actions += self._handle(channel, received.message, received.buffers)
        return actions

    def tick(self, channel: Channel, now: float) -> list[Action]:
        """Repeat what may have been lost; *now* is any monotonic time in seconds."""
        actions = self._out(channel, self.links[channel].tick(now))
        if channel is Channel.CONTROL and self.engine is None:
            actions += self._wait_for_registration(now)
        return actions

    def is_quiet(self, channel: Channel) -> bool:
        """Say whether `tick` may wait for seconds unless something happens on this channel."""
        link = self.links[channel]
        return link.is_open and not link.stream.n_unacknowledged

    def next_attempt(self) -> Start | None:
        """Return the attempt that starts now; None if there is none or its function is missing.

        Complexity:
            O(1), amortized over the dropped attempts that are passed over.
        """
        queue = self._queue
        while queue:
            item = queue[0]
            if item.state is _DROPPED:
                queue.popleft()
                continue
            digest = item.attempt.function
            function = self._functions.get(digest)
            if function is None:
                return None
            self._functions.move_to_end(digest)
            queue.popleft()
            item.state = _RUNNING
            self.running = item
            start = Start(item.serial, item.attempt, item.buffers, function)
            item.buffers = ()
            return start
        return None

    def finish(self, outcome: Outcome, buffers: Sequence[Buffer] = ()) -> None:
        """Take the outcome of the running attempt; it leaves with the next `flush`."""
        item = self.running
        assert item is not None
        assert (item.attempt.msg_id, item.attempt.attempt) == (outcome.msg_id, outcome.attempt)
        item.state = _ENDED
        self.running = None
        self._outcomes.append(outcome)
        if buffers:
            self._buffers.extend(buffers)

    def flush(self) -> list[Action]:
        """Send the outcomes that are ready, and ask for the function that is missing."""
        actions: list[Action] = []
        if self._outcomes:
            actions += self._send(Channel.TASK, Outcomes(self._outcomes), self._buffers)
            self._unacknowledged.append((self._tasks.stream.sent, self._outcomes))
            self._outcomes, self._buffers = [], []
        return actions + self._ask(item.attempt.function for item in islice(self._queue, 1))

    @property
    def n_outcomes(self) -> int:
        """How many outcomes wait for a `flush`."""
        return len(self._outcomes)

    @property
    def has_next(self) -> bool:
        """Whether `next_attempt` would return something other than None."""
        head = next((item for item in self._queue if item.state is _QUEUED), None)
        return head is not None and head.attempt.function in self._functions

    # messages

    def _handle(self, channel: Channel, message: PeerMessage, buffers: Frames) -> list[Action]:
        match message, channel:
            case Assign(), Channel.TASK:
                return self._on_assign(message, buffers)
            case Functions(), Channel.TASK:
                reader = BufferReader(buffers)
                pickles = reader.take(len(message.digests))
                reader.check_empty()
                self._learn(message.digests, pickles)
                # What was asked for and did not come was not needed any more; it may be again.
                self._asked.clear()
                return []
            case Welcome(), Channel.TASK:
                return self._on_welcome(message)
            case Drop(), Channel.CONTROL:
                return self._on_drop(message)
            case Registered(), Channel.CONTROL:
                self.engine = message.engine
                return [Join(message.engine)]
            case ((Welcome() | Beat()), Channel.CONTROL):
                return []
            case Bye(), _:
                return [Leave(message.reason or "the controller said good-bye", 0)]
            case Refused(), _:
                return [Leave(f"the controller refused: {message.reason}", FAILED_TO_REGISTER)]
            case _:
                name = type(message).__name__
                raise ProtocolError(f"{name} on the {channel.value} channel of an engine")

    def _on_assign(self, message: Assign, buffers: Frames) -> list[Action]:
        reader = BufferReader(buffers)
        pickles = reader.take(len(message.functions))
        owned = [reader.take(attempt.n_buffers) for attempt in message.attempts]
        reader.check_empty()
        self._learn(message.functions, pickles)
        superseded: list[tuple[MsgId, int]] = []
        for serial, (attempt, own) in enumerate(
            zip(message.attempts, owned, strict=True), message.first
        ):
            if serial >= self._next_serial:
                self._next_serial = serial + 1
                superseded += self._enqueue(_Item(serial, attempt, own))
        return self._dropped(superseded) + self._ask([a.function for a in message.attempts])

    def _enqueue(self, item: _Item) -> list[tuple[MsgId, int]]:
        """Queue *item* if it may start; return the attempts that by this never will."""
        msg_id, number = item.attempt.msg_id, item.attempt.attempt
        if self._early_drops and (msg_id, number) in self._early_drops:
            del self._early_drops[msg_id, number]
            return []  # it was named in a `Dropped` already
        older = self._newest.get(msg_id)
        if older is None:
            self._newest[msg_id] = item
            self._queue.append(item)
            return []
        if number <= older.attempt.attempt:
            return [] if number == older.attempt.attempt else [(msg_id, number)]
        self._newest[msg_id] = item
        self._queue.append(item)
        if older.state is not _QUEUED:
            return []
        self._discard(older)
        return [(msg_id, older.attempt.attempt)]

    def _on_drop(self, message: Drop) -> list[Action]:
        begun = self._begun()
        dropped = [a for a in message.attempts if tuple(a) not in begun and self._drop(*a)]
        return self._send(Channel.CONTROL, Dropped(dropped))

    def _begun(self) -> set[tuple[MsgId, int]]:
        """Return the attempts that run, or have ended unacknowledged.

        A later attempt of the same task may have hidden one, and have been dropped itself.
        """
        ended = chain(self._outcomes, *(outcomes for _, outcomes in self._unacknowledged))
        begun = {(outcome.msg_id, outcome.attempt) for outcome in ended}
        if self.running is not None:
            begun.add((self.running.attempt.msg_id, self.running.attempt.attempt))
        return begun

    def _drop(self, msg_id: MsgId, number: int) -> bool:
        """See to it that this attempt does not start; return False if it is too late for that."""
        item = self._newest.get(msg_id)
        if item is None or number > item.attempt.attempt:
            self._early_drops[msg_id, number] = None
            if len(self._early_drops) > self._early_drop_limit:
                self._early_drops.popitem(last=False)
            return True
        if number < item.attempt.attempt or item.state is not _QUEUED:
            return False  # superseded, which has been told, or begun
        del self._newest[msg_id]
        self._discard(item)
        return True

    def _on_welcome(self, message: Welcome) -> list[Action]:
        starts_over = message.fresh and self._was_welcomed
        self._was_welcomed = True
        if not starts_over:
            return []
        for item in self._queue:
            self._discard(item)
        self._queue.clear()
        self._newest.clear()
        self._early_drops.clear()
        self._asked.clear()
        self._unacknowledged.clear()
        self._next_serial = 0
        return [StartOver()]

    # helpers

    def _learn(self, digests: Sequence[Digest], pickles: Sequence[Buffer]) -> None:
        for digest, pickled in zip(digests, pickles, strict=True):
            self._functions[digest] = bytes(pickled)
            self._functions.move_to_end(digest)
            self._asked.discard(digest)
        while len(self._functions) > self._function_limit:
            self._functions.popitem(last=False)

    def _discard(self, item: _Item) -> None:
        item.state = _DROPPED
        item.buffers = ()

    def _forget_acknowledged(self) -> None:
        stream = self._tasks.stream
        acknowledged = stream.sent - stream.n_unacknowledged
        while self._unacknowledged and self._unacknowledged[0][0] <= acknowledged:
            for outcome in self._unacknowledged.popleft()[1]:
                item = self._newest.get(outcome.msg_id)
                if item is not None and item.attempt.attempt == outcome.attempt:
                    del self._newest[outcome.msg_id]

    def _wait_for_registration(self, now: float) -> list[Action]:
        if self._deadline is None:
            self._deadline = now + self._timeout_s
        if now < self._deadline:
            return []
        answered = any(link.is_open for link in self.links.values())
        what = "did not register this engine" if answered else "did not answer"
        return [Leave(f"the controller {what} within {self._timeout_s:g} s", FAILED_TO_REGISTER)]

    def _ask(self, digests: Iterable[Digest]) -> list[Action]:
        """Ask for those of *digests* that are missing and were not asked for."""
        have, asked = self._functions, self._asked
        missing = [d for d in dict.fromkeys(digests) if d not in have and d not in asked]
        if not missing:
            return []
        asked.update(missing)
        return self._send(Channel.TASK, NeedFunctions(missing))

    def _dropped(self, attempts: list[tuple[MsgId, int]]) -> list[Action]:
        return self._send(Channel.CONTROL, Dropped(attempts)) if attempts else []

    def _send(
        self, channel: Channel, message: Message, buffers: Sequence[Buffer] = ()
    ) -> list[Action]:
        return self._out(channel, self.links[channel].send(message, buffers))

    def _out(self, channel: Channel, messages: list[Frames]) -> list[Action]:
        return [Send(channel, frames) for frames in messages]

    # for tests and people

    def snapshot(self) -> Snapshot:
        """Return what this engine has, as a frozen record."""
        running = self.running
        return Snapshot(
            self.engine,
            tuple(_name(item) for item in self._queue if item.state is _QUEUED),
            None if running is None else _name(running),
            sum(len(outcomes) for _, outcomes in self._unacknowledged) + len(self._outcomes),
            len(self._early_drops),
            len(self._functions),
            frozenset(self._asked),
        )

    def check(self) -> None:
        """Assert every invariant."""
        serials = [item.serial for item in self._queue]
        assert serials == sorted(set(serials)), "the queue is in serial order"
        assert not serials or serials[-1] < self._next_serial
        assert all(item.state in (_QUEUED, _DROPPED) for item in self._queue)
        for item in self._queue:
            known = self._newest.get(item.attempt.msg_id) is item
            assert known == (item.state is _QUEUED), "what is queued is the newest attempt"
        queued = {id(item) for item in self._queue}
        for item in self._newest.values():
            assert item.state is not _DROPPED
            assert (item.state is _QUEUED) == (id(item) in queued)
            assert item.state is not _RUNNING or item is self.running
        assert self.running is None or self.running.state is _RUNNING
        assert len(self._functions) <= self._function_limit
        assert len(self._early_drops) <= self._early_drop_limit
        assert not self._asked & self._functions.keys(), "what is here is not asked for"
        numbers = [number for number, _ in self._unacknowledged]
        assert numbers == sorted(numbers)
        for link in self.links.values():
            link.stream.check()


def _name(item: _Item) -> tuple[MsgId, int]:
    return item.attempt.msg_id, item.attempt.attempt
