"""Processes can be told apart by what ``ps`` and ``top`` show of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import hippodrome
from hippodrome.process.titles import MOST_NAME
from support.processes import Site

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has them")

LOOK = """
import psutil, subprocess
child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
name = psutil.Process(child.pid).name()
child.stdin.close()
child.wait()
variables = psutil.Process().environ()
"""


def shown(pid: int) -> tuple[str, str]:
    """Return what ``top`` and ``ps -ef`` show of a process."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
    return Path(f"/proc/{pid}/comm").read_text().strip(), command


def test_each_kind_of_process_has_a_title_of_its_own(site: Site) -> None:
    controller = site.start("ipcontroller", "--cluster-id=a b")
    supervisor = site.start("ipengine", "-n", "2", "--cluster-id=a b")
    [scheduler] = psutil.Process(controller.pid).children()
    assert shown(controller.pid) == ("ipp-hub", "ipcontroller: hub --cluster-id=a b")
    assert shown(scheduler.pid) == ("ipp-scheduler", "ipcontroller: scheduler")
    name = ("ipp-supervisor", "ipengine: supervisor -n 2 --cluster-id=a b")
    assert shown(supervisor.pid) == name
    engines = {shown(child.pid) for child in psutil.Process(supervisor.pid).children()}
    assert engines == {
        (f"ipp-engine-{n}", f"ipengine: engine {n} of cluster a b") for n in range(2)
    }


def test_what_an_engine_starts_has_its_own_name_and_environment(site: Site) -> None:
    site.start_cluster(1)
    with hippodrome.Client() as rc:
        rc[0].execute(LOOK, block=True)
        name, variables = rc[0]["name"], rc[0]["variables"]
    assert name == "cat"
    assert variables["IPYTHONDIR"] == str(site.ipython_dir)


@pytest.mark.parametrize("text", ["short", "x" * 10_000, "", "a\nb\0c", "\u00fc\ud800"])
def test_any_title_does_no_harm(text: str) -> None:
    code = (
        "import sys\n"
        "from hippodrome.process.titles import set_title\n"
        f"set_title('n' * 99, {text!r}); set_title('m' * 99, {text!r})\n"
        "print(open('/proc/self/comm').read().strip())\n"
        "print(open('/proc/self/cmdline', 'rb').read())\n"
        "print(sys.argv[1], open('/proc/self/environ').read().count('MARK=here'))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "first"],
        env={"MARK": "here"},
        capture_output=True,
        text=True,
        check=True,
    )
    name, line, rest = ended.stdout.splitlines()
    assert name == "m" * MOST_NAME
    assert rest == "first 1"
    seen = eval(line).rstrip(b"\0").decode()
    assert seen in (text, "a?b?c", "\u00fc?") or (seen and text.startswith(seen))
