"""Answers of batch systems, as real ones give them, are read; odd ones hide nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hippodrome.launch import answers, pods
from hippodrome.launch.base import LaunchPhase
from hippodrome.launch.batchsystem import Report, Reports

PENDING, RUNNING, ENDED = LaunchPhase.PENDING, LaunchPhase.RUNNING, LaunchPhase.ENDED

PARSERS = [
    answers.parse_pbs,
    answers.parse_torque,
    answers.parse_sge,
    answers.parse_lsf,
    answers.parse_htcondor,
    answers.parse_flux,
    answers.parse_oar,
    pods.parse_pods,
]

PBS = """{
    "timestamp":1796735353,
    "pbs_version":"23.06.06",
    "pbs_server":"pbs01",
    "Jobs":{
        "12.pbs01":{
            "Job_Name":"ipp-0",
            "job_state":"Q",
            "comment":"Not Running: Insufficient amount of resource: ncpus",
            "Resource_List":{"ncpus":4, "walltime":"01:00:00"},
            "Variable_List":{"PBS_O_HOME":"/home/me"%s}
        },
        "13.pbs01":{
            "job_state":"R",
            "exec_host":"gpu01/0*4+gpu02/0*4",
            "stime":"Mon Nov 30 12:00:00 2026",
            "Resource_List":{"walltime":"01:30:00"}
        },
        "14.pbs01":{
            "job_state":"F",
            "Exit_status":271
        },
        "15.pbs01":{
            "job_state":"F",
            "Exit_status":265,
            "comment":"Job run at Mon Nov 30"
        },
        "16.pbs01":{
            "job_state":"F",
            "Exit_status":3
        },
        "17.pbs01":{
            "job_state":"H"
        }
    }
}"""


@pytest.mark.parametrize("odd", ["", ',\n"X":.5', ',\n"X":"a\\qb"', ',\n"X":""a""'])
def test_pbs_is_read_also_where_an_environment_makes_it_no_json(odd: str) -> None:
    found = answers.parse_pbs(PBS % odd)
    why = "Not Running: Insufficient amount of resource: ncpus"
    assert found["12.pbs01"] == Report(PENDING, why)
    end = time.mktime(time.strptime("2026-11-30 13:30", "%Y-%m-%d %H:%M"))
    if not odd:
        assert found["13.pbs01"] == Report(RUNNING, "", end, None, "gpu01,gpu02")
    assert found["13.pbs01"].phase is RUNNING
    assert found["14.pbs01"] == Report(ENDED, "cancelled", exit_code=143)
    assert found["15.pbs01"] == Report(ENDED, "killed", exit_code=137)
    assert found["16.pbs01"] == Report(ENDED, exit_code=3)
    assert found["17.pbs01"] == Report(PENDING, "held")


def test_torque_is_read() -> None:
    text = (
        "<Data><Job><Job_Id>7.head</Job_Id><job_state>Q</job_state><comment>no &lt;room&gt;"
        "</comment></Job><Job><Job_Id>8.head</Job_Id><job_state>C</job_state><exit_status>0"
        "</exit_status></Job><Job><Job_Id>9.head</Job_Id></Job></Data>"
    )
    assert answers.parse_torque(text) == {
        "7.head": Report(PENDING, "no <room>"),
        "8.head": Report(ENDED, exit_code=0),
    }


def test_grid_engine_is_read() -> None:
    text = """<?xml version='1.0'?>
<job_info  xmlns:xsd="http://arc.liv.ac.uk/repos/darcs/sge/qstat.xsd">
  <queue_info>
    <job_list state="running">
      <JB_job_number>1</JB_job_number>
      <state>r</state>
      <queue_name>all.q@h2n1</queue_name>
    </job_list>
    <job_list state="running">
      <JB_job_number>2</JB_job_number>
      <state>dr</state>
      <queue_name>all.q@h2n2</queue_name>
    </job_list>
  </queue_info>
  <job_info>
    <job_list state="pending">
      <JB_job_number>6</JB_job_number>
      <state>qw</state>
      <queue_name></queue_name>
    </job_list>
    <job_list state="pending">
      <JB_job_number>7</JB_job_number>
      <state>Eqw</state>
      <queue_name></queue_name>
    </job_list>
  </job_info>
</job_info>"""
    assert answers.parse_sge(text) == {
        "1": Report(RUNNING, hosts="h2n1"),
        "2": Report(RUNNING, hosts="h2n2"),
        "6": Report(PENDING, "qw"),
        "7": Report(PENDING, "the job cannot be started"),
    }


@pytest.mark.parametrize(
    ("failed", "status", "report"),
    [
        ("0", "3", Report(ENDED, exit_code=3)),
        (
            "100 : assumedly after job",
            "137                  (Killed)",
            Report(ENDED, "killed", None, 137),
        ),
        (
            "26  : opening input/output file",
            "0",
            Report(ENDED, "opening input/output file", None, 0),
        ),
    ],
)
def test_what_grid_engine_knows_of_the_past_is_read(
    failed: str, status: str, report: Report
) -> None:
    text = f"{'=' * 62}\njobnumber    5\nfailed       {failed}\nexit_status  {status}\n"
    assert answers.parse_sge_past(text) == {"5": report}


def test_lsf_is_read() -> None:
    text = (
        "12|PEND|-|-|-|Job slot limit reached; Not enough hosts;\n"
        "13|RUN|-|4*gpu01:4*gpu02|-|-\n"
        "14|EXIT|140|gpu01|TERM_RUNLIMIT: job killed after reaching LSF run time limit|-\n"
        "15|DONE|-|gpu01|-|-\n"
        "something else\n"
    )
    assert answers.parse_lsf(text) == {
        "12": Report(PENDING, "Job slot limit reached; Not enough hosts"),
        "13": Report(RUNNING, hosts="gpu01,gpu02"),
        "14": Report(
            ENDED, "TERM_RUNLIMIT: job killed after reaching LSF run time limit", None, 140, "gpu01"
        ),
        "15": Report(ENDED, "", None, 0, "gpu01"),
    }


def test_htcondor_is_read() -> None:
    text = (
        "12.0 1 undefined undefined undefined\n"
        '13.0 2 undefined "slot1@gpu01" undefined\n'
        '14.0 5 undefined undefined "Error from gpu01: no such file"\n'
        "15.0 3 undefined undefined undefined\n"
        "16.0 4 3 undefined undefined\n"
    )
    assert answers.parse_htcondor(text) == {
        "12.0": Report(PENDING, "idle"),
        "13.0": Report(RUNNING, hosts="gpu01"),
        "14.0": Report(PENDING, "held: Error from gpu01: no such file"),
        "15.0": Report(ENDED, "removed"),
        "16.0": Report(ENDED, exit_code=3),
    }


def test_flux_is_read() -> None:
    text = "ƒA|SCHED||0.0||\nƒB|RUN||1796735353.5||gpu01\nƒC|INACTIVE|TIMEOUT|0.0|142|gpu01\n"
    assert answers.parse_flux(text) == {
        "ƒA": Report(PENDING, "SCHED"),
        "ƒB": Report(RUNNING, "", 1796735353.5, None, "gpu01"),
        "ƒC": Report(ENDED, "timeout", None, 142, "gpu01"),
    }


def test_oar_is_read() -> None:
    text = """{"1": {"state": "Waiting", "message": "R=1,W=2:0:0"},
        "2": {"state": "Running", "startTime": 100, "walltime": 60,
              "assigned_network_address": ["a", "b"]},
        "3": {"state": "Error", "exit_code": 768, "events": [{"type": "WALLTIME"}]},
        "4": {"state": "Terminated", "exit_code": 0}, "5": null}"""
    assert answers.parse_oar(text) == {
        "1": Report(PENDING, "R=1,W=2:0:0"),
        "2": Report(RUNNING, "", 160.0, None, "a,b"),
        "3": Report(ENDED, "WALLTIME", None, 3),
        "4": Report(ENDED, "", None, 0),
    }


def test_pods_are_read() -> None:
    text = """{"items": [
        {"metadata": {"labels": {"job-name": "a"}}, "status": {"phase": "Pending", "conditions":
            [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
              "message": "0/3 nodes are available"}]}},
        {"metadata": {"labels": {"job-name": "b"}}, "status": {"phase": "Pending",
            "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}},
        {"metadata": {"labels": {"job-name": "c"}}, "spec": {"nodeName": "n1"},
            "status": {"phase": "Running"}},
        {"metadata": {"labels": {"job-name": "d"}}, "status": {"phase": "Failed",
            "containerStatuses": [{"state": {"terminated":
                {"exitCode": 137, "reason": "OOMKilled"}}}]}},
        {"metadata": {"labels": {"job-name": "e"}}, "status": {"phase": "Failed",
            "reason": "DeadlineExceeded"}}]}"""
    assert pods.parse_pods(text) == {
        "a": Report(PENDING, "Unschedulable: 0/3 nodes are available"),
        "b": Report(PENDING, "ImagePullBackOff"),
        "c": Report(RUNNING, hosts="n1"),
        "d": Report(ENDED, "OOMKilled", None, 137),
        "e": Report(ENDED, "DeadlineExceeded"),
    }


@pytest.mark.parametrize("parse", PARSERS)
@given(
    text=st.text() | st.sampled_from(["<<%%>>", "{", "[]", '{"Jobs": 3}', "<a>", '{"items": 5}'])
)
def test_whatever_comes_is_read_or_refused(parse: Callable[[str], Reports], text: str) -> None:
    try:
        found = parse(text)
    except (ValueError, LookupError, TypeError, AttributeError):
        return
    assert all(isinstance(report, Report) for report in found.values())


@pytest.mark.parametrize("parse", PARSERS)
def test_garbage_is_not_taken_for_an_empty_queue(parse: Callable[[str], Reports]) -> None:
    with pytest.raises((ValueError, AttributeError)):
        parse("<<%%>> Connection refused")
