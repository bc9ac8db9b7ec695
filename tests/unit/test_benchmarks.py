"""The benchmarks: arithmetic, tables, and that every peer has an answer to every workload."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from benchmarks import environments, lives, peers, procedures
from benchmarks.__main__ import main, make_parser, peers_for
from benchmarks.far.contest import report as far_report
from benchmarks.far.workloads import FAR_TARGETS, FAR_WORKLOADS
from benchmarks.figures import Contest, Figures, Turn
from benchmarks.peers.base import Adapter
from benchmarks.peers.executor import ProcessPool
from benchmarks.report import metric_of, number, report
from benchmarks.runner import Failed, Runner, Settings, take_turn
from benchmarks.session import PeerError, Session
from benchmarks.targets import TARGETS, Target, at_least, at_most
from benchmarks.workloads import REFERENCE, WORKLOADS, Workload

EVERYONE = (peers.OURS, *peers.PEERS)
RATE = at_least("tasks-10k", "tasks_per_s", 4.0, "executor")


def turn(**rates: float) -> Turn:
    return {side: {"tasks_per_s": rate} for side, rate in rates.items()}


def tasks(*turns: Turn, peer: str = "executor", problem: str = "") -> Figures:
    return Figures([Contest("tasks-10k", peer, turns, problem)])


# ---------------------------------------------------------------- arithmetic


def test_a_ratio_is_taken_within_each_turn() -> None:
    slow_machine, fast_machine = turn(ours=10.0, executor=2.0), turn(ours=90.0, executor=30.0)
    figures = tasks(slow_machine, fast_machine, turn(ours=40.0, executor=10.0))
    assert figures.ratio("tasks-10k", "tasks_per_s", "executor") == 4.0
    assert figures.median("tasks-10k", "tasks_per_s", "executor") == 10.0


def test_the_reference_counts_in_the_contests_of_all_peers() -> None:
    figures = tasks(turn(ours=8.0, executor=1.0))
    figures.contests.append(Contest("tasks-10k", "pool", [turn(ours=6.0, pool=3.0, executor=1.0)]))
    assert figures.ratio("tasks-10k", "tasks_per_s", "executor") == 7.0
    assert figures.ratio("tasks-10k", "tasks_per_s", "pool") == 2.0


def test_other_workloads_do_not_count() -> None:
    figures = tasks(turn(ours=8.0, executor=1.0))
    assert figures.median("tasks-50k", "tasks_per_s", "ours") is None
    assert figures.ratio("tasks-50k", "tasks_per_s", "executor") is None


def test_a_yardstick_of_zero_has_no_ratio() -> None:
    assert tasks(turn(ours=8.0, executor=0.0)).ratio("tasks-10k", "tasks_per_s", "executor") is None


def test_a_half_turn_has_no_ratio_but_counts_as_measured() -> None:
    figures = tasks(turn(ours=8.0))
    assert figures.ratio("tasks-10k", "tasks_per_s", "executor") is None
    assert figures.median("tasks-10k", "tasks_per_s", "ours") == 8.0


@pytest.mark.parametrize(("ours", "is_reached"), [(4.0, True), (3.9, False)])
def test_a_lower_bound_holds_at_its_value(ours: float, is_reached: bool) -> None:
    assert tasks(turn(ours=ours, executor=1.0)).verdict(RATE).is_reached is is_reached


@pytest.mark.parametrize(("ours", "is_reached"), [(0.6, True), (0.61, False)])
def test_an_upper_bound_holds_at_its_value(ours: float, is_reached: bool) -> None:
    figures = Figures([Contest("start", "pool", [{"ours": {"first_result_s": ours}}])])
    assert figures.verdict(at_most("start", "first_result_s", 0.6)).is_reached is is_reached


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    assert tasks(turn(ours=8.0)).verdict(RATE).is_reached is None


# ---------------------------------------------------------------- tables


def test_the_report_shows_target_ratio_and_verdict() -> None:
    text = report(tasks(turn(ours=50_000.0, executor=10_000.0)), TARGETS, ["executor"])
    assert "| 50,000 1/s | 10,000 1/s (executor) | 5.00 | at least 4 x executor | reached |" in text
    assert "| 50,000 | 10,000 (5.00) |" in text


def test_the_report_says_what_is_not_reached_or_not_measured() -> None:
    text = report(tasks(turn(ours=1.0, executor=1.0)), TARGETS, ["executor"])
    assert "at least 4 x executor | **not reached** |" in text
    assert "? (pool) | ? | at least 1 x pool | not measured |" in text


def test_the_report_lists_what_failed_with_the_reason() -> None:
    text = report(tasks(peer="ray", problem="ray: cannot be installed"), TARGETS, ["ray"])
    assert "- tasks-10k, ray: ray: cannot be installed" in text


def test_the_report_marks_a_peer_that_was_given_fewer_tasks() -> None:
    measured = {"ours": {"tasks_per_s": 9.0, "n": 10}, "ray": {"tasks_per_s": 3.0, "n": 5}}
    assert "| 3.00 (3.00) * |" in report(tasks(measured, peer="ray"), TARGETS, ["ray"])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "?"), (0.0241, "0.024"), (0.36, "0.36"), (27.68, "27.7"), (123_456.7, "123,457")],
)
def test_numbers_have_three_digits_and_no_exponent(value: float | None, shown: str) -> None:
    assert number(value) == shown


# ---------------------------------------------------------------- workloads, peers and targets


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=list(WORKLOADS))
@pytest.mark.parametrize("name", EVERYONE)
def test_each_peer_runs_each_workload_or_says_why_not(name: str, workload: Workload) -> None:
    reason = peers.why_not(peers.adapter(name), workload)
    assert reason is None or len(reason) > len("no")


def test_an_adapter_without_an_answer_is_found_out() -> None:
    class Mute(Adapter):
        name = "mute"

    with pytest.raises(LookupError, match="neither has 'dag' nor declines it"):
        peers.why_not(Mute, WORKLOADS["dag"])


@pytest.mark.parametrize("name", EVERYONE)
def test_adapters_have_names_and_say_how_they_run(name: str) -> None:
    peer = peers.adapter(name)
    assert peer.name == name
    assert peer.how
    assert peer.imports or "import" in peer.declines


@pytest.mark.parametrize("name", peers.PEERS)
def test_what_peers_need_has_a_least_version(name: str) -> None:
    assert all(">=" in requirement for requirement in peers.adapter(name).requirements)


def test_ours_declines_nothing() -> None:
    assert not peers.adapter(peers.OURS).declines


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=list(WORKLOADS))
def test_each_workload_has_a_procedure_and_smaller_quick_arguments(workload: Workload) -> None:
    assert hasattr(lives if workload.is_life else procedures, workload.procedure)
    assert workload.quick.keys() <= workload.parameters.keys()
    assert all(workload.quick[key] < workload.parameters[key] for key in workload.quick)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_each_target_is_about_a_figure_that_both_sides_have(target: Target) -> None:
    assert metric_of(target)
    if target.yardstick:
        yardstick = peers.adapter(target.yardstick)
        assert peers.why_not(yardstick, WORKLOADS[target.workload]) is None


def test_the_reference_is_a_peer() -> None:
    assert REFERENCE in peers.PEERS


# ---------------------------------------------------------------- running


def test_ours_the_peer_and_the_reference_take_turns() -> None:
    order: list[str] = []

    def measure(side: str) -> dict[str, float]:
        order.append(side)
        return {"n": 1.0}

    sides = {side: lambda side=side: measure(side) for side in ("ours", "pool", "executor")}
    take_turn(sides)
    take_turn(sides)
    assert order == ["ours", "pool", "executor"] * 2


def test_a_side_that_fails_is_named() -> None:
    def fail() -> dict[str, float]:
        raise PeerError("out of memory")

    with pytest.raises(Failed, match="pool: out of memory"):
        take_turn({"ours": dict, "pool": fail})


def test_a_peer_that_cannot_be_installed_is_tried_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried: list[str] = []

    def refuse(name: str, cache: Path) -> Path:
        tried.append(name)
        raise PeerError(f"{name} cannot be installed: no such package")

    monkeypatch.setattr(environments, "python_of", refuse)
    runner = Runner(Settings(tmp_path))
    monkeypatch.setitem(runner.pythons, peers.OURS, Path(sys.executable))
    contests = [c for name in ("dag", "start") for c in runner.run(WORKLOADS[name], ["ray"])]
    problems = [contest.problem for contest in contests]
    assert problems == ["ray: ray cannot be installed: no such package"] * 2
    assert tried == ["ray"]


def test_a_client_in_a_process_of_its_own_measures_and_stops() -> None:
    with Session("executor", Path(sys.executable)) as session:
        assert session.ask("start", n=1) > session.spawned_at
        figures = session.ask("run", procedure="tasks", arguments={"n": 50})
    assert figures["n"] == 50
    assert figures["tasks_per_s"] > 0


def test_what_a_peer_cannot_do_comes_back_as_its_error() -> None:
    with Session("floor", Path(sys.executable)) as session, pytest.raises(PeerError, match="run:"):
        session.ask("run", procedure="no_such", arguments={})


def test_a_client_that_ends_is_reported_with_its_last_words() -> None:
    session = Session("no_such_peer", Path(sys.executable))
    with session, pytest.raises(PeerError, match="no_such_peer"):
        session.ask("start", n=1)


def test_dependencies_held_by_the_client_give_the_right_values() -> None:
    adapter = ProcessPool()
    adapter.start(1)
    try:
        assert adapter.dag(3, 4) == [4, 8, 8, 4]
    finally:
        adapter.stop()


def test_the_scheduler_is_measured_without_processes() -> None:
    figures = lives.queue_length(peers.OURS, Path(sys.executable), 2, most=10, n=500)
    assert figures["core_10"] > 0
    assert figures["broker_flat"] == 1.0


# ---------------------------------------------------------------- command line


def test_names_may_end_in_a_star() -> None:
    options = make_parser().parse_args(["--workloads", "scaling-*,start"])
    assert options.workloads == ["scaling-2", "scaling-16", "scaling-64", "start"]


def test_only_the_yardsticks_of_targets_may_take_part() -> None:
    options = make_parser().parse_args(["--yardsticks"])
    assert peers_for(WORKLOADS["tasks-10k"], options) == ["executor", "pool"]
    assert peers_for(WORKLOADS["memory"], options) == []


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args(["--peers", "celery"])
    assert "no 'celery'; there are floor, executor," in capsys.readouterr().err


def test_a_run_writes_tables_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    code = main(["--quick", "--workloads", "queue-length", "--peers", "pool", "--json", str(file)])
    assert code == 0
    written = json.loads(file.read_text())
    assert [contest["workload"] for contest in written["contests"]] == ["queue-length"]
    assert "core, 10 waiting" in capsys.readouterr().out


# ---------------------------------------------------------------- over hosts


def test_a_goal_over_hosts_is_about_a_figure_that_is_taken_and_a_side_that_takes_part() -> None:
    for target in FAR_TARGETS:
        workload = FAR_WORKLOADS[target.workload]
        assert target.metric in [metric.name for metric in workload.metrics]
        assert target.yardstick in ("", *workload.sides)


def test_the_table_over_hosts_shows_ratios_and_what_is_missed() -> None:
    turns = [
        {"ours": {"push_mb_per_s": 100.0}, "floor": {"push_mb_per_s": 400.0}},
        {"ours": {"push_mb_per_s": 300.0}, "floor": {"push_mb_per_s": 600.0}},
    ]
    figures = Figures([Contest("push-pull", "", turns), Contest("items", "", [], "it ended")])
    text = far_report(figures)
    (line,) = [line for line in text.splitlines() if ": push" in line]
    assert "| 200 | 500 (0.38) | at least 0.85 x floor, **missed** |" in line
    assert text.endswith("- items: it ended\n")


def test_hosts_can_be_asked_for_and_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    options = make_parser().parse_args(["--workloads", "hosts", "--hosts", "gigabit-*"])
    assert options.hosts == ["gigabit-push-pull", "gigabit-broadcast"]
    assert main(["--list"]) == 0
    assert "gigabit-broadcast" in capsys.readouterr().out
