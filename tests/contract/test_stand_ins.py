"""The stand-ins for batch systems are told apart by their formats only: each can do the same."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.standin import SYSTEMS, StandIn, stand_in

_LINES = {
    "pbs": ("#PBS -N job", "#PBS -l walltime={h:02}:00:00", "#PBS -J 1-2"),
    "torque": ("#PBS -N job", "#PBS -l walltime={h:02}:00:00", "#PBS -t 1-2"),
    "sge": ("#$ -N job", "#$ -l h_rt={h}:00:00", "#$ -t 1-2"),
    "lsf": ("#BSUB -J job", "#BSUB -W {h}:00", "#BSUB -J job[1-2]"),
    "flux": ("#flux: -n1", "#flux: -t {h}h", ""),
    "oar": ("#OAR -n job", "#OAR -l nodes=1,walltime={h}:00:00", ""),
    "slurm": ("#SBATCH -J job", "#SBATCH --time={h}:00:00", "#SBATCH --array=1-2"),
}
_INDEX = {
    "pbs": "PBS_ARRAY_INDEX",
    "torque": "PBS_ARRAYID",
    "sge": "SGE_TASK_ID",
    "lsf": "LSB_JOBINDEX",
    "slurm": "SLURM_ARRAY_TASK_ID",
}
_SUBMIT = {
    "pbs": "qsub script",
    "torque": "qsub script",
    "sge": "qsub -terse -cwd script",
    "lsf": "bsub < script",
    "flux": "flux batch script",
    "oar": "oarsub -S ./script",
    "slurm": "sbatch --parsable script",
    "htcondor": "condor_submit -terse script",
    "kubernetes": "kubectl apply -f - < script",
}
_QUERY = {
    "pbs": "qstat -x -f -F json {}",
    "torque": "qstat -f -x {}",
    "sge": "qstat -xml",
    "lsf": "bjobs -noheader -o 'jobid stat exit_code pend_reason delimiter=\"|\"' {}",
    "flux": "flux jobs -no '{{id}} {{state}} {{result}} {{expiration}}' {}",
    "oar": "oarstat -J -fj {}",
    "slurm": "squeue -h -o '%i|%T|%r|%S|%e|%N' -j {}",
    "htcondor": "condor_q {} -af:jr JobStatus HoldReason",
    "kubernetes": "kubectl get pods -l job-name={} -o json",
}
_CANCEL = {
    "pbs": "qdel {}",
    "torque": "qdel {}",
    "sge": "qdel {}",
    "lsf": "bkill {}",
    "flux": "flux cancel {}",
    "oar": "oardel {}",
    "slurm": "scancel {}",
    "htcondor": "condor_rm {}",
    "kubernetes": "kubectl delete job {} --wait=false",
}
_WAITS = {
    "pbs": '"Q"',
    "torque": "<job_state>Q</job_state>",
    "sge": "<state>qw</state>",
    "lsf": "|PEND|-|Job slot limit reached;",
    "flux": " SCHED ",
    "oar": '"Waiting"',
    "slurm": "|PENDING|Resources|",
    "htcondor": " 1 undefined",
    "kubernetes": '"Unschedulable"',
}
_RUNS = {
    "pbs": '"R"',
    "torque": "<job_state>R</job_state>",
    "sge": "<state>r</state>",
    "lsf": "|RUN|",
    "flux": " RUN ",
    "oar": '"Running"',
    "slurm": "|RUNNING|",
    "htcondor": " 2 undefined",
    "kubernetes": '"Running"',
}


class Failed(Exception):
    """A command ended with another exit code than 0."""


@pytest.fixture(params=SYSTEMS)
def system(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StandIn]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with stand_in(request.param, tmp_path / "batch", monkeypatch) as store:
        yield store


def shell(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=50)
    if done.returncode:
        raise Failed(done.stderr, done.returncode)
    return done.stdout


def submit(system: StandIn, commands: str, hours: int = 1) -> str:
    """Submit a script of *commands*; return the id as the system's other programs take it."""
    script = Path("script")
    if system.system == "htcondor":
        Path("run").write_text(f"#!/bin/sh\n{commands}\n")
        limit_s = hours * 3600
        script.write_text(f"executable=run\nallowed_execute_duration={limit_s}\nqueue 1\n")
    elif system.system == "kubernetes":
        command = ["/bin/sh", "-c", commands]
        pod = {"restartPolicy": "Never", "containers": [{"image": "any", "command": command}]}
        spec = {"activeDeadlineSeconds": hours * 3600, "template": {"spec": pod}}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": spec}
        script.write_text(json.dumps(job))
    else:
        name, limit, _ = _LINES[system.system]
        script.write_text(f"#!/bin/sh\n{name}\n{limit.format(h=hours)}\n{commands}\n")
        script.chmod(0o700)
    said = shell(_SUBMIT[system.system])
    if system.system == "lsf":
        return said.partition("<")[2].partition(">")[0]
    if system.system == "kubernetes":
        return "job"
    return said.rpartition("OAR_JOB_ID=")[2].split(" - ")[0].strip()


def query(system: StandIn, number: str) -> str:
    return shell(_QUERY[system.system].format(number))


def test_a_job_waits_with_a_reason_and_runs_when_it_may(system: StandIn) -> None:
    system.set(held=True)
    number = submit(system, f"echo begun > {Path.cwd()}/begun; exec sleep 100")
    assert _WAITS[system.system] in query(system, number)
    system.set(held=False)
    system.until(Path("begun").exists)
    assert _RUNS[system.system] in query(system, number)


def test_a_job_that_is_cancelled_hears_a_signal_and_leaves_nothing(system: StandIn) -> None:
    number = submit(system, f"echo begun > {Path.cwd()}/begun; sleep 100; true")
    system.until(Path("begun").exists)
    shell(_CANCEL[system.system].format(number))
    system.until(lambda: not system.unfinished())
    assert system.last.tasks[0].cause == "cancelled"


def test_a_time_limit_is_kept(system: StandIn) -> None:
    system.set(time_scale=0.0001)
    submit(system, "exec sleep 100")
    system.until(lambda: not system.unfinished())
    assert system.last.tasks[0].cause == "time"


def test_an_exit_code_is_known_afterwards(system: StandIn) -> None:
    submit(system, "exit 3")
    system.until(lambda: not system.unfinished())
    assert system.last.tasks[0].exit_code == 3


@pytest.mark.parametrize("kind", ["reject", "query_fails"])
def test_programs_fail_on_request(system: StandIn, kind: str) -> None:
    number = submit(system, "exec sleep 100")
    system.set(**{kind: "no such luck"})
    with pytest.raises(Failed, match="no such luck"):
        submit(system, "true") if kind == "reject" else query(system, number)


def test_garbage_comes_on_request(system: StandIn) -> None:
    number = submit(system, "exec sleep 100")
    system.set(garbage="<<%%>>")
    assert query(system, number) == "<<%%>>"


@pytest.mark.parametrize("system", sorted({*SYSTEMS} - {"kubernetes"}), indirect=True)
def test_lines_for_another_system_are_refused(system: StandIn) -> None:
    line = "#PBS -q gpu" if system.system not in ("pbs", "torque") else "#SBATCH -p gpu"
    Path("script").write_text(f"#!/bin/sh\n{line}\ntrue\n")
    Path("script").chmod(0o700)
    with pytest.raises(Failed, match=line):
        shell(_SUBMIT[system.system])


@pytest.mark.parametrize("system", sorted(_INDEX), indirect=True)
def test_an_array_has_an_index_for_each_task(system: StandIn) -> None:
    commands = f"touch {Path.cwd()}/index-${_INDEX[system.system]}"
    Path("script").write_text(f"#!/bin/sh\n{_LINES[system.system][2]}\n{commands}\n")
    shell(_SUBMIT[system.system])
    system.until(lambda: not system.unfinished())
    assert sorted(path.name for path in Path.cwd().glob("index-*")) == ["index-1", "index-2"]


def test_an_array_of_pbs_is_deleted_with_brackets_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with stand_in("pbs", tmp_path / "batch", monkeypatch) as store:
        number = shell("printf '#PBS -J 0-1\\nsleep 100' | qsub").strip()
        assert number.endswith("[].pbs01")
        with pytest.raises(Failed, match="Unknown Job Id"):
            shell(f"qdel {number.partition('[')[0]}")
        shell(f"qdel {number}")
        store.until(lambda: not store.unfinished())
