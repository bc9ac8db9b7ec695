"""Starting clusters where the surroundings are not ours: odd folders, files and descriptors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import START_TIMEOUT_S, Site, program

SHADOWING = "signal queue random types select token socket logging json copy string code platform"
WITHOUT_STREAMS = """
import os, sys
for number in map(int, sys.argv[1]):
    os.close(number)
os.execv(sys.argv[2], sys.argv[2:])
"""
USE = "print(hippodrome.Client(timeout=20)[:].apply_sync(abs, -3))"


@pytest.fixture
def stopped(site: Site) -> Iterator[Site]:
    """A site whose clusters are stopped at the end, whatever the test did."""
    yield site
    site.run("ipcluster", "clean", "--force", "--all")


def run(
    site: Site, *command: str, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=site.environment() | variables,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )


@pytest.fixture
def shadowing(tmp_path: Path) -> Path:
    """A folder with files that are called as modules of Python are."""
    for name in SHADOWING.split():
        text = f"raise RuntimeError('the user has a file called {name}')\n"
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "mine.py").write_text("X = 5\n")
    return tmp_path


def test_files_that_are_called_as_pythons_own_disturb_no_start(
    stopped: Site, shadowing: Path
) -> None:
    start = ("start", "-n", "1", "--daemonize")
    begun = run(stopped, program("ipcluster"), *start, cwd=shadowing)
    assert begun.returncode == 0, begun.stderr
    use = (
        "import hippodrome; print(hippodrome.Client()[0].apply_sync(lambda: __import__('mine').X))"
    )
    used = run(stopped, sys.executable, "-c", use)
    assert used.stdout == "5\n", "what lies where engines were started can be imported there"


def test_a_program_in_such_a_folder_starts_a_cluster(site: Site, shadowing: Path) -> None:
    code = (
        "import hippodrome\n"
        "with hippodrome.Cluster(n=1, log_level=40) as rc:\n"
        "    print(rc.ids, rc[0].apply_sync(abs, -3))"
    )
    ran = run(site, sys.executable, "-P", "-c", code, cwd=shadowing)
    assert (ran.returncode, ran.stdout) == (0, "[0] 3\n"), ran.stderr


@pytest.mark.parametrize("closed", ["0", "12", "01", "012"])
def test_a_cluster_starts_without_standard_streams(stopped: Site, closed: str) -> None:
    start = (program("ipcluster"), "start", "-n", "1", "--daemonize")
    begun = run(stopped, sys.executable, "-c", WITHOUT_STREAMS, closed, *start)
    assert begun.returncode == 0, begun.stderr
    used = run(stopped, sys.executable, "-c", f"import hippodrome; {USE}")
    assert used.stdout == "[3]\n", used.stderr


def test_a_program_without_standard_streams_starts_a_cluster(site: Site, tmp_path: Path) -> None:
    code = (
        "import hippodrome\n"
        "with hippodrome.Cluster(n=1, log_level=40) as rc:\n"
        "    answer = rc[:].apply_sync(abs, -3)\n"
        f"open({str(tmp_path / 'answer')!r}, 'w').write(str(answer))"
    )
    ran = run(site, sys.executable, "-c", WITHOUT_STREAMS, "012", sys.executable, "-c", code)
    assert ran.returncode == 0
    assert (tmp_path / "answer").read_text() == "[3]"


@pytest.mark.parametrize("given", ["--profile-dir=there/profile_x", "--ipython-dir=there", ""])
def test_a_relative_path_means_where_the_command_was_typed(
    site: Site, tmp_path: Path, given: str
) -> None:
    (tmp_path / "work").mkdir()
    options = [given] if given else []
    variables = {} if given else {"IPYTHONDIR": "there"}
    start = ("start", "-n", "1", "--daemonize", "--work-dir=work", *options)
    begun = run(site, program("ipcluster"), *start, cwd=tmp_path, **variables)
    assert begun.returncode == 0, begun.stderr
    try:
        assert list((tmp_path / "there").rglob("ipcontroller-client.json"))
        assert os.listdir(tmp_path / "work") == []
    finally:
        ended = run(site, program("ipcluster"), "stop", *options, cwd=tmp_path, **variables)
    assert ended.returncode == 0, ended.stderr
