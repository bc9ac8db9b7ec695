"""Whatever the network does, each numbered message is handled exactly once and in order.

A real `Link` talks to a real `Session` over connections that lose, duplicate and delay, and that
are replaced with everything on their way, noticed by the peer or not. Within one connection
order is kept, as ZeroMQ keeps it; between an old connection and a new one it is not.
"""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hippodrome.protocol import frames
from hippodrome.protocol.frames import Frames
from hippodrome.protocol.link import Link
from hippodrome.protocol.messages import Bye, Hello, Part, PeerId, PeerMessage, Sync, WhoAreYou
from hippodrome.protocol.session import Session
from hippodrome.protocol.stream import Sizes, Verdict

SIZES = Sizes(whole=60, piece=20, window=150, owed=50)
LENGTHS = st.sampled_from([0, 6, 30, 100, 400])


def buffers(text: str, length: int) -> Frames:
    """Return two buffers that show of which message they are."""
    return [text.encode(), (text.encode() * length)[:length]]


class Connection:
    """One pair of ordered pipes."""

    def __init__(self) -> None:
        self.up: deque[Frames] = deque()
        self.down: deque[Frames] = deque()


class Controller:
    """As much of a controller as holds a session."""

    def __init__(self) -> None:
        self.session = Session(SIZES)
        self.connection: Connection | None = None
        self.handled: list[str] = []

    def receive(self, connection: Connection, parts: Frames) -> None:
        number, acknowledged, body = frames.read_head(parts[0])
        message = frames.decode(body)
        if isinstance(message, Hello):
            if self.session.is_news(message):
                self.connection = connection
                connection.down.extend(self.session.greet(message))
            return
        if connection is not self.connection:
            connection.down.append(frames.unnumbered(WhoAreYou()))
            return
        connection.down.extend(self._receive(number, acknowledged, message, parts[1:]))

    def _receive(
        self, number: int, acknowledged: int, message: PeerMessage, buffers: Frames
    ) -> list[Frames]:
        stream = self.session.stream
        if isinstance(message, Sync):
            return stream.on_sync(message)
        size = sum(memoryview(frame).nbytes for frame in buffers)
        match stream.receive(number, acknowledged, size):
            case Verdict.HANDLE:
                if isinstance(message, Part):
                    whole = stream.join(message, buffers)
                    if whole is not None:
                        self._handle(frames.decode(whole[0]), whole[1:])
                else:
                    self._handle(message, buffers)
                return [*stream.acknowledgement_due(), *stream.release()]
            case Verdict.GAP:
                return [*stream.on_gap(), *stream.release()]
        return stream.release()

    def _handle(self, message: PeerMessage, owned: Frames) -> None:
        assert isinstance(message, Bye)
        assert owned == buffers(message.reason, len(owned[1]))
        self.handled.append(message.reason)

    def send(self, text: str, length: int) -> None:
        released = self.session.stream.post(frames.encode(Bye(text)), buffers(text, length))
        if self.connection is not None:
            self.connection.down.extend(released)

    def tick(self, now: float) -> None:
        if self.connection is not None:
            self.connection.down.extend(self.session.stream.tick(now))


class StreamMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.link = Link("engine", "task", PeerId("e"), sizes=SIZES)
        self.controller = Controller()
        self.connection = Connection()
        self.replaced: list[Connection] = []
        self.sent_up: list[str] = []
        self.sent_down: list[str] = []
        self.handled: list[str] = []
        self.put(self.link.hello())

    def put(self, messages: list[Frames]) -> None:
        self.connection.up.extend(messages)

    @rule(lengths=st.lists(LENGTHS, min_size=1, max_size=5))
    def peer_sends(self, lengths: list[int]) -> None:
        for length in lengths:
            text = f"up {len(self.sent_up)}"
            self.sent_up.append(text)
            self.put(self.link.send(Bye(text), buffers(text, length)))

    @rule(lengths=st.lists(LENGTHS, min_size=1, max_size=5))
    def controller_sends(self, lengths: list[int]) -> None:
        for length in lengths:
            self.sent_down.append(f"down {len(self.sent_down)}")
            self.controller.send(self.sent_down[-1], length)

    @rule(n=st.integers(1, 6))
    def deliver_up(self, n: int) -> None:
        for _ in range(min(n, len(self.connection.up))):
            self.controller.receive(self.connection, self.connection.up.popleft())

    @rule(n=st.integers(1, 6))
    def deliver_down(self, n: int) -> None:
        for _ in range(min(n, len(self.connection.down))):
            received = self.link.receive(self.connection.down.popleft())
            if isinstance(received.message, Bye):
                reason = received.message.reason
                assert received.buffers == buffers(reason, len(received.buffers[1]))
                self.handled.append(received.message.reason)
            self.put(received.replies)

    @rule(at=st.integers(0, 20), up=st.booleans(), copy=st.booleans())
    def lose_or_duplicate(self, at: int, up: bool, copy: bool) -> None:
        pipe = self.connection.up if up else self.connection.down
        if at < len(pipe):
            if copy:
                pipe.insert(at, pipe[at])
            else:
                del pipe[at]

    @rule(noticed=st.booleans(), late=st.booleans())
    def replace_connection(self, noticed: bool, late: bool) -> None:
        """What was on its way down is lost; what was on its way up may still arrive, late."""
        if late:
            self.replaced.append(self.connection)
        self.connection = Connection()
        if noticed:
            self.put(self.link.hello())

    @rule(data=st.data())
    def deliver_late(self, data: st.DataObject) -> None:
        late = [connection for connection in self.replaced if connection.up]
        if late:
            connection = data.draw(st.sampled_from(late))
            self.controller.receive(connection, connection.up.popleft())

    @rule(seconds=st.floats(0.1, 3.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.put(self.link.tick(self.now))
        self.controller.tick(self.now)

    @invariant()
    def nothing_is_handled_twice_or_out_of_order(self) -> None:
        assert self.handled == self.sent_down[: len(self.handled)]
        assert self.controller.handled == self.sent_up[: len(self.controller.handled)]

    @invariant()
    def streams_are_sound(self) -> None:
        self.link.stream.check()
        self.controller.session.stream.check()

    def teardown(self) -> None:
        """On a network that works again everything arrives, and both sides know it."""
        self.peer_sends([0])  # makes the peer notice that its connection was replaced
        for _ in range(80):
            self.time_passes(1.0)
            while self.connection.up or self.connection.down:
                self.deliver_up(100)
                self.deliver_down(100)
        self.nothing_is_handled_twice_or_out_of_order()
        assert len(self.handled) == len(self.sent_down)
        assert len(self.controller.handled) == len(self.sent_up)
        assert self.link.stream.n_unacknowledged == 0
        assert self.controller.session.stream.n_unacknowledged == 0


StreamMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestStreamMachine = StreamMachine.TestCase
