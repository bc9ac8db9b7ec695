"""Whatever a controller sends and a network does, an engine starts each attempt at most once."""

from __future__ import annotations

from collections import deque

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hippodrome.engine.actions import EngineChannel, Send
from hippodrome.engine.attempts import AttemptEnded, StartAttempt
from hippodrome.engine.core import EngineCore
from hippodrome.protocol.frames import Frames, decode, read_head
from hippodrome.protocol.messages import (
    Assign,
    Attempt,
    AttemptBundle,
    Digest,
    Drop,
    Dropped,
    Functions,
    Hello,
    Message,
    MsgId,
    NeedFunctions,
    Outcomes,
    PeerId,
    Sync,
)
from hippodrome.protocol.session import Session
from hippodrome.protocol.stream import Verdict
from support.flat import outcomes_of

Name = tuple[MsgId, int]

FUNCTIONS = [Digest(b"f%d" % i) for i in range(4)]


class EngineMachine(RuleBasedStateMachine):
    """Plays the controller and the network, with frames that are late, doubled or lost."""

    def __init__(self) -> None:
        super().__init__()
        self.core = EngineCore(PeerId("e" * 32), {}, function_bytes=1200)
        self.sessions = {channel: Session() for channel in EngineChannel}
        self.to_engine: dict[EngineChannel, deque[Frames]] = {
            channel: deque() for channel in EngineChannel
        }
        self.to_controller: dict[EngineChannel, deque[Frames]] = {c: deque() for c in EngineChannel}
        self.delivered: list[tuple[EngineChannel, Frames]] = []
        self.serial = 1
        self.newest: dict[MsgId, int] = {}
        self.assigned: list[Name] = []
        self.bundled: set[Name] = set()
        self.dropped: set[Name] = set()
        self.started: list[StartAttempt] = []
        self.ended: list[Name] = []
        self.running: StartAttempt | None = None

    @initialize()
    def connect(self) -> None:
        for channel in EngineChannel:
            self.perform(self.core.hello(channel))
            self.deliver_back(channel, 1)
            self.deliver(channel, 1)

    # the controller

    @rule(n=st.integers(1, 4), data=st.data(), brings=st.booleans())
    def assign(self, n: int, data: st.DataObject, brings: bool) -> None:
        attempts = []
        for _ in range(n):
            msg_id = MsgId(f"t{data.draw(st.integers(0, 9))}")
            self.newest[msg_id] = number = self.newest.get(msg_id, 0) + 1
            function = data.draw(st.sampled_from(FUNCTIONS))
            attempts.append(Attempt(msg_id, number, function, b"p", number % 2))
            self.assigned.append((msg_id, number))
        new = list({attempt.function for attempt in attempts}) if brings else []
        buffers = [*(digest + b" pickled" for digest in new)]
        buffers += [b"buffer" for attempt in attempts if attempt.n_buffers]
        self.tell(EngineChannel.TASK, Assign(self.serial, attempts, new), buffers)
        self.serial += n

    @rule(msg_ids=st.lists(st.integers(0, 9), min_size=1, max_size=6, unique=True), data=st.data())
    def assign_bundle(self, msg_ids: list[int], data: st.DataObject) -> None:
        names = [MsgId(f"t{n}") for n in msg_ids]
        number = 1 + max(self.newest.get(msg_id, 0) for msg_id in names)
        self.newest.update(dict.fromkeys(names, number))
        function = data.draw(st.sampled_from(FUNCTIONS))
        bundle = AttemptBundle(names, number, function, [b"p"] * len(names))
        self.assigned += [(msg_id, number) for msg_id in names]
        self.bundled |= {(msg_id, number) for msg_id in names}
        self.tell(EngineChannel.TASK, Assign(self.serial, [bundle], []))
        self.serial += len(names)

    @precondition(lambda self: self.assigned)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        """Drop anything ever assigned: on its way, queued, running, ended, dropped before."""
        some = data.draw(st.lists(st.sampled_from(self.assigned), min_size=1, max_size=5))
        self.tell(EngineChannel.CONTROL, Drop(some))

    @precondition(lambda self: self.running is not None)
    @rule()
    def drop_what_runs(self) -> None:
        assert self.running is not None
        self.tell(EngineChannel.CONTROL, Drop([(self.running.msg_id, self.running.attempt)]))

    @rule(channel=st.sampled_from(list(EngineChannel)))
    def ask_where_the_stream_stands(self, channel: EngineChannel) -> None:
        self.to_engine[channel].append(self.sessions[channel].stream.sync())

    # the network

    @rule(channel=st.sampled_from(list(EngineChannel)), n=st.integers(1, 5))
    def deliver(self, channel: EngineChannel, n: int) -> None:
        for _ in range(min(n, len(self.to_engine[channel]))):
            frames = self.to_engine[channel].popleft()
            self.perform(self.core.receive(channel, frames))
            # What came before the welcome, or behind a gap, was not taken and has to come again.
            if read_head(frames[0])[0] <= self.core.links[channel].stream.received:
                self.delivered.append((channel, frames))

    @precondition(lambda self: self.delivered)
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        channel, frames = data.draw(st.sampled_from(self.delivered))
        if read_head(frames[0])[0] == 0:
            return
        before = self.core.snapshot()
        self.perform(self.core.receive(channel, frames))
        assert self.core.snapshot() == before

    @rule(channel=st.sampled_from(list(EngineChannel)), n=st.integers(1, 5))
    def deliver_back(self, channel: EngineChannel, n: int) -> None:
        for _ in range(min(n, len(self.to_controller[channel]))):
            self.hear(channel, self.to_controller[channel].popleft())

    @rule(channel=st.sampled_from(list(EngineChannel)), chance=st.integers(0, 3))
    def replace_the_connection(self, channel: EngineChannel, chance: int) -> None:
        if chance:
            return
        self.to_engine[channel].clear()
        self.to_controller[channel].clear()
        self.delivered.clear()
        self.perform(self.core.hello(channel))

    # the shell

    @rule(prints=st.booleans(), ends_cells=st.booleans())
    def turn(self, prints: bool = False, ends_cells: bool = False) -> None:
        if self.running is None:
            self.start()
        else:
            self.finish(prints, ends_cells)

    @rule()
    def flush(self) -> None:
        self.perform(self.core.flush())

    def start(self) -> None:
        start = self.running = self.core.next_attempt()
        if start is not None:
            name = (start.msg_id, start.attempt)
            assert name not in self.dropped, "what was dropped must not start"
            assert all(start.serial > other.serial for other in self.started), "in order, once"
            assert start.pickle == start.function + b" pickled"
            assert len(start.buffers) == (0 if name in self.bundled else start.attempt % 2)
            self.started.append(start)

    def finish(self, prints: bool = False, ends_cells: bool = False) -> None:
        assert self.running is not None
        self.running = None
        status, text = "error" if ends_cells else "ok", "text" if prints else ""
        self.core.finish(AttemptEnded(status, 0.0, 0.0, stdout=text, ends_cells=ends_cells))

    # what must hold

    @invariant()
    def the_core_agrees_with_itself(self) -> None:
        self.core.check()

    @invariant()
    def nothing_was_both_dropped_and_started(self) -> None:
        started = {(start.msg_id, start.attempt) for start in self.started}
        assert not started & self.dropped
        assert not set(self.ended) & self.dropped

    def teardown(self) -> None:
        """Let everything settle: each attempt must have ended once, or have been dropped."""
        for channel in EngineChannel:
            self.perform(self.core.hello(channel))
        for _ in range(10 * len(self.assigned) + 20):
            for channel in EngineChannel:
                self.deliver_back(channel, 1_000)
                self.deliver(channel, 1_000)
            self.turn()
            self.flush()
        assert len(set(self.ended)) == len(self.ended)
        dropped = {name for name in self.dropped if name in self.assigned}
        assert set(self.ended) | dropped == set(self.assigned)
        assert self.core.snapshot().queued == ()

    # plumbing

    def tell(
        self, channel: EngineChannel, message: Message, buffers: list[bytes] | None = None
    ) -> None:
        frames = self.sessions[channel].stream.send(message, buffers or [])
        self.to_engine[channel].append(frames)

    def perform(self, actions: list[object]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self.to_controller[action.channel].append(action.frames)
                self.check_claims(action.frames)

    def check_claims(self, frames: Frames) -> None:
        """What has started is not called dropped, unless the controller has its outcome."""
        message = decode(read_head(frames[0])[2])
        if isinstance(message, Dropped):
            started = {(start.msg_id, start.attempt) for start in self.started}
            assert not (set(message.attempts) & started) - set(self.ended)

    def hear(self, channel: EngineChannel, frames: Frames) -> None:
        session = self.sessions[channel]
        number, acknowledged, body = read_head(frames[0])
        message = decode(body)
        if isinstance(message, Hello):
            self.to_engine[channel].clear()  # they were for the connection before
            self.to_engine[channel].extend(session.greet(message))
        elif isinstance(message, Sync):
            self.to_engine[channel].extend(session.stream.on_sync(message))
        elif session.stream.receive(number, acknowledged) is Verdict.HANDLE:
            self.note(message)

    def note(self, message: object) -> None:
        match message:
            case Outcomes(outcomes):
                self.ended += [
                    (msg_id, attempt)
                    for outcome in outcomes
                    for msg_id, attempt, _ in outcomes_of(outcome)
                ]
            case Dropped(attempts):
                ended = set(self.ended)  # known already: such an answer is too late to matter
                self.dropped.update(name for name in attempts if name not in ended)
            case NeedFunctions(digests):
                pickles = [digest + b" pickled" for digest in digests]
                self.tell(EngineChannel.TASK, Functions(digests), pickles)


EngineMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
TestEngineMachine = EngineMachine.TestCase
