"""``ipcluster run`` in jobs: all hosts, one program, its exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import leaks
from support.gridengine import GridEngine
from support.hosts import HEAD, Hosts, where_is
from support.processes import Site, program
from support.slurm import Slurm

LOOK = """
import json, os, socket, sys
import hippodrome as ipp
rc = ipp.Client()
hosts = rc[:].apply_sync(socket.gethostname)
found = rc.load_balanced_view().map_sync(abs, range(-50, 0))
assert found == [*range(50, 0, -1)]
print(json.dumps({host: hosts.count(host) for host in sorted(set(hosts))}), flush=True)
sys.exit(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
"""
PATIENT = """
import os, signal, sys, time
import hippodrome as ipp
rc = ipp.Client()
def on_signal(number, frame):
    print("told", number, len(rc.ids), flush=True)
    sys.exit(9)
for number in (signal.SIGTERM, signal.SIGUSR1): signal.signal(number, on_signal)
print("began", len(rc.ids), flush=True)
while True: signal.pause()
"""


@pytest.fixture(scope="module", autouse=True)
def socket_folder(module_site: Site) -> None:
    """Make the folder of sockets, which stays when the first controller has made it."""
    (module_site.runtime_dir / "hippodrome").mkdir(mode=0o700)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(LOOK)
    return path


def run_words(*words: str | Path) -> list[str]:
    return [program("ipcluster"), "run", *map(str, words)]


def wait_for(path: Path, text: str, within_s: float = 60.0) -> str:
    """Wait until a file has *text* in it; return all that it has."""

    def without() -> list[str]:
        said = path.read_text() if path.exists() else "nothing"
        return [] if text in said else [said]

    left = leaks.settle(without, within_s)
    assert not left, f"there is no {text!r} in: {left[0]}"
    return path.read_text()


class Batch:
    """A job script, and what becomes of it."""

    def __init__(self, slurm: Slurm, folder: Path, *options: str) -> None:
        self.output = folder / "output"
        self._slurm = slurm
        self._folder = folder
        self._options = options

    def submit(self, *lines: str) -> str:
        script = self._folder / "job.sh"
        script.write_text("\n".join(["#!/bin/bash", *lines, "echo the job ended with $?"]) + "\n")
        options = ["-o", str(self.output), *self._options]
        return self._slurm.tell("sbatch", "--parsable", *options, str(script)).strip()

    def wait_for(self, text: str) -> str:
        return wait_for(self.output, text)


def counts(text: str) -> dict[str, int]:
    """Return what `LOOK` has printed among other things."""
    [line] = [line for line in text.splitlines() if line.startswith("{")]
    found: dict[str, int] = json.loads(line)
    return found


def test_a_job_of_slurm_has_engines_on_all_its_hosts(
    hosts: Hosts, slurm: Slurm, tmp_path: Path, script: Path
) -> None:
    job = Batch(slurm, tmp_path, "-N3", "-c2")
    command = subprocess.list2cmdline(run_words("-n", "2", "--", sys.executable, script, 7))
    job.submit(command)
    said = job.wait_for("the job ended with")
    assert counts(said) == {"h1": 2, "h2": 2, "h3": 2}
    assert "the job ended with 7" in said
    slurm.wait_empty()
    hosts.wait_empty()


def test_the_shell_of_salloc_has_its_hosts(
    hosts: Hosts, slurm: Slurm, script: Path, module_site: Site
) -> None:
    command = ["salloc", "-N2", "-c1", *run_words("--", sys.executable, script, 3)]
    done = hosts.run(HEAD, command, timeout=60)
    assert done.returncode == 3, done.stderr
    assert counts(done.stdout) == {"h1": 1, "h2": 1}
    hosts.wait_empty()
    assert list(module_site.security_dir.iterdir()) == []


def test_of_many_that_srun_starts_one_runs_the_program(
    hosts: Hosts, slurm: Slurm, script: Path
) -> None:
    command = ["srun", "-N3", "-n4", *run_words("-n", "4", sys.executable, script)]
    done = hosts.run(HEAD, command, timeout=60)
    assert done.returncode == 0, done.stderr
    assert sum(counts(done.stdout).values()) == 12
    hosts.wait_empty()


def test_a_cancelled_job_ends_in_order(hosts: Hosts, slurm: Slurm, tmp_path: Path) -> None:
    (tmp_path / "patient.py").write_text(PATIENT)
    job = Batch(slurm, tmp_path, "-N3")
    number = job.submit(
        "exec " + " ".join(run_words("-n1", sys.executable, tmp_path / "patient.py"))
    )
    job.wait_for("began 3")
    slurm.tell("scancel", number)
    job.wait_for("told 15")
    slurm.wait_empty()
    hosts.wait_empty()


def test_a_warning_signal_reaches_the_program(hosts: Hosts, slurm: Slurm, tmp_path: Path) -> None:
    (tmp_path / "patient.py").write_text(PATIENT)
    job = Batch(slurm, tmp_path, "-N2")
    command = " ".join(run_words("-n1", sys.executable, tmp_path / "patient.py"))
    number = job.submit(f"exec {command}")
    job.wait_for("began 2")
    slurm.tell("scancel", "--batch", "-s", "USR1", number)
    job.wait_for("told 10 2")
    slurm.wait_empty()
    hosts.wait_empty()


@pytest.mark.parametrize("victim", ["ipcluster run", "patient.py", "ipcontroller: hub"])
def test_nothing_is_left_whatever_is_killed(
    hosts: Hosts, slurm: Slurm, tmp_path: Path, victim: str
) -> None:
    (tmp_path / "patient.py").write_text(
        PATIENT.replace("signal.pause()", "rc[:].apply_sync(abs, 1)")
    )
    job = Batch(slurm, tmp_path, "-N3")
    job.submit(" ".join(run_words("-n1", sys.executable, tmp_path / "patient.py")))
    job.wait_for("began 3")
    killed = [
        process for process in hosts.processes("h1")
        if victim in " ".join(process.cmdline()) or victim in process.name()
    ]  # fmt: skip
    assert killed
    os.kill(killed[-1 if victim == "patient.py" else 0].pid, signal.SIGKILL)
    job.wait_for("the job ended with")
    slurm.wait_empty()
    hosts.wait_empty()


def test_a_host_on_which_nothing_starts_is_named(
    hosts: Hosts, slurm: Slurm, tmp_path: Path, script: Path
) -> None:
    """A step that fails on one host ends it all, with the last lines; --min lets it go on."""
    broken = tmp_path / "bin"
    broken.mkdir()
    srun = broken / "srun"
    srun.write_text(
        '#!/bin/sh\ncase "$*" in *nodelist=h2*) echo the disk is gone; exit 3;; esac\n'
        f'exec {where_is("srun")} "$@"\n'
    )
    srun.chmod(0o700)
    job = Batch(slurm, tmp_path, "-N3")
    path = f"PATH={broken}:$PATH"
    job.submit(f"{path} " + " ".join(run_words("-n1", sys.executable, script)))
    said = job.wait_for("the job ended with")
    assert "the job ended with 1" in said
    assert "h2: the step on h2 ended with exit code 3" in said
    assert "the disk is gone" in said
    job.output.unlink()
    job.submit(f"{path} " + " ".join(run_words("-n1", "--min", "2", sys.executable, script)))
    said = job.wait_for("the job ended with")
    assert "the job ended with 0" in said
    assert counts(said) == {"h1": 1, "h3": 1}
    hosts.wait_empty()


@pytest.fixture(autouse=True)
def no_jobs_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    """Cancel what a test that has failed has left, so that the next one can be had."""
    yield
    if "slurm" in request.fixturenames:
        request.getfixturevalue("slurm").cancel_all()


def mpirun(hosts: Hosts, *words: str | Path, **options: Any) -> Any:
    if where_is("mpirun") is None:
        pytest.skip("NOT TESTED: there is no mpirun")
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = ["mpirun", "--oversubscribe", *map(str, words)]
    env = {**hosts.environment(), **root}
    return hosts.run(HEAD, command, env=env, timeout=60, **options)


@pytest.mark.parametrize("code", [0, 5])
def test_of_the_ranks_of_mpi_one_runs_the_program(
    hosts: Hosts, script: Path, code: int, module_site: Site
) -> None:
    done = mpirun(hosts, "-n", "4", *run_words("--", sys.executable, script, code))
    assert done.returncode == code, done.stderr
    assert sum(counts(done.stdout).values()) >= 4
    hosts.wait_empty()
    assert not list(module_site.security_dir.glob("*mpi-*"))


def test_ranks_of_mpi_on_several_hosts(hosts: Hosts, script: Path) -> None:
    ssh = ["--mca", "plm_rsh_agent", "ssh", "--mca", "btl_tcp_if_include", "eth0"]
    where = ["--host", "h1,h2,h3", "-n", "3"]
    done = mpirun(hosts, *ssh, *where, *run_words("-n", "2", sys.executable, script))
    assert done.returncode == 0, done.stderr
    assert counts(done.stdout) == {"h1": 2, "h2": 2, "h3": 2}
    hosts.wait_empty()


def test_a_parallel_environment_of_grid_engine(
    hosts: Hosts, gridengine: GridEngine, tmp_path: Path, script: Path
) -> None:
    job, output = tmp_path / "job.sh", tmp_path / "output"
    command = " ".join(run_words("--", sys.executable, script, 4))
    job.write_text(f"#!/bin/sh\n{command}\necho the job ended with $?\n")
    words = ["qsub", "-terse", "-V", "-pe", "mpi", "3", "-j", "y", "-o", output, "-S", "/bin/sh"]
    done = hosts.run("h1", [*words, job])
    assert done.returncode == 0, done.stderr
    said = wait_for(output, "the job ended with")
    assert "the job ended with 4" in said
    assert counts(said) == {"h1": 1, "h2": 1, "h3": 1}
    gridengine.wait_empty()
    hosts.wait_empty()
