"""ARCHITECTURE.md names every file that a task passes: a trace of all processes is compared."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import hippodrome

ROOT: Final = Path(hippodrome.__file__).parent
PAGE: Final = (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text()
WALK: Final = PAGE.partition("## One task, step by step\n")[2].partition("\n## ")[0]

# In every process: when functions of which file are called, to be written down at SIGUSR2.
TRACE: Final = """
import json, os, signal, sys, threading, time
from collections import defaultdict, deque

root, folder = os.environ["TRACED"], os.environ["TRACES"]
seen = defaultdict(lambda: deque(maxlen=5000))

def note(frame, event, arg):
    if event == "call" and frame.f_code.co_filename.startswith(root):
        seen[frame.f_code.co_filename[len(root) + 1:]].append(time.monotonic())

def write(number, frame):
    path = f"{folder}/{os.getpid()}"
    with open(path, "w") as file:
        json.dump({name: list(times) for name, times in list(seen.items())}, file)
    os.rename(path, path + ".json")

signal.signal(signal.SIGUSR2, write)
threading.setprofile(note)
sys.setprofile(note)
os.register_at_fork(after_in_child=lambda: sys.setprofile(note))
"""
# The files that each of some tasks has passed, when all is warm.
PROGRAM: Final = """
import json, os, signal, time
from pathlib import Path
import psutil
import hippodrome as ipp

with ipp.Cluster(n=1, log_level=40) as rc:
    view = rc.load_balanced_view()
    moments = []
    for n in range(60):
        start = time.monotonic()
        assert view.apply_async(abs, -n).get() == n
        moments.append((start, time.monotonic()))
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    files = [Path(os.environ["TRACES"], f"{one.pid}.json") for one in processes]
    for one in processes:
        one.send_signal(signal.SIGUSR2)
    deadline = time.monotonic() + 60
    while not all(file.exists() for file in files):
        assert time.monotonic() < deadline, "not all have written"
        time.sleep(0.01)
    traces = [json.loads(file.read_text()) for file in files]
names = {name for trace in traces for name in trace}
times = {name: [at for trace in traces for at in trace.get(name, ())] for name in names}
passed = lambda name: all(any(a <= at <= b for at in times[name]) for a, b in moments[-30:])
print(json.dumps([name for name in names if passed(name)]))
"""


def named() -> set[str]:
    """Return the files that the walk names, as ``a/b.py`` or as ``a/{b, c}``."""
    groups = re.findall(r"`([\w/]*)/\{([\w, /\n]+)\}`", WALK)
    expanded = {f"{folder}/{one.strip()}.py" for folder, ones in groups for one in ones.split(",")}
    return expanded | set(re.findall(r"`([\w/]+\.py)`", WALK))


def test_the_files_that_are_named_exist() -> None:
    assert len(named()) > 50
    assert {name for name in named() if not (ROOT / name).is_file()} == set()


@pytest.mark.timeout(300)
def test_every_file_that_a_task_passes_is_named(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(TRACE)
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "TRACED": str(ROOT),
        "TRACES": str(tmp_path),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stderr
    passed = set(json.loads(ran.stdout))
    assert len(passed) > 50
    assert passed - named() == set()
