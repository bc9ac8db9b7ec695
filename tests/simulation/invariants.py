"""The judge: keeps its own simple book of every task and compares all that happens with it.

It hears what goes into the scheduling cores and what comes out, which attempts engines start, and
what clients are told. The promises, by the names that they have in the design:

- I2 exactly one outcome for each task; I3 only the newest attempt may set it.
- I4 no engine holds more than the high-water mark, none is used that is suspect or not here.
- I5 nothing starts before what it waits for; it runs where it must; what can never run fails.
- I6 first in, first out among equals; no task runs more often than its retries allow.
- I7 where engines hold little, a task goes to none that was named while another is idle.
- R4 without retries a task is never started twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from hippodrome.protocol.bundles import ids_of
from hippodrome.protocol.messages import Dependencies, EngineId, MsgId, Options, PeerId, Result
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
    TasksSubmitted,
)
from hippodrome.scheduler.room import AUTO
from support.flat import Sent, attempts_of, outcomes_of, results_of

DEFAULTS = Options()
MADE_BY_CLIENTS = ("ControllerLost", "DeserializationError")
CLOCK_STEP_S = 0.001  # rounding
FOR_SURE = ("aborted", "timeout", "unreachable")  # outcomes of tasks that are not running

if TYPE_CHECKING:
    from simulation.network import Clock


class Violation(AssertionError):
    """A promise was broken."""


def demand(condition: object, text: str) -> None:
    if not condition:
        raise Violation(text)


@dataclass(slots=True)
class Told:
    """What the judge knows of one task."""

    number: int
    client: PeerId
    options: Options
    direct: EngineId | None = None
    attempt: int = 0
    engine: EngineId | None = None  # which holds the newest attempt
    serial: int = 0
    refused: set[EngineId] = field(default_factory=set)
    failures: int = 0
    unmet_starts: int = 0
    starts: int = 0
    submitted: float = 0.0
    is_abort_asked: bool = False
    was_on_lost: bool = False
    was_lost: bool = False  # with an engine that may still be there
    result: Result | None = None

    @property
    def is_plain(self) -> bool:
        return self.direct is None and self.options == DEFAULTS and not self.failures

    @property
    def is_ready(self) -> bool:
        return self.engine is None and self.result is None


class Judge:
    """One cluster's book."""

    def __init__(self, hwm: int, clock: Clock, *, is_patient: bool = False) -> None:
        self.hwm = hwm
        self.is_patient = is_patient  # nobody is given up, so that nothing may run twice
        self.clock = clock
        self.told: dict[MsgId, Told] = {}
        self.here: dict[EngineId, bool] = {}  # is it suspect?
        self.loads: dict[EngineId, int] = {}
        self.named: dict[EngineId, int] = {}  # calls by name that each engine has
        self.serials: dict[EngineId, int] = {}
        self.resolved: dict[MsgId, Result] = {}
        self.ready_plain: dict[int, Told] = {}  # by number; a superset

    # ------------------------------------------------------------ what the cores are told

    def before(self, event: Event) -> None:
        """Take note of an event before the core acts on it."""
        match event:
            case TasksSubmitted():
                for task in event.tasks:
                    for msg_id in ids_of(task):
                        self._submitted(msg_id, Told(0, event.client, task.options or DEFAULTS))
            case DirectSubmitted():
                request = event.request
                for msg_id, target in zip(request.msg_ids, request.targets, strict=True):
                    self._submitted(msg_id, Told(0, event.client, DEFAULTS, direct=target))
            case AttemptsEnded():
                for msg_id, attempt, status in chain.from_iterable(
                    map(outcomes_of, event.outcomes)
                ):
                    told = self._give_back(msg_id, attempt, event.engine)
                    if told is not None and status != "ok":
                        if status == "unmet":
                            told.refused.add(event.engine)
                        told.failures += 1
            case AttemptsDropped():
                for msg_id, attempt in event.attempts:
                    self._give_back(msg_id, attempt, event.engine)
            case EngineJoined():
                self.here.setdefault(event.engine, False)
            case EngineSuspected():
                if event.engine in self.here:
                    self.here[event.engine] = event.suspect
            case AbortAsked():
                for msg_id, told in self.told.items():
                    named = event.msg_ids is None and told.client == event.client
                    told.is_abort_asked |= named or msg_id in (event.msg_ids or ())
            case EngineLost():
                self._lost(event)

    def _submitted(self, msg_id: MsgId, told: Told) -> None:
        if msg_id not in self.told:
            told.number, told.submitted = len(self.told), self.clock.now
            self.told[msg_id] = told
            if told.is_plain:
                self.ready_plain[told.number] = told

    def _give_back(self, msg_id: MsgId, attempt: int, engine: EngineId) -> Told | None:
        told = self.told.get(msg_id)
        if told is None or told.engine != engine or told.attempt != attempt:
            return None
        self._free(told)
        return told

    def _free(self, told: Told) -> None:
        assert told.engine is not None
        books = self.loads if told.direct is None else self.named
        books[told.engine] -= 1
        told.engine = None
        if told.is_plain:
            self.ready_plain[told.number] = told

    def _lost(self, event: EngineLost) -> None:
        self.here.pop(event.engine, None)
        for told in self.told.values():
            if told.engine == event.engine:
                told.was_on_lost = True
                told.was_lost |= event.started is None
                told.failures += event.started is None or told.serial <= event.started
                self._free(told)

    # ------------------------------------------------------------ what the cores do

    def after(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case AssignAttempts():
                    for sent in attempts_of(action):
                        self._assigned(sent)
                case Deliver():
                    for result in results_of(action.result):
                        self._delivered(action.client, result)

    def _assigned(self, sent: Sent) -> None:
        name = f"{sent.msg_id} attempt {sent.attempt}"
        told = self.told[sent.msg_id]
        demand(told.result is None, f"I2 {name}: the task has ended")
        demand(told.engine is None, f"R4 {name}: attempt {told.attempt} may be running")
        demand(sent.engine in self.here, f"I4 {name}: engine {sent.engine} is not here")
        demand(sent.attempt == told.attempt + 1, f"I3 {name}: after attempt {told.attempt}")
        last = self.serials.get(sent.engine, 0)
        demand(sent.serial > last, f"I3 {name}: serial {sent.serial} after {last}")
        if told.direct is None:
            self._judge_place(sent, told, name)
            self.loads[sent.engine] = load = self.loads.get(sent.engine, 0) + 1
            demand(self.hwm <= 0 or load <= self.hwm, f"I4 {name}: load {load} of {self.hwm}")
        else:
            demand(sent.engine == told.direct, f"I5 {name}: on engine {sent.engine}")
            self.named[sent.engine] = self.named.get(sent.engine, 0) + 1
        self.serials[sent.engine] = sent.serial
        told.engine, told.attempt, told.serial = sent.engine, sent.attempt, sent.serial

    def _judge_place(self, sent: Sent, told: Told, name: str) -> None:
        options, engine = told.options, sent.engine
        demand(not self.here[engine], f"I4 {name}: engine {engine} is suspect")
        demand(engine not in told.refused, f"I5 {name}: engine {engine} refused it")
        allowed = options.targets is None or engine in options.targets
        demand(allowed, f"I5 {name}: engine {engine} is no target")
        demand(self._holds(options.after), f"I5 {name}: starts before what it waits for")
        demand(self._holds(options.follow), f"I5 {name}: starts before what it follows")
        demand(self._is_followed(options.follow, engine), f"I5 {name}: on engine {engine}")
        if told.is_plain:
            is_behind = self.named.get(engine) and self.hwm in (AUTO, 1)
            idle = [e for e in self.here if self._is_idle(e)] if is_behind else []
            demand(not idle, f"I7 {name}: behind calls of engine {engine} while {idle} idle")
            for number in [n for n in self.ready_plain if n < told.number]:
                if self.ready_plain[number].is_ready and self.ready_plain[number].is_plain:
                    raise Violation(f"I6 {name}: task number {number} has waited longer")
                del self.ready_plain[number]
            self.ready_plain.pop(told.number, None)

    def _is_idle(self, engine: EngineId) -> bool:
        n_unfinished = self.loads.get(engine, 0) + self.named.get(engine, 0)
        return not (self.here[engine] or n_unfinished)

    def _delivered(self, client: PeerId, result: Result) -> None:
        told = self.told[result.msg_id]
        demand(told.result is None, f"I2 {result.msg_id}: a second outcome")
        demand(client == told.client, f"I2 {result.msg_id}: to another client")
        waited_s = self.clock.now - told.submitted
        reason = REASONS[result.status](self, told)
        demand(reason, f"I5 {result.msg_id}: {result.status} without a reason, {waited_s:.3f} s")
        ename = result.failure.ename if result.failure is not None else ""
        demand(ename in NAMES.get(result.status, (ename,)), f"I5 {result.msg_id}: {ename}")
        by_engine = result.status in ("ok", "error")
        newest = result.attempt == told.attempt
        may_be_older = not by_engine or self._is_given_up(result, told)
        demand(newest or may_be_older, f"I3 {result.msg_id}: by attempt {result.attempt}")
        over = told.engine is None or told.direct is not None
        demand(over, f"I3 {result.msg_id}: ended while attempt {told.attempt} is out")
        told.result = result
        if told.engine is not None:
            self._free(told)

    # ------------------------------------------------------------ is there a reason?

    def _is_given_up(self, result: Result, told: Told) -> bool:
        """Whether a task ends with the error of an attempt that was to be made again."""
        has_failed = result.status == "error" and told.failures > 0
        return has_failed and (self._is_unreachable(told) or self._timed_out(told))

    def _timed_out(self, told: Told) -> bool:
        timeout_s = told.options.timeout_s
        waited_s = self.clock.now - told.submitted
        return timeout_s is not None and waited_s >= timeout_s - CLOCK_STEP_S

    def _is_lost(self, told: Told) -> bool:
        return told.was_on_lost or (told.direct is not None and told.direct not in self.here)

    def _is_unreachable(self, told: Told) -> bool:
        options = told.options
        if any(self._cannot_hold(told, needed) for needed in (options.after, options.follow)):
            return True
        follow = options.follow
        if follow is not None and not follow.all and told.attempt:
            return True  # it follows those that had ended when it became ready, not later ones
        able = set(self.here) - told.refused
        if options.targets is not None:
            able &= set(options.targets)
        return not any(self._is_followed(options.follow, engine) for engine in able)

    def _cannot_hold(self, told: Told, dependencies: Dependencies | None) -> bool:
        if dependencies is None or not dependencies.msg_ids:
            return False
        others = [self.told.get(msg_id) for msg_id in dependencies.msg_ids]
        if any(other is None or other.number >= told.number for other in others):
            return True
        missed = [
            other is not None and other.result is not None and not self._counts(dependencies, m)
            for m, other in zip(dependencies.msg_ids, others, strict=True)
        ]
        return any(missed) if dependencies.all else all(missed)

    # ------------------------------------------------------------ what engines do

    def started(self, msg_id: MsgId, attempt: int, engine: EngineId | None, behavior: str) -> None:
        """An engine begins an attempt."""
        told = self.told[msg_id]
        told.starts += 1
        told.unmet_starts += behavior == "unmet"
        if told.result is not None and told.result.status in FOR_SURE and not told.was_lost:
            raise Violation(f"R4 {msg_id} starts after it was {told.result.status}")
        limit = 1 + told.options.retries + told.unmet_starts
        if self.is_patient:  # each start before this one has ended, with a failure
            limit = min(limit, 1 + told.failures)
        demand(told.starts <= limit, f"R4 {msg_id} attempt {attempt}: start number {told.starts}")

    # ------------------------------------------------------------ what clients are told

    def client_told(self, client: PeerId, result: Result, payload: bytes) -> None:
        msg_id = result.msg_id
        demand(msg_id not in self.resolved, f"I2 {msg_id}: its client is told twice")
        self.resolved[msg_id] = result
        if result.failure is not None and result.failure.ename in MADE_BY_CLIENTS:
            return
        told = self.told[msg_id]
        demand(told.client == client, f"I2 {msg_id}: told to {client}")
        demand(told.result is not None, f"I3 {msg_id}: told before it was decided")
        assert told.result is not None
        same = (told.result.status, told.result.attempt) == (result.status, result.attempt)
        demand(same, f"I3 {msg_id}: {result.status} of attempt {result.attempt} is told")
        if result.status == "ok":
            expected = result_of(msg_id, result.attempt)
            demand(payload == expected, f"I3 {msg_id}: the result of another task: {payload!r}")

    # ------------------------------------------------------------ dependencies

    def _counts(self, dependencies: Dependencies, msg_id: MsgId) -> bool:
        told = self.told.get(msg_id)
        if told is None or told.result is None:
            return False
        return dependencies.success if told.result.status == "ok" else dependencies.failure

    def _holds(self, dependencies: Dependencies | None) -> bool:
        if dependencies is None or not dependencies.msg_ids:
            return True
        met = [self._counts(dependencies, msg_id) for msg_id in dependencies.msg_ids]
        return all(met) if dependencies.all else any(met)

    def _is_followed(self, follow: Dependencies | None, engine: EngineId) -> bool:
        if follow is None or not follow.msg_ids:
            return True
        results = [self.told[m].result for m in follow.msg_ids if self._counts(follow, m)]
        ran = {result.engine for result in results if result is not None} - {None}
        return ran == {engine} if follow.all else engine in ran


REASONS: dict[str, Callable[[Judge, Told], bool]] = {
    "ok": lambda judge, told: told.starts > 0,
    "error": lambda judge, told: told.starts > 0,
    "aborted": lambda judge, told: told.is_abort_asked,
    "lost": Judge._is_lost,
    "timeout": Judge._timed_out,
    "unreachable": Judge._is_unreachable,
}
NAMES = {
    "aborted": ("TaskAborted",),
    "lost": ("EngineError",),
    "timeout": ("TaskTimeout", "DependencyTimeout"),
    "unreachable": ("ImpossibleDependency", "InvalidDependency"),
}


def result_of(msg_id: MsgId, attempt: int) -> bytes:
    """Return what an engine answers, so that results cannot be confused unnoticed."""
    return f"{msg_id}/{attempt}".encode()
