"""Whatever the controller sends, in whatever order: each task resolves exactly once."""

from __future__ import annotations

from collections import Counter
from itertools import chain

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hippodrome.client.link.core import ClientCore, State
from hippodrome.client.link.events import (
    AbortRequested,
    ClientAction,
    ClientEvent,
    Closing,
    Connected,
    DeliverAnswer,
    EnginesChanged,
    Enqueue,
    FramesArrived,
    Lose,
    Question,
    Regain,
    Resolve,
    ResolveAll,
    SendFrames,
    SubmittedBundle,
    SubmittedDirect,
    TaskSubmitted,
    Ticked,
    Turned,
    Welcomed,
)
from hippodrome.client.link.outstanding import TASKS_PER_MESSAGE
from hippodrome.errors import ProtocolError
from hippodrome.protocol.bundles import ids_of
from hippodrome.protocol.frames import Frames, decode, read_head, unnumbered
from hippodrome.protocol.messages import (
    Abort,
    Answer,
    Beat,
    Bye,
    Digest,
    EngineId,
    EngineInfo,
    Flush,
    Flushed,
    Functions,
    Hello,
    Membership,
    MsgId,
    NeedFunctions,
    PeerId,
    Query,
    Result,
    ResultBundle,
    Results,
    Submit,
    SubmitDirect,
    Sync,
    Task,
    TaskBundle,
)
from hippodrome.protocol.session import Session
from hippodrome.protocol.stream import Verdict

CLIENT = PeerId("c" * 32)
TIMEOUT_S = 10.0
MAP = object()  # the waiter of all maps


def resolved_by(actions: list[ClientAction]) -> list[MsgId]:
    found: list[MsgId] = []
    for action in actions:
        match action:
            case Resolve(result):
                found.append(result.msg_id)
            case ResolveAll(results):
                found += [result.msg_id for result in results]
    return found


class ClientMachine(RuleBasedStateMachine):
    """A client core against a controller that answers late, twice, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.core = ClientCore(CLIENT, {}, TIMEOUT_S)
        self.sessions = {"task": Session(), "control": Session()}
        self.now = 0.0
        self.n_submitted = 0
        self.submitted: list[MsgId] = []
        self.arrived: list[MsgId] = []  # at the controller, in order
        self.functions: set[Digest] = set()  # that the controller has
        self.resolved: Counter[MsgId] = Counter()
        self.status: dict[MsgId, str] = {}
        self.asked: set[int] = set()
        self.n_asked = 0
        self.due: dict[int, set[MsgId]] = {}  # for each flush, what must arrive before its answer
        self.answered: Counter[object] = Counter()
        self.readies = 0
        self.lost: list[Lose] = []
        self.ids: set[int] = set()

    # ---- the wire

    def feed(self, event: ClientEvent) -> list[ClientAction]:
        actions = self.core.handle(event)
        for action in actions:
            self.perform(action)
        return actions

    def perform(self, action: ClientAction) -> None:
        match action:
            case SendFrames(channel, frames):
                self.on_frames(channel, frames)
            case Resolve(result, _, waiter, index):
                self.on_end(result, waiter, index)
            case ResolveAll(results, waiters, indices):
                for result, waiter, index in zip(results, waiters, indices, strict=True):
                    self.on_end(result, waiter, index)
            case DeliverAnswer(waiter, _):
                self.answered[waiter] += 1
            case EnginesChanged(present, _):
                assert set(present) == self.ids
            case Welcomed():
                self.readies += 1
            case Lose():
                self.lost.append(action)
            case Enqueue(event):
                self.feed(event)
            case Regain():
                assert not self.lost[-1].final

    def on_end(self, result: Result, waiter: object, index: int) -> None:
        assert waiter == ("waiter", result.msg_id, index) or waiter is MAP
        self.resolved[result.msg_id] += 1
        self.status[result.msg_id] = result.status

    def on_frames(self, channel: str, frames: Frames) -> None:
        number, acknowledged, body = read_head(frames[0])
        message = decode(body)
        session = self.sessions[channel]
        if isinstance(message, Hello):
            for answer in session.greet(message):
                self.feed(FramesArrived(channel, answer))
            if channel == "control":
                self.send(channel, Membership(self.infos()))
            return
        if isinstance(message, Sync):
            for answer in session.stream.on_sync(message):
                self.feed(FramesArrived(channel, answer))
            return
        if number and session.stream.receive(number, acknowledged) is not Verdict.HANDLE:
            return
        self.on_message(message, frames[1:])

    def on_message(self, message: object, buffers: Frames) -> None:
        match message:
            case Submit(tasks, digests):
                msg_ids = list(chain.from_iterable(map(ids_of, tasks)))
                assert 1 <= len(msg_ids) <= TASKS_PER_MESSAGE
                self.functions.update(digests)
                owned = sum(task.n_buffers for task in tasks if isinstance(task, Task))
                assert len(buffers) == len(digests) + owned
                assert {task.function for task in tasks} <= self.functions
                self.arrived += msg_ids
            case SubmitDirect():
                self.functions.update(message.functions)
                assert message.function in self.functions
                self.arrived += message.msg_ids
            case Functions(digests):
                assert len(digests) == len(buffers)
                assert all(buffers)
            case Query(number, _, _):
                self.asked.add(number)
            case Abort(msg_ids):
                assert msg_ids
                assert set(msg_ids) <= set(self.arrived)
            case Flushed(number):
                assert self.due.pop(number) <= set(self.arrived)
            case Bye():
                pass
            case _:
                raise AssertionError(message)

    def send(
        self, channel: str, message: object, buffers: Frames | None = None
    ) -> list[ClientAction]:
        frames = self.sessions[channel].stream.send(message, buffers or [])
        return self.feed(FramesArrived(channel, frames))

    def infos(self) -> list[EngineInfo]:
        return [EngineInfo(EngineId(i), PeerId(""), PeerId(""), "", 0) for i in sorted(self.ids)]

    # ---- rules

    @initialize()
    def connect(self) -> None:
        self.feed(Ticked(self.now))
        self.feed(Connected())
        assert self.readies == 1

    def new_ids(self, n: int) -> list[MsgId]:
        new = [MsgId(f"{CLIENT}_{self.n_submitted + i}") for i in range(n)]
        self.n_submitted += n
        self.submitted += new
        return new

    @rule(n=st.integers(1, 120), function=st.integers(0, 3), buffers=st.integers(0, 2))
    def submit(self, n: int, function: int, buffers: int) -> None:
        digest = Digest(b"digest %d" % function)
        owned = [b"buffer"] * buffers if n < 5 else []
        for index, msg_id in enumerate(self.new_ids(n)):
            task = Task(msg_id, digest, b"payload", len(owned))
            waiter = ("waiter", msg_id, index)
            self.feed(TaskSubmitted(task, b"pickle", owned, waiter, index))

    @rule(n=st.integers(1, 20), function=st.integers(0, 3))
    def submit_bundle(self, n: int, function: int) -> None:
        msg_ids = self.new_ids(n)
        first = self.submitted.index(msg_ids[0])
        bundle = TaskBundle(msg_ids, Digest(b"digest %d" % function), [b"payload"] * n)
        self.feed(SubmittedBundle(bundle, b"pickle", MAP, first))
        assert self.arrived_is_in_order()

    @rule(n=st.integers(1, 3), function=st.integers(0, 3))
    def submit_direct(self, n: int, function: int) -> None:
        for msg_id in self.new_ids(n):
            message = SubmitDirect([msg_id], [EngineId(0)], Digest(b"digest %d" % function), b"p")
            self.feed(SubmittedDirect(message, b"pickle", [], ("waiter", msg_id, 7), 7))
        assert self.arrived_is_in_order()

    @rule()
    def turn(self) -> None:
        self.feed(Turned())
        if self.core.state is not State.OVER:
            assert not self.core.tasks._gathered

    @precondition(lambda self: self.arrived)
    @rule(data=st.data(), status=st.sampled_from(["ok", "error", "aborted"]))
    def reply(self, data: st.DataObject, status: str) -> None:
        """Send results of tasks that ever arrived: any, in any order, again and again."""
        chosen = data.draw(st.lists(st.sampled_from(self.arrived), min_size=1, max_size=8))
        ended_before = {msg_id for msg_id in chosen if self.resolved[msg_id]}
        is_over = self.core.state is State.OVER
        results = [Result(msg_id, status, EngineId(0)) for msg_id in chosen]
        actions = self.send("task", Results(results))
        resolved = resolved_by(actions)
        assert set(resolved).isdisjoint(ended_before), "a late result must change nothing"
        if not is_over:
            assert set(resolved) == set(chosen) - ended_before

    @precondition(lambda self: self.arrived)
    @rule(data=st.data(), cut=st.booleans())
    def reply_bundled(self, data: st.DataObject, cut: bool) -> None:
        """Many at once, of whatever has arrived; damaged, if *cut*."""
        chosen = data.draw(st.lists(st.sampled_from(self.arrived), min_size=1, max_size=30))
        ended_before = {msg_id for msg_id in chosen if self.resolved[msg_id]}
        is_over = self.core.state is State.OVER
        times, payloads = [0.0] * len(chosen), [b""] * (len(chosen) - cut)
        bundle = ResultBundle(chosen, EngineId(0), 1, times, times, payloads)
        resolved = resolved_by(self.send("task", Results([bundle])))
        assert len(set(resolved)) == len(resolved)
        if not is_over:
            assert set(resolved) == set(chosen) - ended_before

    @precondition(lambda self: self.arrived)
    @rule(data=st.data())
    def reply_with_wrong_buffers(self, data: st.DataObject) -> None:
        msg_id = data.draw(st.sampled_from(self.arrived))
        self.send("task", Results([Result(msg_id, "ok", EngineId(0), n_buffers=3)]), [b"one"])
        assert self.resolved[msg_id] == 1, "a damaged result ends its task all the same"

    @rule(msg_id=st.text(max_size=5))
    def reply_for_a_stranger(self, msg_id: str) -> None:
        actions = self.send("task", Results([Result(MsgId(msg_id), "ok", None)]))
        assert not any(isinstance(action, Resolve) for action in actions)

    @rule(function=st.integers(0, 4))
    def forget_function(self, function: int) -> None:
        digest = Digest(b"digest %d" % function)
        kept = self.core.tasks.functions.kept([digest])
        actions = self.send("task", NeedFunctions([digest]))
        if kept and self.core.state is not State.OVER:
            sent = [a for a in actions if isinstance(a, SendFrames)]
            assert any(isinstance(decode(read_head(a.frames[0])[2]), Functions) for a in sent)

    @rule()
    def ask(self) -> None:
        self.n_asked += 1
        self.feed(Question("queue_status", b"\x80", ("query", self.n_asked)))

    @rule(number=st.integers(1, 5))
    def answer(self, number: int) -> None:
        if number in self.asked:
            self.send("control", Answer(number, b"\xc0"))

    @rule(number=st.integers(1, 5))
    def flush(self, number: int) -> None:
        self.due[number] = {one for one in self.submitted if not self.resolved[one]}
        self.send("task", Flush(number))
        assert number not in self.due or self.core.state is State.OVER

    @rule()
    def abort_all(self) -> None:
        self.feed(AbortRequested(None))

    @precondition(lambda self: self.submitted)
    @rule(data=st.data())
    def abort_some(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.submitted), max_size=4))
        self.feed(AbortRequested(tuple(chosen)))

    @rule(engine=st.integers(0, 5))
    def engine_comes(self, engine: int) -> None:
        if self.core.state is State.OVER:
            return
        self.ids.add(engine)
        info = EngineInfo(EngineId(engine), PeerId(""), PeerId(""), "", 0)
        self.send("control", Membership([info]))

    @rule(engine=st.integers(0, 5))
    def engine_leaves(self, engine: int) -> None:
        if self.core.state is State.OVER:
            return
        self.ids.discard(engine)
        self.send("control", Membership([], {EngineId(engine): "it left"}))

    @rule(frames=st.lists(st.binary(max_size=30), max_size=3))
    def garbage(self, frames: list[bytes]) -> None:
        try:
            decode(read_head(frames[0])[2]) if frames else None
        except ProtocolError:
            assert not any(
                isinstance(action, Resolve)
                for action in self.feed(FramesArrived("task", list(frames)))
            )

    @rule(seconds=st.floats(0.1, 0.9))
    def time_passes_with_beats(self, seconds: float) -> None:
        self.now += seconds
        self.feed(FramesArrived("control", unnumbered(Beat())))
        self.feed(Ticked(self.now))
        assert self.core.state is not State.SILENT

    @rule()
    def silence(self) -> None:
        """Nothing comes for longer than the timeout, not even an answer to a `Sync`."""
        before = len(self.lost)
        was_open = self.core.state is State.OPEN
        for _ in range(2 * int(TIMEOUT_S) + 4):
            self.now += 0.5
            for action in self.core.handle(Ticked(self.now)):
                if not isinstance(action, SendFrames):
                    self.perform(action)
        if was_open:
            assert len(self.lost) == before + 1
            assert not self.core.tasks.pending
            assert not self.core._queries

    @rule(reason=st.sampled_from(["", "maintenance"]))
    def controller_leaves(self, reason: str) -> None:
        if self.core.state is not State.OVER:
            self.send("control", Bye(reason))
        assert self.core.state is State.OVER
        assert self.lost[-1].reason

    @rule()
    def close(self) -> None:
        self.feed(Closing("the client was closed"))
        assert self.core.state is State.OVER

    # ---- invariants

    def arrived_is_in_order(self) -> bool:
        order = {msg_id: i for i, msg_id in enumerate(self.submitted)}
        numbers = [order[msg_id] for msg_id in self.arrived]
        return numbers == sorted(numbers)

    @invariant()
    def state_is_sound(self) -> None:
        self.core.check()

    @invariant()
    def each_task_is_outstanding_or_resolved_once(self) -> None:
        outstanding = self.core.tasks.pending.keys()
        for msg_id in self.submitted:
            assert self.resolved[msg_id] == (msg_id not in outstanding)

    @invariant()
    def each_query_is_answered_once(self) -> None:
        assert all(n == 1 for n in self.answered.values())

    @invariant()
    def no_task_arrives_twice_or_out_of_order(self) -> None:
        assert len(set(self.arrived)) == len(self.arrived)
        assert self.arrived_is_in_order()

    def teardown(self) -> None:
        self.feed(Closing("the end of the test"))
        assert all(self.resolved[msg_id] == 1 for msg_id in self.submitted)
        assert sum(self.answered.values()) == self.n_asked


TestClientMachine = ClientMachine.TestCase
TestClientMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
