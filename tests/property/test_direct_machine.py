"""Whatever clients and engines do, each direct call is sent once and ends exactly once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hippodrome.protocol.messages import (
    Digest,
    EngineId,
    Failure,
    MsgId,
    Outcome,
    PeerId,
    Result,
    SubmitDirect,
)
from hippodrome.scheduler.direct import DirectScheduler
from hippodrome.scheduler.events import (
    AbortAsked,
    Action,
    AssignAttempts,
    AttemptsDropped,
    AttemptsEnded,
    Deliver,
    DirectSubmitted,
    EngineJoined,
    EngineLost,
    EngineSuspected,
    Event,
    Recall,
)
from simulation.kept import paths_to
from support.flat import Sent, attempts_of

CLIENTS = [PeerId("c0"), PeerId("c1")]
ENGINES = [EngineId(number) for number in range(3)]
engines = st.sampled_from(ENGINES)


@dataclass
class Told:
    """What the machine knows of one call."""

    client: PeerId
    engine: EngineId
    is_aborting: bool = False
    sent: int = 0
    result: Result | None = None


@dataclass
class Engine:
    """What the machine knows of one engine: what it was sent, and what it was asked to drop."""

    here: bool = False
    serial: int = 0
    line: deque[MsgId] = field(default_factory=deque)
    recalled: list[MsgId] = field(default_factory=list)


class DirectMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.core = DirectScheduler()
        self.told: dict[MsgId, Told] = {}
        self.engines = {number: Engine() for number in ENGINES}

    def feed(self, event: Event) -> list[Action]:
        actions = self.core.handle(event)
        self.core.check()
        for action in actions:
            match action:
                case AssignAttempts():
                    for sent in attempts_of(action):
                        self.judge_assign(sent)
                case Deliver():
                    self.judge_deliver(action)
                case Recall(number, attempts):
                    self.engines[number].recalled += [msg_id for msg_id, _ in attempts]
        return actions

    def judge_assign(self, sent: Sent) -> None:
        told, engine = self.told[sent.msg_id], self.engines[sent.engine]
        assert engine.here
        assert told.engine == sent.engine, "a call went to an engine that it did not name"
        assert told.result is None
        assert (told.sent, sent.attempt) == (0, 1), "a call was repeated"
        assert sent.serial == engine.serial + 1
        told.sent += 1
        engine.serial += 1
        engine.line.append(sent.msg_id)

    def judge_deliver(self, delivery: Deliver) -> None:
        told = self.told[delivery.result.msg_id]
        assert told.result is None, "a second outcome"
        assert delivery.client == told.client
        assert delivery.result.engine == told.engine
        told.result = delivery.result

    @rule(client=st.sampled_from(CLIENTS), named=st.lists(engines, min_size=1, max_size=4))
    def call(self, client: PeerId, named: list[EngineId]) -> None:
        msg_ids = [MsgId(f"t{len(self.told) + i}") for i in range(len(named))]
        for msg_id, engine in zip(msg_ids, named, strict=True):
            self.told[msg_id] = Told(client, engine)
        request = SubmitDirect(msg_ids, named, Digest(b"f"), b"p")
        actions = self.feed(DirectSubmitted(client, request, ()))
        assert len(actions) == len(named)

    @precondition(lambda self: self.core._engine_of)
    @rule(data=st.data(), number=engines)
    def call_again(self, data: st.DataObject, number: EngineId) -> None:
        msg_id = data.draw(st.sampled_from(sorted(self.core._engine_of)))
        request = SubmitDirect([msg_id], [number], Digest(b"f"), b"p")
        assert self.feed(DirectSubmitted(CLIENTS[0], request, ())) == []

    @rule(number=engines, suspect=st.booleans())
    def engine_is_suspected(self, number: EngineId, suspect: bool) -> None:
        assert self.feed(EngineSuspected(number, suspect)) == []

    @rule(number=engines)
    def engine_joins(self, number: EngineId) -> None:
        self.engines[number].here = True
        assert self.feed(EngineJoined(number)) == []

    @rule(number=engines, started=st.none() | st.integers(0, 5))
    def engine_is_lost(self, number: EngineId, started: int | None) -> None:
        self.engines[number].here = False
        self.feed(EngineLost(number, "gone", started))
        assert self.core.held(number) == []
        if started is not None:
            self.engines[number].line.clear()

    @rule(number=engines, n=st.integers(1, 3), status=st.sampled_from(["ok", "error", "unmet"]))
    def engine_finishes(self, number: EngineId, n: int, status: str) -> None:
        line = self.engines[number].line
        ended = [line.popleft() for _ in range(min(n, len(line)))]
        self.end(number, ended, status)

    def end(self, number: EngineId, ended: list[MsgId], status: str) -> None:
        wanted = [msg_id for msg_id in ended if self.told[msg_id].result is None]
        failure = None if status == "ok" else Failure("E", "v")
        outcomes = [Outcome(m, 1, status, 0.0, 0.0, 0.0, failure=failure) for m in ended]
        actions = self.feed(AttemptsEnded(number, outcomes, [()] * len(outcomes)))
        assert [a.result.msg_id for a in actions if isinstance(a, Deliver)] == wanted

    @precondition(lambda self: self.told)
    @rule(data=st.data(), number=engines, attempt=st.integers(0, 2))
    def stray_outcome(self, data: st.DataObject, number: EngineId, attempt: int) -> None:
        """Something that is over, of another attempt, or another engine's."""
        msg_id = data.draw(st.sampled_from(sorted(self.told)))
        if msg_id in self.core.held(number) and attempt == 1:
            return
        outcome = Outcome(msg_id, attempt, "ok", 0.0, 0.0, 0.0)
        assert self.feed(AttemptsEnded(number, [outcome], [()])) == []

    @precondition(lambda self: self.told)
    @rule(data=st.data(), client=st.sampled_from(CLIENTS), everything=st.booleans())
    def abort(self, data: st.DataObject, client: PeerId, everything: bool) -> None:
        msg_ids = data.draw(st.lists(st.sampled_from(sorted(self.told)), max_size=3))
        for msg_id, told in self.told.items():
            told.is_aborting |= told.client == client if everything else msg_id in msg_ids
        actions = self.feed(AbortAsked(client, None if everything else msg_ids))
        assert all(isinstance(action, Recall) for action in actions)

    @rule(number=engines)
    def engine_drops(self, number: EngineId) -> None:
        """It answers a recall with what it had not started."""
        engine = self.engines[number]
        dropped = [msg_id for msg_id in dict.fromkeys(engine.recalled) if msg_id in engine.line]
        engine.recalled.clear()
        for msg_id in dropped:
            engine.line.remove(msg_id)
        self.drop(number, dropped)

    def drop(self, number: EngineId, dropped: list[MsgId]) -> None:
        open_before = [msg_id for msg_id in dropped if self.told[msg_id].result is None]
        self.feed(AttemptsDropped(number, [(msg_id, 1) for msg_id in dropped]))
        for msg_id in open_before:
            result = self.told[msg_id].result
            assert result is not None
            assert result.status == "aborted"

    @precondition(lambda self: self.told)
    @rule(data=st.data(), number=engines)
    def stray_drop(self, data: st.DataObject, number: EngineId) -> None:
        msg_id = data.draw(st.sampled_from(sorted(self.told)))
        told = self.told[msg_id]
        if told.engine != number or told.result is not None or not told.is_aborting:
            assert self.feed(AttemptsDropped(number, [(msg_id, 1)])) == []

    @invariant()
    def engines_hold_what_has_not_ended(self) -> None:
        for number in ENGINES:
            unfinished = [m for m, t in self.told.items() if t.engine == number and not t.result]
            assert self.core.held(number) == unfinished
        assert all((m in self.core) == (told.result is None) for m, told in self.told.items())

    def teardown(self) -> None:
        for number in ENGINES:
            self.end(number, list(self.core.held(number)), "ok")
        assert all(told.result is not None for told in self.told.values())
        assert paths_to(self.core, self.told) == []


DirectMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestDirectMachine = DirectMachine.TestCase
