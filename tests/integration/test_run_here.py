"""``ipcluster run`` on this host: a cluster for as long as one program runs, and its exit code."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

import hippodrome as ipp
from support import leaks
from support.processes import Site, program

LOOK = "import hippodrome as ipp; rc = ipp.Client(); print(rc.ids, rc[:].apply_sync(abs, -1))"


def run(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    return site.run("ipcluster", "run", *words, timeout_s=60)


def test_a_program_finds_its_cluster_and_no_other(site: Site) -> None:
    site.start("ipcontroller")  # the default one
    done = run(site, "-n", "2", "--", sys.executable, "-c", LOOK)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[0, 1] [1, 1]\n"
    assert "the cluster is ready: 2 engines on 1 host" in done.stderr
    assert [path.name for path in site.security_dir.iterdir()] != []  # the default one's
    assert len(list(site.security_dir.iterdir())) == 2


def test_a_profile_that_is_named_is_another_one(site: Site, tmp_path: Path) -> None:
    code = "import hippodrome as ipp; ipp.Client(profile_dir='elsewhere', timeout=0.2)"
    done = run(site, "-n", "1", sys.executable, "-c", code)
    assert "elsewhere/security/ipcontroller-client.json" in done.stderr


def test_options_after_the_program_are_the_programs(site: Site) -> None:
    code = "import sys; print(sys.argv[1:])"
    done = run(site, "-n1", sys.executable, "-c", code, "-n", "7", "--help", "--")
    assert done.stdout == "['-n', '7', '--help', '--']\n"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -9 $$"], 128 + 9),
        (["sh", "-c", "kill -TERM $$"], 128 + 15),
        (["no-such-program-here"], 127),
        (["./missing/program"], 127),
        (["/etc/passwd"], 126),
        (["/etc/"], 126),
    ],
)
def test_the_exit_code_is_that_of_a_shell(site: Site, command: list[str], code: int) -> None:
    done = run(site, "-n", "1", "--", *command)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_no_program_starts_no_cluster(site: Site, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("print(1)")
    done = run(site, "--", str(script))
    assert done.returncode == 126
    assert "is not executable" in done.stderr
    assert "ready" not in done.stderr
    script.write_text("\0\0")
    script.chmod(0o700)
    assert run(site, "-n1", "--", str(script)).returncode == 126
    assert run(site, "-n1").returncode == 2


PATIENT = """
import os, signal, sys, threading
import hippodrome as ipp
rc = ipp.Client()
got = []
def on_signal(number, frame):
    got.append(number)
    print("got", number, flush=True)
    if len(got) == 3: sys.exit(43)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
    signal.signal(number, on_signal)
print("ready", rc.ids, os.getpid(), flush=True)
while True: signal.pause()
"""


@contextmanager
def begun(
    site: Site, code: str = PATIENT, *options: str
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run *code*, wait until it says that it is ready, and yield the runner and its pid."""
    command = [program("ipcluster"), "run", "-n", "1", *options, "--", sys.executable, "-c", code]
    with subprocess.Popen(
        command, env=site.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        words = runner.stdout.readline().split()
        assert words, runner.stderr and runner.stderr.read()
        yield runner, int(words[-1])
        runner.kill()


def below(site: Site) -> list[psutil.Process]:
    found = []
    for process in site._survivors():
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.mark.parametrize(
    "signums", [[signal.SIGINT] * 3, [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]]
)
def test_signals_are_passed_on_once_each(site: Site, signums: list[int]) -> None:
    with begun(site) as (runner, _):
        assert runner.stdout is not None
        for signum in signums:
            runner.send_signal(signum)
            assert runner.stdout.readline() == f"got {signum:d}\n"
        assert runner.wait(20) == 43
    assert not leaks.settle(lambda: below(site))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_program_without_handlers_ends_by_the_signal(site: Site, signum: int) -> None:
    code = "import os, signal; print(os.getpid(), flush=True)\nsignal.signal(2, signal.SIG_DFL)\n"
    with begun(site, f"{code}while True: signal.pause()") as (runner, _):
        runner.send_signal(signum)
        assert runner.wait(20) == 128 + signum
    assert not leaks.settle(lambda: below(site))


def test_signals_that_come_early_end_it_or_wait_for_the_program(site: Site) -> None:
    command = [program("ipcluster"), "run", "-n", "1", "--", sys.executable, "-c", LOOK]
    with subprocess.Popen(command, env=site.environment(), stdout=subprocess.DEVNULL) as runner:
        leaks.wait_until(lambda: len(psutil.Process(runner.pid).children()) >= 2)
        runner.terminate()
        assert runner.wait(20) == 128 + 15
    assert not leaks.settle(lambda: below(site))


BESIDE = (
    "import os, subprocess; subprocess.Popen(['sleep', '1000']); print(os.getpid(), flush=True)"
)


@pytest.mark.parametrize("whole", [False, True])
def test_nothing_is_left_when_the_runner_is_killed(site: Site, whole: bool) -> None:
    """Neither processes of the cluster, nor the program, nor what that has started."""
    code = f"{BESIDE}\nimport signal\nwhile True: signal.pause()"
    with begun(site, code) as (runner, script):
        for process in psutil.Process(runner.pid).children() if whole else []:
            if process.pid != script and "ipcontroller" in " ".join(process.cmdline()):
                process.kill()
        runner.kill()
        runner.wait(10)
        assert not leaks.settle(lambda: below(site), 15)
    site.run("ipcluster", "clean", "--force", "--all")


def test_nothing_is_left_when_the_program_is_killed(site: Site) -> None:
    with begun(site) as (runner, script):
        os.kill(script, signal.SIGKILL)
        assert runner.wait(20) == 137
    assert not leaks.settle(lambda: below(site))
    assert list(site.security_dir.iterdir()) == []


def test_it_is_said_when_the_cluster_ends_before_the_program(site: Site) -> None:
    code = (
        "import os, hippodrome as ipp; rc = ipp.Client(); print(os.getpid(), flush=True)\n"
        "rc.shutdown(hub=True)\nimport signal\nwhile True: signal.pause()"
    )
    with begun(site, code) as (runner, _):
        assert runner.stderr is not None
        assert any("the controller has ended with exit code 0" in line for line in runner.stderr)
        runner.terminate()
        assert runner.wait(20) == 143


def test_a_start_up_that_fails_is_told_and_no_program_runs(site: Site) -> None:
    done = run(site, "-n1", "--IPClusterRun.engine_args=-c1/0", "--", "echo", "ran")
    assert done.returncode == 1
    assert "ran" not in done.stdout
    assert "ZeroDivisionError" in done.stderr
    assert not leaks.settle(lambda: below(site))


def test_the_terminal_is_the_programs(site: Site) -> None:
    """Ctrl-C reaches the program once, and what it reads comes from the terminal."""
    code = (
        "import signal, sys\ngot = []\nsignal.signal(2, lambda *a: got.append(1))\n"
        "print('ready', flush=True)\nline = input()\nprint('got', got, line, flush=True)"
    )
    command = [program("ipcluster"), "run", "-n", "1", "--", sys.executable, "-c", code]
    pid, terminal = pty.fork()
    if not pid:
        os.execve(command[0], command, site.environment())
    said = b""
    while b"ready\r\n" not in said.replace(b"is ready", b""):
        said += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    os.write(terminal, b"hello\n")
    while b"got [1] hello" not in said:
        said += os.read(terminal, 1024)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert not leaks.settle(lambda: below(site))


def test_what_would_be_run_is_shown(site: Site) -> None:
    done = run(site, "-n", "3", "--dry-run", "--", "python", "x.py")
    assert done.returncode == 0
    assert "-n=3" in done.stdout
    assert "python x.py" in done.stdout
    assert "no batch job" in done.stdout
    assert not list(site.security_dir.iterdir())


def test_threads_of_libraries_are_the_share_of_an_engine(site: Site) -> None:
    code = (
        "import os, hippodrome as ipp\n"
        "print(ipp.Client()[:].apply_sync(lambda: __import__('os').environ['OMP_NUM_THREADS']))"
    )
    assert run(site, "-n", "9", sys.executable, "-c", code).stdout == f"{['1'] * 9}\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "5")
        assert run(site, "-n", "1", sys.executable, "-c", code).stdout == "['5']\n"


HERE = (
    "import sys, hippodrome as ipp\n"
    "with ipp.Cluster.here(n=1) as rc: print(rc.ids, rc[:].apply_sync(abs, -1), flush=True)\n"
)


def test_a_program_can_have_its_cluster_by_itself(site: Site) -> None:
    assert site.python("-c", HERE).stdout == "[0] [1]\n"
    assert run(site, "-n", "2", "--", sys.executable, "-c", HERE).stdout == "[0, 1] [1, 1]\n"


def test_here_in_this_process(site: Site) -> None:
    with ipp.Cluster.here(2) as rc:
        assert rc.ids == [0, 1]
    assert not leaks.settle(lambda: list(site.security_dir.iterdir()))
