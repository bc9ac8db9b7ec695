"""Whatever clients and engines do, each task ends exactly once, where and when it may.

The machine plays clients, engines and time against the real core and keeps its own simple book:
what was submitted, which attempts each engine holds in which order, and which of them it began.
Every action of the core is judged by that book.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hippodrome.protocol.messages import (
    Dependencies,
    Digest,
    EngineId,
    Failure,
    MsgId,
    Options,
    Outcome,
    PeerId,
    Result,
    SubmitDirect,
    Task,
    TaskBundle,
)
from hippodrome.scheduler.core import TaskScheduler
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
    EngineOccupied,
    EngineSuspected,
    Event,
    Recall,
    Serials,
    TasksSubmitted,
    TimePassed,
)
from hippodrome.scheduler.recalls import MOST_RECALL_AFTER_S
from hippodrome.scheduler.room import AUTO
from hippodrome.scheduler.schemes import SCHEMES
from simulation.kept import paths_to
from support.flat import Sent, attempts_of, bundled, results_of

CLIENTS = [PeerId("c0"), PeerId("c1")]
STATUSES = st.sampled_from(["ok", "ok", "ok", "error", "unmet"])


@dataclass
class Told:
    """What the machine knows of one task."""

    number: int
    client: PeerId
    options: Options
    attempts: list[Sent] = field(default_factory=list)
    refused: set[EngineId] = field(default_factory=set)
    errors: int = 0  # attempts that failed or were lost after they may have begun
    returned: bool = True  # may be assigned: new, or its last attempt is known to be over
    result: Result | None = None

    @property
    def is_plain(self) -> bool:
        return self.options == Options() and not self.refused and not self.errors


@dataclass
class Engine:
    """What the machine knows of one engine."""

    here: bool = True
    suspect: bool = False
    line: deque[Sent] = field(default_factory=deque)
    begun: set[int] = field(default_factory=set)
    calls: list[MsgId] = field(default_factory=list)  # by name, unfinished
    recalls: list[list[tuple[MsgId, int]]] = field(default_factory=list)
    serial: int = 0


def hwm_holds_back(hwm: int) -> bool:
    """Tell whether an engine that somebody has named gets nothing meanwhile."""
    return hwm in (AUTO, 1)


class SchedulerMachine(RuleBasedStateMachine):
    @initialize(
        scheme=st.sampled_from(sorted(SCHEMES)),
        hwm=st.sampled_from([0, 1, 1, 2, 3, -1]),
        seed=st.integers(0, 2**32),
        n=st.integers(0, 3),
    )
    def start(self, scheme: str, hwm: int, seed: int, n: int) -> None:
        serials = Serials()
        self.core = TaskScheduler(scheme, hwm, random.Random(seed), serials)
        self.direct = DirectScheduler(serials)
        self.n_calls = 0
        self.hwm = hwm
        self.now = 0.0
        self.told: dict[MsgId, Told] = {}
        self.engines: dict[EngineId, Engine] = {}
        self.sent: list[Sent] = []
        for _ in range(n):
            self.engine_joins()

    # ------------------------------------------------------------ feeding and judging

    def feed(self, event: Event) -> list[Action]:
        actions = self.core.handle(event)
        for action in actions:
            match action:
                case AssignAttempts():
                    for sent in attempts_of(action):
                        self.judge_assign(sent)
                case Deliver():
                    for result in results_of(action.result):
                        self.judge_result(action.client, result)
                case Recall():
                    self.engines[action.engine].recalls.append(action.attempts)
        self.core.check()
        return actions

    def judge_assign(self, sent: Sent) -> None:
        engine, told = self.engines[sent.engine], self.told[sent.msg_id]
        options = told.options
        assert engine.here
        assert not engine.suspect
        assert told.result is None, "a task that has ended is run again"
        assert told.returned, "a task runs while an attempt of it may be running"
        assert sent.attempt == len(told.attempts) + 1
        assert sent.serial == engine.serial + 1
        if hwm_holds_back(self.hwm) and told.is_plain and engine.calls:
            assert not self.idle_engines(), "it stands behind a call by name while others idle"
        assert told.errors <= options.retries
        assert sent.engine not in told.refused
        assert options.targets is None or sent.engine in options.targets
        assert self.holds(options.after), "a task runs before what it waits for"
        assert self.holds(options.follow)
        assert self.is_followed(options.follow, sent.engine)
        if told.is_plain:
            older = [
                other
                for other in self.told.values()
                if other.number < told.number and other.is_plain and self.is_ready(other)
            ]
            assert not older, "equals are not served first in, first out"
        engine.serial = sent.serial
        engine.line.append(sent)
        told.attempts.append(sent)
        told.returned = False
        self.sent.append(sent)

    @staticmethod
    def is_ready(told: Told) -> bool:
        return told.returned and told.result is None

    def judge_result(self, client: PeerId, result: Result) -> None:
        told = self.told[result.msg_id]
        assert told.result is None, "a second outcome"
        assert client == told.client
        told.result = result

    def counts(self, dependencies: Dependencies, msg_id: MsgId) -> bool:
        result = self.told[msg_id].result if msg_id in self.told else None
        if result is None:
            return False
        return dependencies.success if result.status == "ok" else dependencies.failure

    def holds(self, dependencies: Dependencies | None) -> bool:
        if dependencies is None or not dependencies.msg_ids:
            return True
        met = [self.counts(dependencies, msg_id) for msg_id in dependencies.msg_ids]
        return all(met) if dependencies.all else any(met)

    def is_followed(self, follow: Dependencies | None, engine: EngineId) -> bool:
        if follow is None or not follow.msg_ids:
            return True
        ran = {self.ran_on(m) for m in follow.msg_ids if self.counts(follow, m)} - {None}
        return ran == {engine} if follow.all else engine in ran

    def ran_on(self, msg_id: MsgId) -> EngineId | None:
        result = self.told[msg_id].result
        return result.engine if result else None

    # ------------------------------------------------------------ clients

    @rule(data=st.data(), client=st.sampled_from(CLIENTS), n=st.integers(1, 4))
    def submit(self, data: st.DataObject, client: PeerId, n: int) -> None:
        tasks = []
        for _ in range(n):
            options = data.draw(self.options())
            tasks.append(Task(self.new(client, options), Digest(b"f"), b"p", 0, options))
        self.feed(TasksSubmitted(client, tasks, [()] * n))

    @rule(data=st.data(), client=st.sampled_from(CLIENTS), n=st.integers(1, 6))
    def submit_bundle(self, data: st.DataObject, client: PeerId, n: int) -> None:
        options = data.draw(self.options())
        msg_ids = [self.new(client, options) for _ in range(n)]
        bundle = TaskBundle(msg_ids, Digest(b"f"), [b"p"] * n, options)
        self.feed(TasksSubmitted(client, [bundle], [()]))

    def new(self, client: PeerId, options: Options) -> MsgId:
        msg_id = MsgId(f"t{len(self.told)}")
        self.told[msg_id] = Told(len(self.told), client, options)
        return msg_id

    def options(self) -> st.SearchStrategy[Options]:
        known = st.sampled_from([*self.told, MsgId("unknown")][-12:])
        depends = st.builds(
            Dependencies,
            st.lists(known, max_size=3),
            all=st.booleans(),
            success=st.sampled_from([True, True, False]),
            failure=st.booleans(),
        )
        rarely = st.sampled_from([None, None, None]) | depends
        return st.just(Options()) | st.builds(
            Options,
            retries=st.integers(0, 3),
            timeout_s=st.sampled_from([None, None, 0.0, 1.0, 5.0]),
            after=rarely,
            follow=rarely,
            targets=st.none() | st.lists(st.integers(0, 3), max_size=3),
        )

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def submit_again(self, data: st.DataObject) -> None:
        """A message that was sent twice: whoever takes it in asks first, and leaves this out."""
        msg_id = data.draw(st.sampled_from(list(self.told)))
        assert not self.core.knows_none_of([msg_id])
        assert not self.core.knows_none_of([msg_id, MsgId("new")])

    @precondition(lambda self: self.told)
    @rule(data=st.data(), client=st.sampled_from(CLIENTS), everything=st.booleans())
    def abort(self, data: st.DataObject, client: PeerId, everything: bool) -> None:
        msg_ids = data.draw(st.lists(st.sampled_from(list(self.told)), max_size=3))
        self.feed(AbortAsked(client, None if everything else msg_ids))

    # ------------------------------------------------------------ engines

    # ------------------------------------------------------------ calls by name

    @precondition(lambda self: self.engines)
    @rule(data=st.data(), n=st.integers(1, 3))
    def call_by_name(self, data: st.DataObject, n: int) -> None:
        number, engine = self.some_engine(data)
        if not engine.here:
            return
        for _ in range(n):
            msg_id = MsgId(f"d{self.n_calls}")
            self.n_calls += 1
            request = SubmitDirect([msg_id], [number], Digest(b"f"), b"p")
            for action in self.direct.handle(DirectSubmitted(CLIENTS[0], request, ())):
                assert isinstance(action, AssignAttempts)
                (sent,) = attempts_of(action)
                engine.serial = sent.serial
                engine.line.append(sent)
                engine.calls.append(msg_id)
        self.note_calls(number)

    def note_calls(self, number: EngineId) -> None:
        self.feed(EngineOccupied(number, self.direct.n_held(number)))

    def idle_engines(self) -> list[EngineId]:
        """Return those that have nothing to do, and can be given something."""
        return [
            number
            for number, engine in self.engines.items()
            if engine.here and not (engine.suspect or engine.line)
        ]

    def end_calls(self, number: EngineId, msg_ids: list[MsgId]) -> None:
        for msg_id in msg_ids:
            self.engines[number].calls.remove(msg_id)
        outcomes = [Outcome(msg_id, 1, "ok", 0.0, 0.0, 0.01) for msg_id in msg_ids]
        self.direct.handle(AttemptsEnded(number, outcomes, [()] * len(outcomes)))
        if self.engines[number].here:
            self.note_calls(number)

    def waits_behind_calls(self) -> list[tuple[EngineId, Sent]]:
        """Return the plain tasks that stand behind calls by name, and where."""
        found = []
        for number, engine in self.engines.items():
            if not engine.here or not engine.line or engine.line[0].msg_id not in engine.calls:
                continue
            for sent in engine.line:
                is_task = sent.msg_id not in engine.calls and self.is_current(sent)
                if is_task and self.told[sent.msg_id].is_plain:
                    found.append((number, sent))
        return found

    @rule()
    def engine_joins(self) -> None:
        if len(self.engines) < 5:
            engine = EngineId(len(self.engines))
            self.engines[engine] = Engine()
            self.direct.handle(EngineJoined(engine))
            self.feed(EngineJoined(engine))

    def some_engine(self, data: st.DataObject) -> tuple[EngineId, Engine]:
        return data.draw(st.sampled_from(list(self.engines.items())))

    @precondition(lambda self: self.engines)
    @rule(data=st.data())
    def engine_rejoins(self, data: st.DataObject) -> None:
        number, engine = self.some_engine(data)
        if not engine.here:
            engine.suspect = False
            engine.here = True
            self.direct.handle(EngineJoined(number))
            self.feed(EngineJoined(number))

    @precondition(lambda self: self.engines)
    @rule(data=st.data(), suspect=st.booleans())
    def engine_is_suspected(self, data: st.DataObject, suspect: bool) -> None:
        number, engine = self.some_engine(data)
        engine.suspect = suspect and engine.here
        self.feed(EngineSuspected(number, suspect))

    @precondition(lambda self: self.engines)
    @rule(data=st.data(), known=st.booleans())
    def engine_is_lost(self, data: st.DataObject, known: bool) -> None:
        """It died and its supervisor knows what it had begun, or it is only silent."""
        number, engine = self.some_engine(data)
        if not engine.here:
            return
        engine.here = False
        started = max(engine.begun, default=0) if known else None
        self.direct.handle(EngineLost(number, "gone", started))
        calls, engine.calls = engine.calls, []
        for sent in engine.line:
            if sent.msg_id in calls:
                continue
            told = self.told[sent.msg_id]
            if self.is_current(sent):
                told.errors += started is None or sent.serial <= started
                told.returned = True
        if known:
            engine.line.clear()
        engine.line = deque(sent for sent in engine.line if sent.msg_id not in calls)
        self.feed(EngineLost(number, "gone", started))

    def is_current(self, sent: Sent) -> bool:
        told = self.told[sent.msg_id]
        return told.result is None and told.attempts[-1] is sent and not told.returned

    @precondition(lambda self: self.engines)
    @rule(data=st.data())
    def engine_begins(self, data: st.DataObject) -> None:
        _, engine = self.some_engine(data)
        if engine.line:
            engine.begun.add(engine.line[0].serial)

    @precondition(lambda self: self.engines)
    @rule(
        data=st.data(),
        statuses=st.lists(STATUSES, min_size=1, max_size=6),
        bundles=st.booleans(),
    )
    def engine_finishes(self, data: st.DataObject, statuses: list[str], bundles: bool) -> None:
        number, engine = self.some_engine(data)
        self.finish(number, engine, statuses, bundles)

    def finish(self, number: EngineId, engine: Engine, statuses: list[str], bundles: bool) -> None:
        ended = [engine.line.popleft() for _ in statuses[: len(engine.line)]]
        engine.begun.update(sent.serial for sent in ended)
        calls = [sent.msg_id for sent in ended if sent.msg_id in engine.calls]
        tasks = [pair for pair in zip(ended, statuses, strict=False) if pair[0].msg_id not in calls]
        self.answer(number, tasks, bundles)
        self.end_calls(number, calls)

    def answer(self, number: EngineId, answers: list[tuple[Sent, str]], bundles: bool) -> None:
        outcomes = []
        counted = 0
        for sent, status in answers:
            told = self.told[sent.msg_id]
            if self.engines[number].here and self.is_current(sent):
                counted += 1
                told.returned = True
                told.errors += status == "error"
                if status == "unmet":
                    told.refused.add(number)
            failure = None if status == "ok" else Failure("E", "v")
            outcomes.append(
                Outcome(sent.msg_id, sent.attempt, status, 0.0, 0.0, 0.01, failure=failure)
            )
        items = bundled(outcomes) if bundles else outcomes
        actions = self.feed(AttemptsEnded(number, items, [()] * len(items)))
        assert counted or not actions, "an outcome that nobody waits for changes something"

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), status=STATUSES, elsewhere=st.booleans())
    def late_outcome(self, data: st.DataObject, status: str, elsewhere: bool) -> None:
        """Any attempt that is over is answered once more, perhaps by another engine."""
        sent = data.draw(st.sampled_from(self.sent))
        number = data.draw(st.sampled_from(list(self.engines))) if elsewhere else sent.engine
        if number != sent.engine or not self.is_current(sent):
            failure = None if status == "ok" else Failure("E", "v")
            outcome = Outcome(sent.msg_id, sent.attempt, status, 0.0, 0.0, 9.0, failure=failure)
            assert self.feed(AttemptsEnded(number, [outcome], [()])) == []

    @precondition(lambda self: self.engines)
    @rule(data=st.data())
    def engine_answers_recall(self, data: st.DataObject) -> None:
        number, engine = self.some_engine(data)
        if engine.recalls:
            self.answer_recall(number, engine)

    def answer_recall(self, number: EngineId, engine: Engine) -> None:
        asked = set(engine.recalls.pop(0))
        dropped = [
            sent
            for sent in engine.line
            if (sent.msg_id, sent.attempt) in asked and sent.serial not in engine.begun
        ]
        for sent in dropped:
            engine.line.remove(sent)
            if engine.here and self.is_current(sent):
                self.told[sent.msg_id].returned = True
        self.feed(AttemptsDropped(number, [(sent.msg_id, sent.attempt) for sent in dropped]))

    # ------------------------------------------------------------ time

    @rule(seconds=st.sampled_from([0.01, 0.1, 1.0, 4.0]))
    def time_passes(self, seconds: float) -> None:
        waiting, idle = self.waits_behind_calls(), self.idle_engines()
        self.now += seconds
        self.feed(TimePassed(self.now))
        if idle and seconds > MOST_RECALL_AFTER_S:
            for number, sent in waiting:
                asked = [attempt for recall in self.engines[number].recalls for attempt in recall]
                assert (sent.msg_id, sent.attempt) in asked, f"{sent} waits while {idle} idle"

    @invariant()
    def loads_are_what_engines_hold(self) -> None:
        if not hasattr(self, "core"):
            return
        loads = self.core.snapshot().loads
        assert set(loads) == {number for number, engine in self.engines.items() if engine.here}
        for number, load in loads.items():
            engine = self.engines[number]
            tasks = [sent for sent in engine.line if sent.msg_id not in engine.calls]
            current = sum(self.is_current(sent) for sent in tasks)
            assert load == current
            assert self.hwm <= 0 or load <= self.hwm

    def teardown(self) -> None:
        """With a healthy engine every task ends, and nothing is kept of it."""
        if not hasattr(self, "core"):
            return
        for number, engine in self.engines.items():
            if engine.here and engine.suspect:
                engine.suspect = False
                self.feed(EngineSuspected(number, False))
        if len(self.engines) < 5:
            self.engine_joins()
        if not any(engine.here for engine in self.engines.values()):
            self.engines[EngineId(0)].here = True
            self.direct.handle(EngineJoined(EngineId(0)))
            self.feed(EngineJoined(EngineId(0)))
        while any(engine.here and engine.line for engine in self.engines.values()):
            for number, engine in self.engines.items():
                while engine.recalls:
                    self.answer_recall(number, engine)
                self.finish(number, engine, ["ok"] * len(engine.line), bundles=True)
        unfinished = [msg_id for msg_id, told in self.told.items() if told.result is None]
        assert not unfinished
        self.feed(TimePassed(self.now + 1e6))
        self.nothing_is_kept()

    def nothing_is_kept(self) -> None:
        assert paths_to(self.core, self.told, skip=["endings", "_endings"]) == []


SchedulerMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None
)
TestSchedulerMachine = SchedulerMachine.TestCase
