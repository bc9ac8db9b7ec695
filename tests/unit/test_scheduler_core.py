"""The task scheduler by examples: what each rule means in the smallest case that shows it."""

from __future__ import annotations

import pytest

from hippodrome.protocol.messages import (
    Dependencies,
    EngineId,
    Failure,
    MsgId,
    Options,
    Outcome,
    PeerId,
    Result,
    Task,
)
from hippodrome.scheduler.core import TaskScheduler
from hippodrome.scheduler.events import (
    AbortAsked,
    Action,
    AssignAttempts,
    AttemptsDropped,
    AttemptsEnded,
    Deliver,
    EndedElsewhere,
    EngineJoined,
    EngineLost,
    EngineSuspected,
    Event,
    Recall,
    TasksSubmitted,
    TimePassed,
)
from support.flat import Sent, attempts_of, results_of

ME = PeerId("c" * 32)


class Bench:
    """A scheduler, and what it has said so far."""

    def __init__(self, scheme: str = "leastload", hwm: int = 1, engines: int = 1) -> None:
        self.scheduler = TaskScheduler(scheme, hwm)
        self.assigned: list[Sent] = []
        self.results: dict[str, Result] = {}
        self.recalled: list[Recall] = []
        self.feed(TimePassed(1000.0))
        for number in range(engines):
            self.feed(EngineJoined(EngineId(number)))

    def feed(self, event: Event) -> list[Action]:
        actions = self.scheduler.handle(event)
        self.scheduler.check()
        for action in actions:
            match action:
                case AssignAttempts():
                    self.assigned += attempts_of(action)
                case Deliver():
                    assert action.client == ME
                    for result in results_of(action.result):
                        assert result.msg_id not in self.results, "a task ended twice"
                        self.results[result.msg_id] = result
                case Recall():
                    self.recalled.append(action)
        return actions

    def submit(self, *names: str, **options: object) -> None:
        asked = Options(**options) if options else None
        tasks = [Task(MsgId(name), b"f", b"args", 0, asked) for name in names]
        self.feed(TasksSubmitted(ME, tasks, [()] * len(tasks)))

    def end(
        self, name: str, status: str = "ok", run_s: float = 0.0, ename: str = "", why: str = "no"
    ) -> None:
        sent = self.sent(name)
        ename = ename or ("ValueError" if status == "error" else "")
        failure = Failure(ename, why) if ename else None
        outcome = Outcome(sent.msg_id, sent.attempt, status, 1.0, 2.0, run_s, failure=failure)
        self.feed(AttemptsEnded(sent.engine, [outcome], [()]))

    def sent(self, name: str) -> Sent:
        return next(a for a in reversed(self.assigned) if a.msg_id == name)

    def order(self) -> list[str]:
        return [action.msg_id for action in self.assigned]

    def status(self, name: str) -> str:
        return self.results[name].status

    def ename(self, name: str) -> str:
        failure = self.results[name].failure
        assert failure is not None
        return failure.ename

    def evalue(self, name: str) -> str:
        failure = self.results[name].failure
        assert failure is not None
        return failure.evalue


def after(*names: str, **how: bool) -> Dependencies:
    return Dependencies([MsgId(name) for name in names], **how)


def test_a_task_goes_to_an_engine_and_its_result_to_its_client() -> None:
    bench = Bench()
    bench.submit("a")
    bench.end("a")
    assert bench.results["a"].engine == 0
    assert bench.scheduler.jobs == {}


def test_an_abort_of_several_tasks_tells_each_engine_once() -> None:
    """Told one by one, it would begin the second when the first has been interrupted."""
    bench = Bench(hwm=2, engines=2)
    bench.submit(*"abcde")
    bench.feed(AbortAsked(ME, [MsgId(name) for name in "abcde"], interrupt=True))
    assert bench.status("e") == "aborted"
    assert [(len(r.attempts), r.interrupt) for r in bench.recalled] == [(2, True), (2, True)]


def test_tasks_wait_while_there_is_no_engine() -> None:
    bench = Bench(engines=0)
    bench.submit("a", "b")
    assert bench.assigned == []
    bench.feed(EngineJoined(EngineId(0)))
    assert bench.order() == ["a"]


def test_tasks_are_served_in_the_order_of_their_submission() -> None:
    bench = Bench()
    names = [f"t{i}" for i in range(6)]
    bench.submit(*names)
    for name in names:
        bench.end(name)
    assert bench.order() == names


def test_no_engine_gets_more_than_the_high_water_mark() -> None:
    bench = Bench(hwm=2, engines=2)
    bench.submit(*"abcdef")
    assert bench.order() == ["a", "b", "c", "d"]


def test_without_a_high_water_mark_everything_is_sent_at_once() -> None:
    bench = Bench(hwm=0, engines=2)
    bench.submit(*"abcdef")
    assert sorted(a.engine for a in bench.assigned) == [0, 0, 0, 1, 1, 1]


def test_a_function_of_unknown_duration_runs_one_at_a_time_then_flows() -> None:
    bench = Bench(hwm=-1)
    bench.submit(*(f"t{i}" for i in range(100)))
    assert len(bench.assigned) == 1
    bench.end("t0", run_s=1e-6)
    assert len(bench.assigned) > 50


def test_long_tasks_are_balanced_one_by_one() -> None:
    bench = Bench(hwm=-1)
    bench.submit(*(f"t{i}" for i in range(10)))
    bench.end("t0", run_s=0.5)
    assert len(bench.assigned) == 2


def test_what_stands_behind_a_stuck_task_is_recalled_for_an_idle_engine() -> None:
    bench = Bench(hwm=-1)
    bench.submit("quick")
    bench.end("quick", run_s=1e-6)
    bench.submit("slow", "b", "c")
    assert [a.engine for a in bench.assigned] == [0] * 4
    bench.feed(EngineJoined(EngineId(1)))
    bench.feed(TimePassed(1000.2))
    recalled = [attempt for recall in bench.recalled for attempt in recall.attempts]
    assert recalled == [("c", 1)]
    bench.feed(AttemptsDropped(EngineId(0), recalled))
    assert bench.sent("c").engine == 1
    assert bench.sent("c").attempt == 2


@pytest.mark.parametrize(
    "comes", [EngineJoined(EngineId(1)), EngineSuspected(EngineId(1), False)], ids=["new", "back"]
)
def test_an_engine_that_comes_late_is_given_what_stands_behind_a_stuck_task(comes: Event) -> None:
    bench = Bench(hwm=5)
    bench.submit("slow", "b", "c")
    if isinstance(comes, EngineSuspected):
        bench.feed(EngineJoined(EngineId(1)))
        bench.feed(EngineSuspected(EngineId(1), True))
    bench.feed(TimePassed(1001.0))  # nobody is there to take anything
    assert bench.recalled == []
    bench.feed(comes)
    bench.feed(TimePassed(1001.1))
    assert [recall.attempts for recall in bench.recalled] == [[("c", 1)]]


def test_tasks_for_a_busy_engine_do_not_hold_up_others() -> None:
    bench = Bench(engines=2)
    bench.submit(*(f"w{i}" for i in range(50)), targets=[EngineId(0)])
    bench.submit("x")
    assert bench.sent("x").engine == 1


def test_a_freed_engine_takes_the_oldest_task_that_it_may_run() -> None:
    bench = Bench(engines=2)
    bench.submit("a", "b")
    bench.submit("pinned", targets=[bench.sent("b").engine])
    bench.submit("free")
    bench.end("b")
    assert bench.order()[-1] == "pinned"
    bench.end("a")
    assert bench.order()[-1] == "free"


def test_a_late_reply_changes_nothing() -> None:
    bench = Bench(engines=1)
    bench.submit("a", retries=1)
    first = bench.sent("a")
    bench.end("a", "error")
    stale = Outcome(first.msg_id, first.attempt, "ok", 1.0, 2.0, 0.0)
    assert bench.feed(AttemptsEnded(EngineId(0), [stale], [()])) == []
    assert bench.feed(AttemptsEnded(EngineId(7), [stale], [()])) == []
    bench.end("a")
    assert bench.feed(AttemptsEnded(EngineId(0), [stale], [()])) == []
    assert bench.results["a"].attempt == 2


def test_a_failed_task_is_retried_on_another_engine() -> None:
    bench = Bench(engines=2)
    bench.submit("a", retries=1)
    first = bench.sent("a").engine
    bench.end("a", "error")
    assert bench.sent("a").engine != first
    bench.end("a", "error")
    assert bench.status("a") == "error"
    assert bench.ename("a") == "ValueError"


def test_retries_end_with_the_last_error_however_few_engines_there_are() -> None:
    bench = Bench(engines=1)
    bench.submit("a", retries=3)
    for _ in range(4):
        bench.end("a", "error")
    assert bench.ename("a") == "ValueError"
    assert bench.results["a"].attempt == 4


def test_retries_end_with_the_last_error_if_no_engine_is_left_to_try() -> None:
    bench = Bench(engines=2)
    bench.submit("a", retries=3, targets=[EngineId(0)])
    bench.submit("busy", "waits", targets=[EngineId(0)])
    bench.end("a", "error")
    assert bench.sent("a").attempt == 2
    bench.end("a", "error")  # and it stands in line again, as the first
    bench.feed(EngineLost(EngineId(0), "gone", bench.sent("a").serial - 1))
    assert (bench.status("a"), bench.ename("a")) == ("error", "ValueError")
    assert (bench.results["a"].engine, bench.results["a"].attempt) == (0, 2)
    assert bench.ename("waits") == "ImpossibleDependency"


def test_so_does_what_the_other_engines_refuse() -> None:
    bench = Bench(engines=2)
    bench.submit("a", retries=1)
    first = bench.sent("a").engine
    bench.end("a", "error")
    bench.end("a", "unmet")
    assert bench.sent("a").engine == first, "it may run there, which is better than nowhere"
    bench.end("a", "unmet")
    assert bench.ename("a") == "ValueError"


def test_so_does_what_was_with_an_engine_that_was_lost() -> None:
    bench = Bench(engines=1)
    bench.submit("a", "b", retries=1, targets=[EngineId(0)])
    sent = bench.sent("a")
    bench.feed(EngineLost(EngineId(0), "killed by SIGKILL", sent.serial))
    assert (bench.status("a"), bench.ename("a")) == ("lost", "EngineError")
    assert bench.ename("b") == "ImpossibleDependency", "it had never begun"


def test_so_does_what_waits_for_another_engine_for_too_long() -> None:
    bench = Bench(engines=1)
    bench.submit("a", retries=1, timeout_s=5.0)
    bench.feed(EngineSuspected(EngineId(0), suspect=True))
    bench.end("a", "error")
    bench.feed(TimePassed(1006.0))
    assert bench.ename("a") == "ValueError"


@pytest.mark.parametrize("ename", ["VersionMismatch", "ModuleNotFoundError"])
def test_a_task_that_no_engine_can_unpickle_ends_with_the_reason(ename: str) -> None:
    bench = Bench(engines=2)
    bench.submit("a")
    for _ in range(2):
        bench.end("a", "unmet", ename=ename)
    assert sorted(sent.engine for sent in bench.assigned) == [0, 1]
    assert (bench.status("a"), bench.ename("a")) == ("error", ename)
    bench.submit("b")
    bench.end("b", "unmet", ename=ename)
    bench.end("b")
    assert bench.status("b") == "ok", "another engine could"


def test_a_refused_task_tries_each_engine_once_and_then_is_impossible() -> None:
    bench = Bench(engines=3)
    bench.submit("a")
    for _ in range(3):
        bench.end("a", "unmet")
    assert sorted(a.engine for a in bench.assigned) == [0, 1, 2]
    assert bench.ename("a") == "ImpossibleDependency"
    assert bench.evalue("a") == "every engine that may run it refused the task"


def test_a_refused_task_says_why_the_last_engine_refused_it() -> None:
    bench = Bench(engines=2)
    for name, last in {"a": "no disk", "b": "", "c": "x" * 100_000}.items():
        bench.submit(name)
        for why in ("no gpu", last):
            bench.end(name, "unmet", ename="UnmetDependency", why=why)
        assert bench.ename(name) == "ImpossibleDependency"
    assert bench.evalue("a").endswith("refused the task, the last one because: no disk")
    assert bench.evalue("b") == "every engine that may run it refused the task"
    assert 1000 < len(bench.evalue("c")) < 1100, "it is kept for as long as the task waits"


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize(
    ("after", "follow", "said"),
    [
        (after("bad"), None, "task bad, which it depends on, failed"),
        (None, after("bad"), "task bad, which it depends on, failed"),
        (after("bad", "worse", all=False), None, "task bad, which it depends on, failed, as did 1"),
        (after("good", success=False, failure=True), None, "task good, which it depends on, succ"),
        (
            after("good", "bad", all=False),
            after("worse"),
            "task worse, which it depends on, failed",
        ),
    ],
)
def test_what_can_never_start_says_because_of_which_task(
    after: Dependencies | None, follow: Dependencies | None, said: str, *, is_late: bool
) -> None:
    bench = Bench(engines=1)
    bench.submit("good", "bad", "worse")
    if not is_late:
        bench.submit("waits", after=after, follow=follow)
    for name, status in ("good", "ok"), ("bad", "error"), ("worse", "error"):
        bench.end(name, status)
    if is_late:
        bench.submit("waits", after=after, follow=follow)
    failure = bench.results["waits"].failure
    assert failure is not None
    assert failure.ename == "ImpossibleDependency"
    assert failure.evalue.startswith(said)


def test_a_task_waits_for_what_it_comes_after() -> None:
    bench = Bench(engines=2)
    bench.submit("a")
    bench.submit("b", after=after("a"))
    assert bench.order() == ["a"]
    bench.end("a")
    assert bench.order() == ["a", "b"]


def test_a_task_follows_another_to_its_engine() -> None:
    bench = Bench(engines=3, hwm=0)
    bench.submit("a")
    bench.end("a")
    bench.submit(*(f"b{i}" for i in range(5)), follow=after("a"))
    assert {bench.sent(f"b{i}").engine for i in range(5)} == {bench.sent("a").engine}


def test_following_tasks_that_ran_apart_is_impossible_unless_any_will_do() -> None:
    bench = Bench(engines=2)
    bench.submit("a", "b")
    bench.end("a")
    bench.end("b")
    bench.submit("all", follow=after("a", "b"))
    bench.submit("any", follow=after("a", "b", all=False))
    assert bench.ename("all") == "ImpossibleDependency"
    assert "any" in bench.order()


@pytest.mark.parametrize(
    ("how", "a", "b", "outcome"),
    [
        ({}, "ok", "ok", "runs"),
        ({}, "ok", "error", "impossible"),
        ({"all": False}, "error", "ok", "runs"),
        ({"all": False}, "error", "error", "impossible"),
        ({"success": False, "failure": True}, "error", "error", "runs"),
        ({"success": False, "failure": True}, "error", "ok", "impossible"),
        ({"success": True, "failure": True}, "ok", "error", "runs"),
        ({"all": False, "success": False, "failure": True}, "ok", "error", "runs"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_dependencies_count_the_outcomes_they_ask_for(
    how: dict[str, bool], a: str, b: str, outcome: str, late: bool
) -> None:
    bench = Bench(engines=2)
    bench.submit("a", "b")
    if not late:
        bench.submit("c", after=after("a", "b", **how))
    bench.end("a", a)
    bench.end("b", b)
    if late:
        bench.submit("c", after=after("a", "b", **how))
    if outcome == "runs":
        assert "c" in bench.order()
    else:
        assert bench.ename("c") == "ImpossibleDependency"


def test_a_dependency_on_nothing_known_or_on_itself_is_invalid() -> None:
    bench = Bench()
    bench.submit("a", after=after("nobody"))
    bench.submit("b", follow=after("b"))
    assert bench.ename("a") == bench.ename("b") == "InvalidDependency"


def test_a_long_chain_fails_as_a_whole_when_its_head_does() -> None:
    bench = Bench()
    bench.submit("t0")
    for i in range(1, 5000):
        task = Task(MsgId(f"t{i}"), b"f", b"", 0, Options(after=after(f"t{i - 1}")))
        bench.scheduler.handle(TasksSubmitted(ME, [task], [()]))
    bench.end("t0", "error")
    assert len(bench.results) == 5000
    assert bench.ename("t4999") == "ImpossibleDependency"


def test_a_task_may_come_after_a_direct_call() -> None:
    bench = Bench()
    bench.feed(EndedElsewhere(MsgId("direct"), EngineId(0), ok=True))
    bench.submit("a", after=after("direct"))
    assert bench.order() == ["a"]


def test_a_timeout_says_what_was_waited_for() -> None:
    bench = Bench(engines=1)
    bench.submit("busy")
    bench.submit("ready", timeout_s=1.0)
    bench.submit("waiting", timeout_s=2.0, after=after("busy"))
    assert bench.scheduler._ledger.deadlines.next() == 1001.0
    bench.feed(TimePassed(1000.9))
    assert not bench.results
    bench.feed(TimePassed(1002.1))
    assert bench.ename("ready") == "TaskTimeout"
    assert bench.ename("waiting") == "DependencyTimeout"


def test_a_task_that_runs_does_not_time_out() -> None:
    bench = Bench()
    bench.submit("a", timeout_s=1.0)
    bench.feed(TimePassed(1005.0))
    bench.end("a")
    assert bench.status("a") == "ok"


def test_deadlines_of_tasks_that_ended_are_not_kept() -> None:
    bench = Bench(hwm=0)
    for i in range(1000):
        bench.submit(f"t{i}", timeout_s=1e6)
        bench.end(f"t{i}")
    assert len(bench.scheduler._ledger.deadlines) < 200


def test_a_lost_engine_fails_what_had_started_and_moves_what_had_not() -> None:
    bench = Bench(hwm=0, engines=1)
    bench.submit("a", "b", "c")
    started = bench.sent("b").serial
    bench.feed(EngineJoined(EngineId(1)))
    bench.feed(EngineLost(EngineId(0), "killed by SIGKILL", started))
    assert bench.ename("a") == bench.ename("b") == "EngineError"
    assert bench.sent("c").engine == 1
    bench.end("c")
    assert bench.status("c") == "ok"


def test_a_lost_engines_task_runs_elsewhere_if_retries_allow() -> None:
    bench = Bench(engines=2)
    bench.submit("a", retries=1)
    first = bench.sent("a")
    bench.feed(EngineLost(first.engine, "gone", first.serial))
    assert bench.sent("a").engine != first.engine
    assert bench.sent("a").attempt == 2


def test_tasks_whose_only_targets_are_gone_fail_at_once() -> None:
    bench = Bench(engines=2)
    bench.submit("busy", targets=[EngineId(0)])
    bench.submit("waits", targets=[EngineId(0)])
    bench.feed(EngineLost(EngineId(0), "gone", 99))
    assert bench.ename("waits") == "ImpossibleDependency"


def test_a_suspected_engine_gets_nothing_new_until_it_is_back() -> None:
    bench = Bench(engines=1)
    bench.feed(EngineSuspected(EngineId(0), suspect=True))
    bench.submit("a")
    assert bench.assigned == []
    bench.feed(EngineSuspected(EngineId(0), suspect=False))
    assert bench.order() == ["a"]


def test_a_suspected_engine_keeps_none_of_the_tasks_that_it_has_not_begun() -> None:
    bench = Bench(hwm=3)
    bench.submit("a", "b", "c")
    bench.feed(EngineJoined(EngineId(1)))
    bench.feed(EngineSuspected(EngineId(0), suspect=True))
    (recall,) = bench.recalled
    assert recall.engine == EngineId(0)
    assert recall.attempts == [(MsgId(name), 1) for name in "abc"]
    assert not recall.interrupt
    bench.feed(EngineSuspected(EngineId(0), suspect=True))
    assert len(bench.recalled) == 1, "it has been asked"
    bench.feed(AttemptsDropped(EngineId(0), recall.attempts[1:]))  # it has begun the first
    assert [(sent.msg_id, sent.engine) for sent in bench.assigned[3:]] == [("b", 1), ("c", 1)]
    bench.end("a")
    assert bench.status("a") == "ok"


def test_a_suspected_engine_without_tasks_is_asked_for_none() -> None:
    bench = Bench()
    bench.feed(EngineSuspected(EngineId(0), suspect=True))
    assert bench.recalled == []


def test_an_engine_that_comes_back_takes_work_again() -> None:
    bench = Bench(engines=1)
    bench.feed(EngineLost(EngineId(0), "silent", None))
    bench.submit("a")
    bench.feed(EngineJoined(EngineId(0)))
    assert bench.order() == ["a"]


def test_aborting_ends_what_has_not_been_sent_and_recalls_what_has() -> None:
    bench = Bench(hwm=1)
    bench.submit("sent", "waits")
    bench.submit("after", after=after("waits"))
    bench.feed(AbortAsked(ME, None))
    assert bench.ename("waits") == bench.ename("after") == "TaskAborted"
    assert bench.recalled[-1].attempts == [("sent", 1)]
    bench.feed(AttemptsDropped(EngineId(0), [(MsgId("sent"), 1)]))
    assert bench.ename("sent") == "TaskAborted"


def test_a_task_that_had_started_ends_with_its_own_result_in_spite_of_an_abort() -> None:
    bench = Bench()
    bench.submit("a")
    bench.feed(AbortAsked(ME, [MsgId("a")]))
    bench.end("a")
    assert bench.status("a") == "ok"


def test_the_pure_scheme_refuses_what_it_would_have_to_decide() -> None:
    bench = Bench("pure")
    bench.submit("a")
    bench.submit("b", retries=1)
    assert bench.order() == ["a"]
    assert bench.ename("b") == "TaskRejectError"
