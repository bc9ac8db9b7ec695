"""Calls of named engines by examples."""

from __future__ import annotations

import pytest

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
    Serial,
    Serials,
    TimePassed,
)

ME, OTHER = PeerId("c" * 32), PeerId("d" * 32)
F = Digest(b"f")


class Bench:
    """A direct scheduler with engines 0, 1, ..."""

    def __init__(self, engines: int = 2) -> None:
        self.serials = Serials()
        self.scheduler = DirectScheduler(self.serials)
        for number in range(engines):
            self.feed(EngineJoined(EngineId(number)))

    def feed(self, event: Event) -> list[Action]:
        actions = self.scheduler.handle(event)
        self.scheduler.check()
        return actions

    def call(self, targets: dict[str, int], client: PeerId = ME) -> list[Action]:
        msg_ids = [MsgId(name) for name in targets]
        engines = [EngineId(number) for number in targets.values()]
        request = SubmitDirect(msg_ids, engines, F, b"args")
        return self.feed(DirectSubmitted(client, request, (b"buffer",)))

    def end(self, name: str, engine: int, status: str = "ok", attempt: int = 1) -> list[Action]:
        failure = None if status == "ok" else Failure("ValueError", "no")
        outcome = Outcome(MsgId(name), attempt, status, 1.0, 2.0, 0.0, b"r", 1, failure)
        return self.feed(AttemptsEnded(EngineId(engine), [outcome], [(b"result",)]))

    def drop(self, name: str, engine: int) -> list[Action]:
        return self.feed(AttemptsDropped(EngineId(engine), [(MsgId(name), 1)]))

    def held(self, engine: int) -> list[str]:
        return list(self.scheduler.held(EngineId(engine)))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def result_of(actions: list[Action]) -> Result:
    (action,) = actions
    assert isinstance(action, Deliver)
    return action.result


def ename_of(actions: list[Action]) -> str:
    failure = result_of(actions).failure
    assert failure is not None
    return failure.ename


def test_a_call_is_sent_at_once_to_each_engine_that_it_names(bench: Bench) -> None:
    assert bench.call({"a": 1, "b": 0}) == [
        AssignAttempts(EngineId(1), Serial(1), [MsgId("a")], 1, F, [b"args"], (b"buffer",)),
        AssignAttempts(EngineId(0), Serial(1), [MsgId("b")], 1, F, [b"args"], (b"buffer",)),
    ]
    assert (bench.held(0), bench.held(1)) == (["b"], ["a"])


def test_calls_of_one_engine_are_numbered_in_their_order(bench: Bench) -> None:
    actions = bench.call({"a": 0, "b": 0}) + bench.call({"c": 0})
    assert [a.serial for a in actions if isinstance(a, AssignAttempts)] == [1, 2, 3]
    assert bench.held(0) == ["a", "b", "c"]


def test_the_outcome_goes_to_the_client_with_its_buffers(bench: Bench) -> None:
    bench.call({"a": 0})
    (delivery,) = bench.end("a", 0)
    result = Result(MsgId("a"), "ok", EngineId(0), 1, 1.0, 2.0, b"r", 1)
    assert delivery == Deliver(ME, F, result, (b"result",))
    assert "a" not in bench.scheduler
    assert bench.held(0) == []


def test_a_second_outcome_changes_nothing(bench: Bench) -> None:
    bench.call({"a": 0})
    bench.end("a", 0)
    assert bench.end("a", 0) == []


@pytest.mark.parametrize(("engine", "attempt"), [(1, 1), (7, 1), (0, 2), (0, 0)])
def test_an_outcome_of_another_engine_or_attempt_changes_nothing(
    bench: Bench, engine: int, attempt: int
) -> None:
    bench.call({"a": 0})
    assert bench.end("a", engine, attempt=attempt) == []
    assert bench.held(0) == ["a"]


def test_a_call_of_an_engine_that_is_not_here_fails_at_once(bench: Bench) -> None:
    actions = bench.call({"a": 5})
    assert ename_of(actions) == "EngineError"
    assert result_of(actions).status == "lost"
    assert "a" not in bench.scheduler


def test_an_engine_that_refuses_a_call_has_failed_it(bench: Bench) -> None:
    bench.call({"a": 0})
    assert result_of(bench.end("a", 0, "unmet")).status == "error"


def test_a_failed_call_is_not_tried_again(bench: Bench) -> None:
    bench.call({"a": 0})
    assert result_of(bench.end("a", 0, "error")).status == "error"
    assert bench.held(0) == []


@pytest.mark.parametrize("started", [None, 0, 1, 99])
def test_all_calls_of_a_lost_engine_fail_whatever_it_had_started(
    bench: Bench, started: int | None
) -> None:
    bench.call({"a": 0, "b": 1})
    actions = bench.feed(EngineLost(EngineId(0), "killed", started))
    (delivery,) = [a for a in actions if isinstance(a, Deliver)]
    assert delivery.result.failure == Failure("EngineError", "killed")
    assert bench.held(1) == ["b"]


def test_an_engine_that_is_only_silent_is_told_not_to_start_what_has_failed(bench: Bench) -> None:
    bench.call({"a": 0, "b": 0})
    actions = bench.feed(EngineLost(EngineId(0), "silent", None))
    assert actions[0] == Recall(EngineId(0), [(MsgId("a"), 1), (MsgId("b"), 1)])


def test_losing_an_engine_twice_or_one_that_never_was_changes_nothing(bench: Bench) -> None:
    bench.feed(EngineLost(EngineId(0), "gone", 0))
    assert bench.feed(EngineLost(EngineId(0), "gone", 0)) == []
    assert bench.feed(EngineLost(EngineId(7), "gone", None)) == []


def test_an_engine_that_comes_back_may_be_called_again(bench: Bench) -> None:
    bench.call({"a": 0})
    bench.feed(EngineLost(EngineId(0), "silent", None))
    bench.feed(EngineJoined(EngineId(0)))
    (assign,) = bench.call({"b": 0})
    assert isinstance(assign, AssignAttempts)
    assert assign.serial == 2


def test_an_engine_that_joins_again_keeps_what_it_holds(bench: Bench) -> None:
    bench.call({"a": 0})
    assert bench.feed(EngineJoined(EngineId(0))) == []
    assert bench.held(0) == ["a"]


def test_a_suspected_engine_is_still_called(bench: Bench) -> None:
    assert bench.feed(EngineSuspected(EngineId(0), suspect=True)) == []
    assert isinstance(bench.call({"a": 0})[0], AssignAttempts)


def test_an_abort_recalls_once_and_ends_what_was_dropped(bench: Bench) -> None:
    bench.call({"a": 0})
    abort = AbortAsked(ME, [MsgId("a"), MsgId("a"), MsgId("unknown")])
    assert bench.feed(abort) == [Recall(EngineId(0), [(MsgId("a"), 1)])]
    assert bench.feed(abort) == []
    assert ename_of(bench.drop("a", 0)) == "TaskAborted"
    assert bench.drop("a", 0) == []


def test_an_abort_of_several_calls_tells_each_engine_once() -> None:
    bench = Bench(engines=2)
    bench.call({"a": 0, "b": 1})
    bench.call({"c": 0})
    assert bench.feed(AbortAsked(ME, [MsgId(name) for name in "abc"], interrupt=True)) == [
        Recall(EngineId(0), [(MsgId("a"), 1), (MsgId("c"), 1)], interrupt=True),
        Recall(EngineId(1), [(MsgId("b"), 1)], interrupt=True),
    ]


def test_an_abort_of_everything_is_about_the_clients_own_calls(bench: Bench) -> None:
    bench.call({"a": 0})
    bench.call({"b": 0}, OTHER)
    assert bench.feed(AbortAsked(ME, None)) == [Recall(EngineId(0), [(MsgId("a"), 1)])]


def test_a_call_that_had_started_ends_with_its_own_result_in_spite_of_an_abort(
    bench: Bench,
) -> None:
    bench.call({"a": 0})
    bench.feed(AbortAsked(ME, None))
    assert result_of(bench.end("a", 0)).status == "ok"


def test_an_engine_cannot_drop_what_nobody_aborted(bench: Bench) -> None:
    bench.call({"a": 0})
    assert bench.drop("a", 0) == []
    assert bench.held(0) == ["a"]


def test_an_id_that_is_under_way_is_not_sent_again(bench: Bench) -> None:
    bench.call({"a": 0})
    assert bench.call({"a": 1}) == []


def test_an_event_that_means_nothing_here_is_a_mistake(bench: Bench) -> None:
    with pytest.raises(TypeError, match="TimePassed"):
        bench.feed(TimePassed(1.0))
