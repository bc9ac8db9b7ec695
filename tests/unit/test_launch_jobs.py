"""What is decided about the jobs of a set: by what the queue says, what they write, and when."""

from __future__ import annotations

import math
import re

import pytest

from hippodrome.launch.answers import parse_slurm
from hippodrome.launch.base import LaunchPhase, describe
from hippodrome.launch.batchsystem import Report
from hippodrome.launch.jobs import ASK_PENDING_S, ASK_RUNNING_S, MOST_FAILURES, JobSet
from hippodrome.launch.systems import SYSTEMS

PENDING = Report(LaunchPhase.PENDING, "Resources")
RUNNING = Report(LaunchPhase.RUNNING, end=1e9, hosts="n1")


def in_queue(n: int, **options: int) -> JobSet:
    jobs = JobSet(n, **options)  # type: ignore[arg-type]
    for index in range(n):
        jobs.submitted(index, str(10 + index))
    return jobs


def ready(jobs: JobSet, index: int, n: int = 4, part: str = ".progress") -> None:
    jobs.progressed(index, part, ["state 0 0 4", f"ready {' '.join(map(str, range(n)))}"])


def test_a_state_is_said_with_reasons_and_engines() -> None:
    jobs = in_queue(4)
    jobs.answered({"10": RUNNING, "11": RUNNING, "12": PENDING, "13": PENDING})
    for index in (0, 1):
        ready(jobs, index, 8)
    said = describe(jobs.state())
    assert said == "2 of 4 jobs run, 2 are pending (Resources), 16 engines"
    jobs.answered({"10": Report(LaunchPhase.ENDED, "TIMEOUT"), "11": RUNNING, "12": PENDING})
    said = describe(jobs.state())
    assert said == ("1 of 4 jobs runs, 2 are pending (Resources), 1 has ended (TIMEOUT), 8 engines")


def test_a_job_of_several_hosts_is_ready_when_all_are() -> None:
    jobs = in_queue(1, hosts_each=2)
    ready(jobs, 0, 4, ".0")
    assert not jobs.is_settled
    assert jobs.all[0].n_engines == 8
    ready(jobs, 0, 4, ".1")
    assert jobs.is_settled
    assert jobs.n_ready == 8


def test_the_queue_is_asked_often_while_something_waits_and_rarely_otherwise() -> None:
    jobs = in_queue(2)
    assert jobs.due_in(100.0) == 0
    jobs.asked(100.0)
    assert jobs.due_in(100.5) == ASK_PENDING_S - 0.5
    jobs.answered({"10": RUNNING, "11": PENDING})
    assert jobs.due_in(101.0) == ASK_PENDING_S - 1
    jobs.answered({"10": RUNNING, "11": RUNNING})
    assert jobs.due_in(101.0) == ASK_RUNNING_S - 1
    jobs.answered({})
    jobs.answered({})
    assert jobs.due_in(101.0) == math.inf


def test_a_queue_that_does_not_answer_is_asked_less_often_and_ends_nothing() -> None:
    jobs = in_queue(1)
    jobs.answered({"10": PENDING})
    jobs.asked(0.0)
    for _ in range(2000):
        jobs.silent("squeue did not answer within 20 s")
    assert jobs.due_in(0.0) == ASK_RUNNING_S
    assert jobs.active
    assert describe(jobs.state()).endswith("0 engines, squeue did not answer within 20 s")
    jobs.answered({"10": PENDING})
    assert jobs.state().trouble == ""


def test_one_answer_without_a_job_may_be_older_than_it() -> None:
    jobs = in_queue(1)
    jobs.answered({})
    assert jobs.active
    jobs.answered({"10": PENDING})
    jobs.answered({})
    assert jobs.active
    jobs.answered({})
    assert not jobs.active
    assert [job.id for job in jobs.failed] == ["10"]


def test_a_job_that_ends_without_an_engine_has_failed() -> None:
    jobs = in_queue(2)
    jobs.progressed(0, ".progress", ['failed "no module"', "exit 3"])
    assert [(job.index, job.exit_code) for job in jobs.failed] == [(0, 3)]
    assert jobs.all[0].said == '"no module"'
    ready(jobs, 1)
    jobs.progressed(1, ".progress", ["exit 0"])
    assert len(jobs.failed) == 1
    assert jobs.all[1].phase is LaunchPhase.ENDED


def test_a_job_is_in_the_queue_until_the_queue_says_it_is_not() -> None:
    jobs = in_queue(1)
    ready(jobs, 0)
    jobs.progressed(0, ".progress", ["exit 0"])
    assert not jobs.active
    assert [job.id for job in jobs.queued] == ["10"]
    jobs.answered({"10": RUNNING})  # its processes are being cleaned up
    assert jobs.queued
    assert not jobs.active
    jobs.answered({})
    assert not jobs.queued


def test_three_failures_in_a_row_stop_the_set_and_a_success_between_does_not() -> None:
    jobs = in_queue(6)
    for index in range(MOST_FAILURES - 1):
        jobs.progressed(index, ".progress", ["exit 1"])
    assert not jobs.must_stop
    ready(jobs, 5)
    jobs.progressed(3, ".progress", ["exit 1"])
    assert not jobs.must_stop
    jobs.progressed(2, ".progress", ["exit 1"])
    jobs.progressed(4, ".progress", ["exit 1"])
    assert jobs.must_stop


def test_a_job_that_is_requeued_waits_again() -> None:
    jobs = in_queue(1)
    jobs.answered({"10": RUNNING})
    jobs.answered({"10": PENDING})
    assert jobs.all[0].phase is LaunchPhase.PENDING


def test_a_reason_without_hope_is_known() -> None:
    jobs = JobSet(1, hopeless=re.compile("PartitionTimeLimit"))
    jobs.submitted(0, "10")
    jobs.answered({"10": PENDING})
    assert not jobs.hopeless
    jobs.answered({"10": Report(LaunchPhase.PENDING, "PartitionTimeLimit")})
    assert jobs.hopeless


@pytest.mark.parametrize(
    "line",
    ["", "state", "state 1 2", "ready x", "exit", "exit x", "failed", "nonsense 1 2 3", "\0"],
)
def test_lines_that_nobody_knows_change_nothing(line: str) -> None:
    jobs = in_queue(1)
    jobs.progressed(0, ".progress", [line])
    assert jobs.active
    assert jobs.n_ready == 0


def test_what_squeue_says_is_read() -> None:
    text = (
        "17|PENDING|Resources|N/A|\n"
        "18|RUNNING|None|2026-05-01T12:00:00|h[1-2]\n"
        "19|TIMEOUT|TimeLimit|2026-05-01T12:00:00|h1\n"
        "20|COMPLETING|None|2026-05-01T12:00:00|h1\n"
        "slurm_load_jobs warning: something\n"
        "21|NEW_WORD|None|N/A|\n"
    )
    found = parse_slurm(text)
    assert found["17"] == Report(LaunchPhase.PENDING, "Resources")
    assert found["18"].phase is LaunchPhase.RUNNING
    assert found["18"].hosts == "h[1-2]"
    assert found["18"].end is not None
    assert found["19"] == Report(LaunchPhase.ENDED, "TIMEOUT", hosts="h1")
    assert found["20"].phase is LaunchPhase.RUNNING
    assert found["21"] == Report(LaunchPhase.UNKNOWN, "NEW_WORD")
    with pytest.raises(ValueError, match="garbage"):
        parse_slurm("garbage\n")
    assert parse_slurm("\n") == {}


def test_reasons_without_hope_are_slurms() -> None:
    hopeless = SYSTEMS["slurm"].hopeless
    for reason in ("PartitionTimeLimit", "PartitionNodeLimit", "QOSMaxWallDurationPerJobLimit"):
        assert hopeless.fullmatch(reason), reason
    for reason in ("Resources", "Priority", "ReqNodeNotAvail", "JobHeldUser", "QOSMaxCpuPerUser"):
        assert not hopeless.fullmatch(reason), reason
