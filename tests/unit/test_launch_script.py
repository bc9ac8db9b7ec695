"""The script of a job: what it asks for, and how it ends, run by a real shell."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hippodrome.errors import LaunchError
from hippodrome.launch.options import SLURM, read_options
from hippodrome.launch.plans import shares
from hippodrome.launch.script import JobPlan, script_text
from hippodrome.launch.state import STOP_FILE
from hippodrome.launch.systems import SYSTEMS


def plan(folder: Path, *command: str, per_host: int | str = 2, **given: Any) -> JobPlan:
    options = read_options("slurm", SLURM, given)
    return JobPlan("ipp-0", folder, 0, command or ("true",), per_host, options, str(folder))


def asked(text: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if "#SBATCH" in line]


def run(job: JobPlan) -> subprocess.CompletedProcess[str]:
    job.script.write_text(script_text(SYSTEMS["slurm"], job))
    return subprocess.run(
        ["bash", str(job.script)], capture_output=True, text=True, timeout=60, check=False
    )


def test_options_become_lines_for_the_batch_system(tmp_path: Path) -> None:
    given = {
        "time": "1h30m",
        "memory": "1.5G",
        "gpus": 2,
        "account": "physics",
        "queue": "long",
        "qos": "high",
        "nodes": 3,
        "extra": ["--constraint=rome", "--comment=x"],
    }
    assert asked(script_text(SYSTEMS["slurm"], plan(tmp_path, **given))) == [
        "--job-name=ipp-0",
        f"--output={tmp_path}/0.out",
        "--nodes=3",
        "--ntasks-per-node=1",
        "--cpus-per-task=2",
        "--time=01:30:00",
        "--mem=1536M",
        "--gpus-per-node=2",
        "--account=physics",
        "--partition=long",
        "--qos=high",
        "--constraint=rome",
        "--comment=x",
    ]


def test_what_is_to_be_skipped_is_left_out(tmp_path: Path) -> None:
    job = plan(tmp_path, memory="1G", skip=["--mem", "--nodes=1"])
    assert not [line for line in asked(script_text(SYSTEMS["slurm"], job)) if "mem" in line]
    assert "--nodes=1" not in asked(script_text(SYSTEMS["slurm"], job))


def test_a_host_that_is_taken_whole_says_itself_how_many_engines(tmp_path: Path) -> None:
    text = script_text(SYSTEMS["slurm"], plan(tmp_path, per_host="auto"))
    assert "--exclusive" in asked(text)
    assert not [line for line in asked(text) if "cpus" in line]
    assert " -n auto " in text


def test_the_exit_code_is_that_of_the_engines_and_is_written_down(tmp_path: Path) -> None:
    job = plan(tmp_path, "bash", "-c", "echo ready 1 >&9; exit 7")
    assert run(job).returncode == 7
    assert job.progress.read_text() == "ready 1\nexit 7\n"


def test_a_prologue_that_ends_ends_the_job_with_its_code(tmp_path: Path) -> None:
    job = plan(tmp_path, "echo", "engines", prologue=["echo 'hello  you'", "exit 3"])
    done = run(job)
    assert (done.returncode, done.stdout) == (3, "hello  you\n")
    assert job.progress.read_text() == "exit 3\n"


def test_words_reach_the_command_as_they_are(tmp_path: Path) -> None:
    words = ["a b", "$HOME", "it's", '"', "*", "\\", "ä"]
    code = "import sys; print(sys.argv[1:-5])"
    done = run(plan(tmp_path, sys.executable, "-c", code, *words))
    assert done.stdout.strip() == str(words)


def test_a_job_that_starts_when_nobody_wants_it_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / STOP_FILE).touch()
    done = run(plan(tmp_path, "echo", "engines", prologue=["echo prologue"]))
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("signum", "passed"),
    [
        (signal.SIGTERM, "SIGTERM"),
        (signal.SIGUSR2, "SIGTERM"),
        (signal.SIGUSR1, "SIGUSR1"),
        (signal.SIGXCPU, "SIGUSR1"),
    ],
)
def test_warnings_of_the_batch_system_reach_the_engines(
    tmp_path: Path, signum: int, passed: str
) -> None:
    code = (
        "import os, signal, sys, time\n"
        "def leave(*_): print('leaving'); sys.exit(5)\n"
        f"signal.signal(signal.{passed}, leave)\n"
        "os.write(9, b'ready 0\\n')\n"
        "while True: time.sleep(60)\n"
    )
    job = plan(tmp_path, sys.executable, "-c", code)
    job.script.write_text(script_text(SYSTEMS["slurm"], job))
    with subprocess.Popen(["bash", str(job.script)], stdout=subprocess.PIPE, text=True) as shell:
        while not (job.progress.exists() and job.progress.read_text()):
            assert shell.poll() is None
        shell.send_signal(signum)
        assert shell.stdout is not None
        assert shell.stdout.read() == "leaving\n"
        assert shell.wait(30) == 5
    assert job.progress.read_text().endswith("exit 5\n")


@pytest.mark.parametrize(
    ("n", "options", "expected"),
    [
        (0, {}, (1, "auto")),
        (0, {"jobs": 4}, (4, "auto")),
        (0, {"jobs": 4, "per_host": 8}, (4, 8)),
        (8, {}, (1, 8)),
        (8, {"jobs": 4}, (4, 2)),
        (8, {"per_host": 4}, (2, 4)),
        (8, {"per_host": 2, "nodes": 2}, (2, 2)),
        (8, {"jobs": 2, "per_host": 4}, (2, 4)),
    ],
)
def test_engines_are_shared_out_over_jobs(
    n: int, options: dict[str, Any], expected: tuple[int, int | str]
) -> None:
    assert shares(n, options) == expected


@pytest.mark.parametrize(
    ("n", "options"),
    [(7, {"jobs": 2}), (8, {"jobs": 3, "per_host": 4}), (4, {"per_host": "auto"})],
)
def test_numbers_that_do_not_fit_are_said_so(n: int, options: dict[str, Any]) -> None:
    with pytest.raises(LaunchError, match=r"evenly|exclude each other"):
        shares(n, options)


def test_engines_end_with_the_shell_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "os.write(9, b'ready 0\\n')\n"
        "os.read(8, 1)\n"
        "print('the shell is gone', flush=True)\n"
    )
    job = plan(tmp_path, sys.executable, "-c", code)
    job.script.write_text(script_text(SYSTEMS["slurm"], job))
    with subprocess.Popen(["bash", str(job.script)], stdout=subprocess.PIPE, text=True) as shell:
        while not (job.progress.exists() and job.progress.read_text()):
            assert shell.poll() is None
        shell.kill()
        assert shell.stdout is not None
        assert shell.stdout.read() == "the shell is gone\n"


def test_the_end_of_the_time_is_known_where_the_system_does_not_tell(tmp_path: Path) -> None:
    code = "import sys; print(*[word for word in sys.argv if 'ends_at' in word])"
    before = time.time()
    done = run(plan(tmp_path, sys.executable, "-c", code, time="10m"))
    ends = float(done.stdout.partition("=")[2])
    assert before + 599 <= ends <= time.time() + 601
    assert run(plan(tmp_path, sys.executable, "-c", code)).stdout == "--IPEngine.ends_at=0\n"
