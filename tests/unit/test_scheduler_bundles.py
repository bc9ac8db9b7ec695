"""Bundles: tasks that share their way for as long as they fare alike, and no longer."""

from __future__ import annotations

import pytest

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.bundles import deal
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.functions import FunctionCache
from hippodrome.scheduler.core import TaskScheduler
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
    Serial,
    TasksSubmitted,
    TimePassed,
)
from hippodrome.scheduler.intake import Intake
from hippodrome.scheduler.job import READY, Job
from hippodrome.scheduler.packing import MOST_TASKS, pack_results
from hippodrome.scheduler.room import EngineState
from support.flat import Sent, attempts_of, bundled, results_of

ME = m.PeerId("me")
F = m.Digest(b"f")


def names(text: str) -> list[m.MsgId]:
    return [m.MsgId(letter) for letter in text]


def bundle(text: str, **options: object) -> m.TaskBundle:
    asked = m.Options(**options) if options else None  # type: ignore[arg-type]
    payloads = [b"args of " + letter.encode() for letter in text]
    return m.TaskBundle(names(text), F, payloads, asked)


class Bench:
    """A scheduler whose tasks are named by one letter each, and what it has said so far."""

    def __init__(self, hwm: int = 0, engines: int = 1, scheme: str = "leastload") -> None:
        self.core = TaskScheduler(scheme, hwm)
        self.sent: list[Sent] = []
        self.n_assigns = 0
        self.results: dict[str, m.Result] = {}
        self.recalled: list[tuple[str, int]] = []
        for number in range(engines):
            self.feed(EngineJoined(m.EngineId(number)))

    def feed(self, event: Event) -> list[Action]:
        actions = self.core.handle(event)
        self.core.check()
        for action in actions:
            match action:
                case AssignAttempts():
                    self.n_assigns += 1
                    self.sent += attempts_of(action)
                    for msg_id, payload in zip(action.msg_ids, action.payloads, strict=True):
                        assert payload == b"args of " + msg_id.encode()
                case Deliver():
                    for result in results_of(action.result):
                        assert result.msg_id not in self.results, "a task ended twice"
                        self.results[result.msg_id] = result
                case Recall(_, attempts):
                    self.recalled += attempts
        return actions

    def submit(self, text: str, **options: object) -> None:
        self.feed(TasksSubmitted(ME, [bundle(text, **options)], [()]))

    def end(self, engine: int, text: str, status: str = "ok", attempt: int = 1) -> list[Action]:
        failure = None if status == "ok" else m.Failure("ValueError", "no")
        outcomes = [
            m.Outcome(name, attempt, status, 1.0, 2.0, 0.001, b"r", failure=failure)
            for name in names(text)
        ]
        items = bundled(outcomes)
        return self.feed(AttemptsEnded(m.EngineId(engine), items, [()] * len(items)))

    def on(self, engine: int) -> str:
        """Return what an engine was sent, in order."""
        return "".join(sent.msg_id for sent in self.sent if sent.engine == engine)

    def ended(self, status: str) -> str:
        return "".join(sorted(n for n, result in self.results.items() if result.status == status))


# ---------------------------------------------------------------- jobs


def job(text: str) -> Job:
    return Job.of(ME, bundle(text), (), 10)


def holding(made: Job) -> EngineState:
    """Return an engine that holds a job from serial number 20 on."""
    state = EngineState(m.EngineId(0), 0.0)
    made.move(READY)
    state.hold(made, Serial(20), 0.001)
    return state


def test_a_split_keeps_numbers_and_serial_numbers_true() -> None:
    rest = job("abcd")
    state = holding(rest)
    lists = rest.msg_ids, rest.payloads
    first, place = state.split(rest, 3)
    assert ("".join(first.msg_ids), first.number, place.serial) == ("abc", 10, 20)
    assert ("".join(rest.msg_ids), rest.number, state.held[rest].serial) == ("d", 13, 23)
    assert (first.state, rest.state) == (place, state.held[rest])
    assert lists == (names("abcd"), bundle("abcd").payloads), "others may still hold the lists"


@pytest.mark.parametrize(
    ("chosen", "pieces"),
    [
        ("abcd", "+abcd"),
        ("", "-abcd"),
        ("a", "+a -bcd"),
        ("bd", "-a +b -c +d"),
        ("bc", "-a +bc -d"),
    ],
)
def test_a_cut_makes_pieces_that_are_chosen_or_not(chosen: str, pieces: str) -> None:
    whole, before, behind = job("abcd"), job("e"), job("f")
    state = holding(whole)
    state.held = {before: state.held[whole], **state.held, behind: state.held[whole]}
    found = state.cut(whole, set(names(chosen)))
    assert list(state.held) == [before, *(piece for _, piece in found), behind]
    shown = [("+" if chose else "-") + "".join(piece.msg_ids) for chose, piece in found]
    assert " ".join(shown) == pieces
    assert [state.held[piece].serial for _, piece in found] == [
        20 + "abcd".index(piece.msg_ids[0]) for _, piece in found
    ]


def test_what_is_taken_out_leaves_the_rest_in_order() -> None:
    whole = job("abcd")
    taken = whole.take_out({m.MsgId("b"), m.MsgId("d")})
    assert ("".join(taken.msg_ids), "".join(whole.msg_ids)) == ("bd", "ac")
    assert taken.payloads == [b"args of b", b"args of d"]


# ---------------------------------------------------------------- engines


@pytest.mark.parametrize("scheme", ["leastload", "lru", "pure"])
def test_engines_with_room_share_a_bundle(scheme: str) -> None:
    bench = Bench(hwm=0, engines=2, scheme=scheme)
    bench.submit("abcdefgh")
    loads = bench.core.snapshot().loads
    assert sum(loads.values()) == 8
    assert min(loads.values()) >= 2
    assert [sent.msg_id for sent in bench.sent] == names("abcdefgh"), "first in, first out"


@pytest.mark.parametrize("hwm", [1, 2, 3])
def test_no_engine_gets_more_of_a_bundle_than_its_high_water_mark(hwm: int) -> None:
    bench = Bench(hwm, engines=2)
    bench.submit("abcdefgh")
    assert bench.core.snapshot().loads == {0: hwm, 1: hwm}
    bench.end(0, bench.on(0)[:1])
    assert bench.core.snapshot().loads == {0: hwm, 1: hwm}


def test_by_default_a_bundle_of_an_unknown_function_runs_one_by_one_then_flows() -> None:
    bench = Bench(hwm=-1, engines=2)
    bench.submit("abcdefghijkl")
    assert bench.core.snapshot().loads == {0: 1, 1: 1}
    bench.end(0, "a")  # a millisecond: five fill the window
    assert bench.core.snapshot().loads[m.EngineId(0)] == 5
    assert bench.n_assigns == 3


def test_a_bundle_keeps_to_its_targets() -> None:
    bench = Bench(hwm=1, engines=3)
    bench.submit("abcd", targets=[1, 2])
    assert (bench.on(0), bench.on(1) + bench.on(2)) == ("", "ab")


# ---------------------------------------------------------------- outcomes


def test_results_of_a_bundle_reach_the_client_together() -> None:
    bench = Bench()
    bench.submit("abcd")
    (delivery,) = bench.end(0, "abc")
    assert isinstance(delivery, Deliver)
    assert isinstance(delivery.result, m.ResultBundle)
    assert delivery.result.msg_ids == names("abc")
    bench.end(0, "d")
    assert bench.ended("ok") == "abcd"
    assert not bench.core.jobs


def test_an_error_is_that_of_one_task() -> None:
    bench = Bench()
    bench.submit("abcd")
    bench.end(0, "b", "error")
    assert (bench.ended("error"), bench.ended("ok")) == ("b", "")
    bench.end(0, "acd")
    assert bench.ended("ok") == "acd"


def test_one_task_is_retried_and_the_others_are_not() -> None:
    bench = Bench(engines=2, hwm=4)
    bench.submit("abcd", retries=1, targets=[0, 1])
    engine = bench.sent[1].engine
    assert bench.sent[1].msg_id == "b"
    bench.end(engine, "b", "error")
    again = bench.sent[-1]
    assert (again.msg_id, again.attempt, again.engine) == ("b", 2, 1 - engine)
    assert len(bench.sent) == 5
    assert not bench.results


def test_one_task_is_refused_by_an_engine_and_runs_elsewhere() -> None:
    bench = Bench(engines=1)
    bench.submit("abc")
    bench.feed(EngineJoined(m.EngineId(1)))
    bench.end(0, "b", "unmet")
    assert bench.on(1) == "b"


def test_outcomes_of_other_attempts_change_nothing() -> None:
    bench = Bench()
    bench.submit("abc")
    assert bench.end(0, "abc", attempt=2) == []
    bench.feed(EngineJoined(m.EngineId(1)))
    assert bench.end(1, "abc") == []
    bench.end(0, "ab")
    assert bench.end(0, "ab") == []


def test_a_bundle_of_outcomes_need_not_be_what_was_sent_together() -> None:
    bench = Bench()
    bench.submit("abc")
    bench.submit("xyz")
    bench.end(0, "czxa")
    assert bench.ended("ok") == "acxz"
    bench.end(0, "by")
    assert bench.ended("ok") == "abcxyz"


def test_others_may_wait_for_one_task_of_a_bundle() -> None:
    bench = Bench(engines=1)
    bench.submit("abc")
    bench.submit("x", after=m.Dependencies(names("b")))
    bench.end(0, "a")
    assert "x" not in bench.on(0)
    bench.end(0, "b")
    assert "x" in bench.on(0)


def test_a_bundle_waits_and_fails_as_one() -> None:
    bench = Bench(engines=1)
    bench.submit("a")
    bench.submit("xyz", after=m.Dependencies(names("a")))
    assert bench.on(0) == "a"
    bench.end(0, "a", "error")
    assert bench.ended("unreachable") == "xyz"


def test_no_task_of_a_bundle_may_wait_for_another_one_of_it() -> None:
    bench = Bench()
    bench.submit("abc", after=m.Dependencies(names("b")))
    assert bench.ended("unreachable") == "abc"


# ---------------------------------------------------------------- aborts, losses, time


def test_some_of_a_bundle_that_waits_are_aborted() -> None:
    bench = Bench(engines=1)
    bench.submit("a")
    bench.submit("xyz", after=m.Dependencies(names("a")))
    bench.feed(AbortAsked(ME, names("y")))
    assert bench.ended("aborted") == "y"
    bench.end(0, "a")
    assert bench.on(0) == "axz"


def test_some_of_a_bundle_that_stands_in_line_are_aborted() -> None:
    bench = Bench(engines=0)
    bench.submit("abcd")
    bench.feed(AbortAsked(ME, names("bd")))
    bench.feed(EngineJoined(m.EngineId(0)))
    assert (bench.ended("aborted"), bench.on(0)) == ("bd", "ac")


def test_some_of_a_bundle_that_an_engine_holds_are_aborted() -> None:
    bench = Bench()
    bench.submit("abcd")
    bench.feed(AbortAsked(ME, names("bc")))
    assert bench.recalled == [("b", 1), ("c", 1)]
    bench.feed(AttemptsDropped(m.EngineId(0), [(m.MsgId("c"), 1)]))  # too late for the other
    bench.end(0, "abd")
    assert (bench.ended("aborted"), bench.ended("ok")) == ("c", "abd")


def test_everything_is_aborted_at_once() -> None:
    bench = Bench(hwm=2)
    bench.submit("abcd")
    bench.feed(AbortAsked(ME, None))
    assert (bench.ended("aborted"), bench.recalled) == ("cd", [("a", 1), ("b", 1)])


def test_what_had_begun_of_a_bundle_fails_with_its_engine_and_the_rest_moves() -> None:
    bench = Bench()
    bench.submit("abcde")
    bench.end(0, "a")
    bench.feed(EngineLost(m.EngineId(0), "killed", started=3))
    assert bench.ended("lost") == "bc"
    bench.feed(EngineJoined(m.EngineId(1)))
    assert bench.on(1) == "de"
    assert [sent.attempt for sent in bench.sent[-2:]] == [2, 2]


def test_a_bundle_with_retries_outlives_its_engine() -> None:
    bench = Bench()
    bench.submit("abc", retries=1)
    bench.feed(EngineLost(m.EngineId(0), "killed", started=None))
    bench.feed(EngineJoined(m.EngineId(1)))
    assert (bench.on(1), bench.results) == ("abc", {})
    bench.feed(EngineLost(m.EngineId(1), "killed", started=None))
    assert bench.ended("lost") == "abc"


def test_what_a_suspected_engine_drops_of_a_bundle_runs_elsewhere_in_order() -> None:
    bench = Bench()
    bench.submit("abcd")
    bench.feed(EngineSuspected(m.EngineId(0), suspect=True))
    bench.feed(EngineJoined(m.EngineId(1)))
    bench.feed(AttemptsDropped(m.EngineId(0), [(name, 1) for name in names("dbc")]))
    assert bench.on(1) == "bcd"
    bench.end(0, "a")
    bench.end(1, "bcd", attempt=2)
    assert bench.ended("ok") == "abcd"


def test_only_what_has_not_been_assigned_times_out() -> None:
    bench = Bench(hwm=2)
    bench.submit("abcd", timeout_s=5.0)
    bench.feed(TimePassed(5.0))
    assert (bench.ended("timeout"), bench.on(0)) == ("cd", "ab")


# ---------------------------------------------------------------- messages


def intake(*known: str) -> Intake:
    functions = FunctionCache()
    return Intake(functions, set(names("".join(known))).isdisjoint)


def submit(into: Intake, *tasks: m.Task | m.TaskBundle) -> list[TasksSubmitted | DirectSubmitted]:
    message = m.Submit(list(tasks), [F])
    taken = into.submit(ME, message, [b"function"], b"")
    return list(taken.events)  # type: ignore[arg-type]


def test_ids_that_name_a_task_already_are_left_out_of_a_bundle() -> None:
    (event,) = submit(intake("b"), bundle("abca"), bundle("cd"))
    assert isinstance(event, TasksSubmitted)
    assert [task.msg_ids for task in event.tasks] == [names("ac"), names("d")]  # type: ignore[union-attr]
    assert event.tasks[0].payloads == [b"args of a", b"args of c"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "malformed",
    [m.TaskBundle([], F, []), m.TaskBundle(names("ab"), F, [b"x"]), bundle("a", retries=-1)],
    ids=["empty", "a payload too few", "options"],
)
def test_a_malformed_bundle_is_refused(malformed: m.TaskBundle) -> None:
    with pytest.raises(ProtocolError):
        submit(intake(), malformed)


@pytest.mark.parametrize(
    "malformed",
    [
        m.OutcomeBundle([], 1, [], [], []),
        m.OutcomeBundle(names("ab"), 1, [1.0], [1.0, 2.0], [b"", b""]),
        m.OutcomeBundle(names("a"), 1, [1.0], [1.0], []),
    ],
)
def test_malformed_outcomes_are_refused(malformed: m.OutcomeBundle) -> None:
    with pytest.raises(ProtocolError):
        deal([malformed], [])


def test_buffers_belong_to_single_outcomes() -> None:
    single = m.Outcome(m.MsgId("x"), 1, "ok", 1.0, 2.0, 1.0, b"", 2)
    together = m.OutcomeBundle(names("ab"), 1, [1.0] * 2, [1.0] * 2, [b""] * 2)
    buffers: list[Buffer] = [b"1", b"2"]
    assert list(deal([together, single, together], buffers)) == [(), (b"1", b"2"), ()]


def test_messages_are_divided_by_tasks_not_by_items() -> None:
    many = [m.MsgId(f"t{n}") for n in range(MOST_TASKS - 1)]
    floats, payloads = [0.0] * len(many), [b""] * len(many)
    big = m.ResultBundle(many, m.EngineId(0), 1, floats, floats, payloads)
    one = m.Result(m.MsgId("x"), "ok", m.EngineId(0))
    deliveries = [Deliver(ME, F, result) for result in (one, big, one, big)]
    sizes = [len(message.results) for message, _ in pack_results(deliveries)]
    assert sizes == [2, 2]
