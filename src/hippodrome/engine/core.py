"""An engine decides here which attempt starts next, which never will, and what to tell.

Pure: messages, outcomes and the time go in, actions come out, and nothing here waits. The shell
may call from two threads, one at a time. The rules:

- Attempts start strictly in the order of their serial numbers, each at most once. One whose
  function is missing holds up everything behind it.
- An attempt that was dropped, or superseded by a newer one of the same task, never starts.
- A cell that fails takes with it the cells of the same client that wait behind it: their outcome
  is that they were aborted.
- An attempt has one outcome, or was named in a `Dropped`, never both. Therefore an attempt that
  ended is remembered until the controller has acknowledged its outcome: a `Drop` that comes
  later was sent before the outcome was seen, and whatever is answered to it is too late to matter.
- Everything that is remembered has a bound.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from hippodrome.engine.actions import (
    Action,
    EngineChannel,
    Interrupt,
    Join,
    Leave,
    Send,
    StartOver,
)
from hippodrome.engine.attempts import (
    AttemptEnded,
    EngineSnapshot,
    Item,
    StartAttempt,
    Value,
    check_serials,
    data_of,
    is_plain,
    item_of,
    not_begun,
    submitter_of,
)
from hippodrome.errors import ProtocolError
from hippodrome.protocol.bundles import ids_of
from hippodrome.protocol.frames import Buffer, BufferReader, Frames
from hippodrome.protocol.functions import UNUSED_BYTES, FunctionCache
from hippodrome.protocol.inflight import InFlight
from hippodrome.protocol.link import Link
from hippodrome.protocol.messages import (
    Assign,
    Beat,
    Bye,
    CommMessage,
    Datum,
    Digest,
    Display,
    Drop,
    Dropped,
    Engaged,
    EngineId,
    Functions,
    Message,
    MsgId,
    NeedFunctions,
    Outcome,
    OutcomeBundle,
    Outcomes,
    Output,
    PeerId,
    PeerMessage,
    Piece,
    Published,
    Refused,
    Registered,
    Welcome,
)
from hippodrome.protocol.silence import REGISTRATION_S, ListeningClock
from hippodrome.protocol.stream import SIZES, Sizes

EARLY_DROP_LIMIT: Final = 1 << 18
FAILED_TO_REGISTER: Final = 255
LIVE_MESSAGES: Final = 65  # on their way; one more than are acknowledged at the latest
LIVE_BYTES: Final = 8 << 20


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
        uuid: PeerId,
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
        self.engine: EngineId | None = None
        self.running: StartAttempt | None = None
        self._tasks = self.links[EngineChannel.TASK]
        control = self.links[EngineChannel.CONTROL].stream
        self._live = InFlight(control, LIVE_BYTES, LIVE_MESSAGES)
        self._live_data = InFlight(self._tasks.stream, LIVE_BYTES, LIVE_MESSAGES)
        self._timeout_s = registration_timeout_s
        self._waiting = ListeningClock()
        self._early_drop_limit = early_drop_limit
        self._was_welcomed = False
        self._queue: deque[Item] = deque()
        self._started: Item | None = None  # what `running` is of
        self._newest: dict[MsgId, Item] = {}  # of each task, unless acknowledged or dropped
        self._next_serial = 0
        self._functions = FunctionCache(function_bytes)  # those of items in the queue are in use
        self._held: Digest | None = None
        self._asked: set[Digest] = set()
        self._early_drops: OrderedDict[tuple[MsgId, int], None] = OrderedDict()
        self._outcomes: list[Outcome | OutcomeBundle] = []
        self._n_outcomes = 0
        self._buffers: list[Buffer] = []
        self._data: list[Datum] = []  # published by those that have ended
        self._data_buffers: list[Buffer] = []
        self._unacknowledged: deque[tuple[int, list[Outcome | OutcomeBundle]]] = deque()

    # what comes in

    def hello(self, channel: EngineChannel) -> list[Action]:
        """Introduce the engine over a new connection."""
        return self._out(channel, self.links[channel].hello())

    def receive(self, channel: EngineChannel, frames: Frames) -> list[Action]:
        """Handle one message off the wire.

        Raises:
            ProtocolError: it is malformed, or not for engines; nothing has changed.
        """
        received = self.links[channel].receive(frames)
        actions = self._out(channel, received.replies)
        if channel is EngineChannel.TASK:
            self._forget_acknowledged()
        if received.message is not None:
            actions += self._handle(channel, received.message, received.buffers)
        return actions

    def tick(self, channel: EngineChannel, now: float) -> list[Action]:
        """Repeat what may have been lost; *now* is any monotonic time in seconds."""
        actions = self._out(channel, self.links[channel].tick(now))
        if channel is EngineChannel.CONTROL and self.engine is None:
            actions += self._wait_for_registration(now)
        return actions

    def renewed(self, channel: EngineChannel) -> list[Action]:
        """There is a new connection, of which the controller does not know whose it is."""
        link = self.links[channel]
        return self._out(channel, [link.stream.sync()] if link.is_open else [])

    def is_quiet(self, channel: EngineChannel) -> bool:
        """Say whether `tick` may wait for seconds unless something happens on this channel."""
        link = self.links[channel]
        return link.is_open and not link.stream.n_unacknowledged

    @property
    def is_passing(self) -> bool:
        """Whether a large message is half here or half away, and the task channel needs care."""
        return self._tasks.stream.is_passing

    def next_attempt(self) -> StartAttempt | None:
        """Return the attempt that starts now; None if there is none or its function is missing.

        Complexity:
            O(1), amortized over the dropped attempts that are passed over.
        """
        item = self._head()
        if item is None:
            return None
        function = item.function
        pickle = self._functions.get(function)
        if pickle is None:
            return None
        i = item.n_begun
        item.n_begun = i + 1
        self._started = item
        self.running = start = StartAttempt(
            item.serial + i,
            item.msg_ids[i],
            item.attempt,
            function,
            item.payloads[i],
            item.buffers,
            pickle,
        )
        item.buffers = ()
        return start

    def _head(self) -> Item | None:
        """Return what the next attempt is of, with those that will not start passed over."""
        queue = self._queue
        while queue:
            item = queue[0]
            n = len(item.msg_ids)
            if item.dropped:
                while item.n_begun < n and item.msg_ids[item.n_begun] in item.dropped:
                    item.n_begun += 1
            if item.n_begun < n:
                return item
            queue.popleft()
            self._hold(item.function)
        return None

    def _hold(self, function: Digest) -> None:
        """Let the function that was needed last count as in use, however large: it may come again.

        It takes over the use of an item that has left the queue.
        """
        released = self._held
        if function != released:
            self._held = function
        if released is not None:
            self._functions.release(released)

    def finish(self, ended: AttemptEnded) -> None:
        """Take the outcome of the running attempt; it leaves with the next `flush`."""
        start, item = self.running, self._started
        assert start is not None
        assert item is not None
        self.running = None
        self._n_outcomes += 1
        if ended.data:
            self._data += data_of(start, ended.data, self._data_buffers)
        if len(item.msg_ids) > 1 and is_plain(ended):
            bundle = item.outcomes or self._begin_bundle(item)
            bundle.msg_ids.append(start.msg_id)
            bundle.started.append(ended.started)
            bundle.run_s.append(ended.run_s)
            bundle.payloads.append(ended.payload)
            return
        item.outcomes = None
        outcome = Outcome(
            start.msg_id,
            start.attempt,
            ended.status,
            ended.started,
            ended.started + ended.run_s,  # so that no duration is ever negative
            ended.run_s,
            ended.payload,
            len(ended.buffers),
            ended.failure,
            ended.stdout,
            ended.stderr,
            ended.shown,
        )
        self._outcomes.append(outcome)
        self._buffers.extend(ended.buffers)
        if ended.ends_cells:
            self._abort_cells(start)

    def _abort_cells(self, failed: StartAttempt) -> None:
        """End the calls of the same function by the same client that have not begun."""
        client = submitter_of(failed.msg_id)
        for item in self._queue:
            if item.function != failed.function:
                continue
            for msg_id in item.queued:
                if submitter_of(msg_id) == client and item.drop(msg_id):
                    del self._newest[msg_id]
                    self._outcomes.append(not_begun(msg_id, item.attempt))
                    self._n_outcomes += 1

    def _begin_bundle(self, item: Item) -> OutcomeBundle:
        """Return a new bundle for outcomes that follow each other."""
        bundle = item.outcomes = OutcomeBundle([], item.attempt, [], [], [])
        self._outcomes.append(bundle)
        return bundle

    def flush(self) -> list[Action]:
        """Send the outcomes that are ready, and ask for the function that is missing."""
        actions: list[Action] = []
        if self._data:
            actions += self._send(
                EngineChannel.TASK, Published(self._data, True), self._data_buffers
            )
            self._data, self._data_buffers = [], []
        if self._outcomes:
            actions += self._send(EngineChannel.TASK, Outcomes(self._outcomes), self._buffers)
            self._unacknowledged.append((self._tasks.stream.sent, self._outcomes))
            self._outcomes, self._buffers, self._n_outcomes = [], [], 0
            if self._started is not None:
                self._started.outcomes = None  # what ends from now on leaves with the next
            if self.running is None:
                self._started = None
        head = self._head()
        return actions if head is None else actions + self._ask([head.function])

    def engage(self, what: str) -> list[Action]:
        """Say what the engine is busy with beside tasks from now on; empty for nothing."""
        self._engaged = what
        return [] if self.engine is None else self._say_engaged()

    def _say_engaged(self) -> list[Action]:
        return self._send(EngineChannel.CONTROL, Engaged(self._engaged))

    def may_show(self) -> bool:
        """Whether something runs that could show anything, and the controller keeps up.

        People look on, but nothing waits for them.
        """
        return self.running is not None and self.engine is not None and self._live.has_room()

    def show(self, shown: Sequence[tuple[str, int, str | Display | CommMessage]]) -> list[Action]:
        """Pass on what the running attempt has just shown: stream, place and what it is."""
        running = self.running
        if running is None or not shown:
            return []
        msg_id, attempt = running.msg_id, running.attempt
        pieces = [
            Piece(msg_id, attempt, name, at, text=what)
            if isinstance(what, str)
            else Piece(msg_id, attempt, name, at, display=what)
            if isinstance(what, Display)
            else Piece(msg_id, attempt, name, at, comm=what)
            for name, at, what in shown
        ]
        messages = self.links[EngineChannel.CONTROL].send(Output(pieces))
        for frames in messages:
            self._live.add(frames)
        return self._out(EngineChannel.CONTROL, messages)

    def may_publish(self) -> bool:
        """Whether something runs that could publish anything, and the controller keeps up."""
        return self.running is not None and self.engine is not None and self._live_data.has_room()

    def publish(self, values: Sequence[Value]) -> list[Action]:
        """Pass on what the running attempt has just published."""
        running = self.running
        if running is None or not values:
            return []
        buffers: list[Buffer] = []
        message = Published(data_of(running, values, buffers))
        messages = self._tasks.send(message, buffers)
        for frames in messages:
            self._live_data.add(frames)
        return self._out(EngineChannel.TASK, messages)

    @property
    def n_outcomes(self) -> int:
        """How many outcomes wait for a `flush`."""
        return self._n_outcomes

    @property
    def has_next(self) -> bool:
        """Whether `next_attempt` would return something other than None."""
        head = self._head()
        return head is not None and head.function in self._functions

    # messages

    def _handle(
        self, channel: EngineChannel, message: PeerMessage, buffers: Frames
    ) -> list[Action]:
        match message, channel:
            case Assign(), EngineChannel.TASK:
                return self._on_assign(message, buffers)
            case Functions(), EngineChannel.TASK:
                reader = BufferReader(buffers)
                pickles = reader.take(len(message.digests))
                reader.check_empty()
                self._learn(message.digests, pickles)
                # What was asked for and did not come was not needed any more; it may be again.
                self._asked.clear()
                return []
            case Welcome(), EngineChannel.TASK:
                return self._on_welcome(message)
            case Drop(), EngineChannel.CONTROL:
                return self._on_drop(message)
            case Registered(), EngineChannel.CONTROL:
                self.engine = message.engine
                return [Join(message.engine), *self._say_engaged()]
            case ((Welcome() | Beat()), EngineChannel.CONTROL):
                return []
            case Bye(), _:
                return [Leave(message.reason or "the controller said good-bye", 0)]
            case Refused(), _:
                return [Leave(f"the controller refused: {message.reason}", FAILED_TO_REGISTER)]
            case _:
                name = type(message).__name__
                raise ProtocolError(f"{name} on the {channel.value} channel of an engine")

    def _on_assign(self, message: Assign, buffers: Frames) -> list[Action]:
        check_serials(message)
        reader = BufferReader(buffers)
        pickles = reader.take(len(message.functions))
        items: list[Item] = []
        serial = message.first
        for attempt in message.attempts:
            item = item_of(serial, attempt, reader)
            items.append(item)
            serial += len(item.msg_ids)
        reader.check_empty()
        superseded: list[tuple[MsgId, int]] = []
        for item in items:
            if item.serial >= self._next_serial:
                self._next_serial = item.serial + len(item.msg_ids)
                superseded += self._enqueue(item)
        self._learn(message.functions, pickles)  # now that they are in use, however large
        return self._dropped(superseded) + self._ask([a.function for a in message.attempts])

    def _enqueue(self, item: Item) -> list[tuple[MsgId, int]]:
        """Queue *item* as far as it may start; return the attempts that by this never will."""
        superseded: list[tuple[MsgId, int]] = []
        if self._early_drops or not self._newest.keys().isdisjoint(item.msg_ids):
            for msg_id in item.msg_ids:
                superseded += self._admit(item, msg_id)
        else:
            self._newest.update(dict.fromkeys(item.msg_ids, item))
        self._queue.append(item)
        self._functions.use(item.function)
        return superseded

    def _admit(self, item: Item, msg_id: MsgId) -> list[tuple[MsgId, int]]:
        """Let one attempt start, unless it is dropped or superseded; return what is superseded."""
        number = item.attempt
        if (msg_id, number) in self._early_drops:
            del self._early_drops[msg_id, number]
            item.drop(msg_id)
            return []  # it was named in a `Dropped` already
        older = self._newest.get(msg_id)
        if older is not None and number <= older.attempt:
            item.drop(msg_id)
            return [] if number == older.attempt else [(msg_id, number)]
        self._newest[msg_id] = item
        if older is None or not older.drop(msg_id):
            return []
        return [(msg_id, older.attempt)]

    def _on_drop(self, message: Drop) -> list[Action]:
        begun = self._begun()
        dropped = [a for a in message.attempts if tuple(a) not in begun and self._drop(*a)]
        actions = self._send(EngineChannel.CONTROL, Dropped(dropped))
        running = self.running if message.interrupt else None
        if running and (running.msg_id, running.attempt) in map(tuple, message.attempts):
            actions.append(Interrupt(running.serial))
        return actions

    def _begun(self) -> set[tuple[MsgId, int]]:
        """Return the attempts that run, or have ended unacknowledged.

        A later attempt of the same task may have hidden one, and have been dropped itself.
        """
        ended = chain(self._outcomes, *(outcomes for _, outcomes in self._unacknowledged))
        begun = {(msg_id, outcome.attempt) for outcome in ended for msg_id in ids_of(outcome)}
        if self.running is not None:
            begun.add((self.running.msg_id, self.running.attempt))
        return begun

    def _drop(self, msg_id: MsgId, number: int) -> bool:
        """See to it that this attempt does not start; return False if it is too late for that."""
        item = self._newest.get(msg_id)
        if item is None or number > item.attempt:
            self._early_drops[msg_id, number] = None
            if len(self._early_drops) > self._early_drop_limit:
                self._early_drops.popitem(last=False)
            return True
        if number < item.attempt or not item.drop(msg_id):
            return False  # superseded, which has been told, or begun
        del self._newest[msg_id]
        return True

    def _on_welcome(self, message: Welcome) -> list[Action]:
        starts_over = message.fresh and self._was_welcomed
        self._was_welcomed = True
        if not starts_over:
            return []
        for item in self._queue:
            self._functions.release(item.function)
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
            if digest not in self._functions:
                self._functions.put(digest, bytes(pickled))
            self._asked.discard(digest)

    def _forget_acknowledged(self) -> None:
        stream = self._tasks.stream
        acknowledged = stream.sent - stream.n_unacknowledged
        while self._unacknowledged and self._unacknowledged[0][0] <= acknowledged:
            for outcome in self._unacknowledged.popleft()[1]:
                for msg_id in ids_of(outcome):
                    item = self._newest.get(msg_id)
                    if item is not None and item.attempt == outcome.attempt:
                        del self._newest[msg_id]

    def _wait_for_registration(self, now: float) -> list[Action]:
        if self._waiting.tick(now) < self._timeout_s:
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
        return self._send(EngineChannel.TASK, NeedFunctions(missing))

    def _dropped(self, attempts: list[tuple[MsgId, int]]) -> list[Action]:
        return self._send(EngineChannel.CONTROL, Dropped(attempts)) if attempts else []

    def _send(
        self, channel: EngineChannel, message: Message, buffers: Sequence[Buffer] = ()
    ) -> list[Action]:
        return self._out(channel, self.links[channel].send(message, buffers))

    def _out(self, channel: EngineChannel, messages: list[Frames]) -> list[Action]:
        return [Send(channel, frames) for frames in messages]

    # for tests and people

    def snapshot(self) -> EngineSnapshot:
        """Return what this engine has, as a frozen record."""
        running = self.running
        return EngineSnapshot(
            self.engine,
            tuple((m, item.attempt) for item in self._queue for m in item.queued),
            None if running is None else (running.msg_id, running.attempt),
            sum(len(ids_of(o)) for _, sent in self._unacknowledged for o in sent)
            + self._n_outcomes,
            len(self._early_drops),
            len(self._functions),
            frozenset(self._asked),
        )

    def check(self) -> None:
        """Assert every invariant."""
        serials = [item.serial for item in self._queue]
        assert serials == sorted(set(serials)), "the queue is in serial order"
        for item in self._queue:
            assert item.serial + len(item.msg_ids) <= self._next_serial
            assert len(item.msg_ids) == len(item.payloads)
        queued = {(id(item), m) for item in self._queue for m in item.queued}
        newest = {(id(item), m) for m, item in self._newest.items() if m in item.queued}
        assert queued == newest, "what is queued is the newest attempt"
        assert all(m not in (item.dropped or ()) for m, item in self._newest.items())
        assert self._n_outcomes == sum(len(ids_of(outcome)) for outcome in self._outcomes)
        self._functions.check()
        assert len(self._early_drops) <= self._early_drop_limit
        assert not any(d in self._functions for d in self._asked), "what is here is not asked for"
        numbers = [number for number, _ in self._unacknowledged]
        assert numbers == sorted(numbers)
        for link in self.links.values():
            link.stream.check()
