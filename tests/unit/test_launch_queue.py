"""Commands of a batch system that hang, fail, or answer nonsense end and hang nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hippodrome.errors import LaunchError
from hippodrome.launch.base import LaunchPhase
from hippodrome.launch.commands import ask
from hippodrome.launch.queue import Queue, SilentQueue
from hippodrome.launch.script import JobPlan
from hippodrome.launch.systems import SYSTEMS

Programs = Callable[..., None]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Put programs on PATH, each with the lines of shell that it is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(**lines: str) -> None:
        for name, text in lines.items():
            path = folder / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)

    return put


@pytest.fixture
def plan(tmp_path: Path) -> JobPlan:
    found = JobPlan("ipp-0", tmp_path, 0, ("true",), 1, {})
    found.script.write_text("true\n")
    return found


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    began = time.monotonic()
    answer = ask(["sh", "-c", f"sleep 300 & echo $! > {tmp_path}/pid; wait"], limit_s=0.5)
    assert answer.code is None
    assert answer.trouble == "sh did not answer within 0.5 s"
    assert time.monotonic() - began < 30
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "it still runs"


def test_a_command_that_is_not_there_is_said_so() -> None:
    answer = ask(["no-such-program-at-all"])
    assert (answer.code, answer.trouble) == (
        None,
        "no-such-program-at-all: No such file or directory",
    )


def test_secrets_do_not_reach_what_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IPP_CONNECTION_INFO", "IPP_SESSION_KEY", "IPP_CURVE_SECRETKEY"):
        monkeypatch.setenv(name, "5e" * 16)
    assert "5e5e" not in ask(["env"]).output


def test_an_answer_is_read(programs: Programs) -> None:
    programs(squeue="echo '17|RUNNING|None|N/A|h1'")
    assert Queue(SYSTEMS["slurm"]).look(["17"])["17"].phase is LaunchPhase.RUNNING


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo garbage", "answers what cannot be read"),
        ("head -c 100000 /dev/urandom", "answers what cannot be read"),
        ("echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1", "contact"),
        ("exit 9", "squeue fails"),
        ("kill -9 $$", "squeue fails"),
    ],
)
def test_an_answer_that_cannot_be_believed_is_silence(
    programs: Programs, text: str, why: str
) -> None:
    programs(squeue=text)
    with pytest.raises(SilentQueue, match=why):
        Queue(SYSTEMS["slurm"]).look(["17"])


def test_jobs_that_the_system_knows_no_more_are_gone(programs: Programs) -> None:
    programs(squeue="echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert Queue(SYSTEMS["slurm"]).look(["17"]) == {}


def test_a_refusal_shows_what_the_system_said(programs: Programs, plan: JobPlan) -> None:
    programs(sbatch="echo 'sbatch: error: invalid partition specified: x' >&2; exit 1")
    with pytest.raises(LaunchError, match=r"invalid partition specified: x; the command was: sb"):
        Queue(SYSTEMS["slurm"]).submit(plan, 60.0)


def test_whoever_is_busy_is_asked_again(programs: Programs, plan: JobPlan, tmp_path: Path) -> None:
    programs(
        sbatch=f"if [ -e {tmp_path}/again ]; then echo 17; exit; fi; touch {tmp_path}/again; "
        "echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1"
    )
    assert Queue(SYSTEMS["slurm"]).submit(plan, 60.0) == "17"
    programs(sbatch="echo 'sbatch: error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(LaunchError, match="Unable to contact"):
        Queue(SYSTEMS["slurm"]).submit(plan, 0.0)


def test_an_id_that_cannot_be_found_is_a_refusal(programs: Programs, plan: JobPlan) -> None:
    programs(sbatch="echo welcome to our site")
    with pytest.raises(LaunchError, match="does not take the job: welcome to our site"):
        Queue(SYSTEMS["slurm"]).submit(plan, 60.0)


_HOLDER = """
import sys
from pathlib import Path
from hippodrome.launch.guard import Guard
guard = Guard(["sh", "-c", 'echo "$@" > {there}', "cancel"], Path({stop!r}))
guard.watch("17")
guard.watch("18")
if {dismissed}:
    guard.dismiss()
print("there", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("dismissed", [False, True])
def test_a_guard_ends_jobs_when_whoever_wants_them_is_killed(
    tmp_path: Path, dismissed: bool
) -> None:
    there, stop = tmp_path / "there", tmp_path / "stop"
    code = _HOLDER.format(there=there, stop=str(stop), dismissed=dismissed)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "there\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait(30)
    deadline = time.monotonic() + (1.0 if dismissed else 30.0)
    while not (there.exists() and there.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert there.exists() is not dismissed
    assert stop.exists() is not dismissed
    if not dismissed:
        assert there.read_text() == "17 18\n"
