"""The story of one lost engine, as the logs tell it at DEBUG. docs/debugging.md shows it."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Final

import pytest

import hippodrome
from hippodrome import _version
from support.processes import Process, Site

PAGE: Final = (Path(__file__).parents[2] / "docs" / "debugging.md").read_text()
SECRET: Final = "open sesame"
LINE: Final = re.compile(r"^(\S+ \S+) \[(\d+)\] (.*)$")


def told(process: Process, who: str, others: str = "") -> list[tuple[str, str, str]]:
    """Return the lines of a log, as from any run: when, who, and what."""
    found = filter(None, map(LINE.match, process.log.splitlines()))
    return [
        (when, who if int(pid) == process.pid else others, plain(what))
        for when, pid, what in (match.groups() for match in found)
    ]


def plain(line: str) -> str:
    """Replace in a line what differs from run to run."""
    line = line.replace(socket.gethostname(), "here").replace(_version.__version__, "V")
    line = re.sub(r"\b[0-9a-f]{8}\b", "ID", line)
    line = re.sub(r"(pid=|pid |process |'pid': )\d+", r"\1N", line)
    line = re.sub(r"/\S+/|\w+:/\S+", "PATH/", line)
    return re.sub(r"\b3\.\d+\.\d+\w*", "3.X", line)


def shown(who: str) -> list[str]:
    """Return what the page shows of one process."""
    return re.findall(rf"^    {who} +(.*)$", PAGE, re.MULTILINE)


def test_a_lost_engine_makes_a_story(site: Site) -> None:
    controller = site.start("ipcontroller", "--debug")
    supervisor = site.start("ipengine", "-n", "1", "--debug")
    with hippodrome.Client() as rc:
        failing = rc[0].apply_async(eval, f"{SECRET!r} and __import__('os').abort()")
        with pytest.raises(hippodrome.EngineError, match="SIGABRT"):
            failing.get(timeout=20)
    assert supervisor.wait() == 1
    controller.stop()
    lines = [*told(controller, "hub", "scheduler"), *told(supervisor, "supervisor")]
    story = sorted(lines, key=lambda line: line[0])
    for _, who, line in story:
        print(f"    {who:10}  {line}")
    for process in ("hub", "supervisor"):
        assert shown(process) == [line for _, who, line in story if who == process]
    assert set(shown("scheduler")) <= {line for _, who, line in story if who == "scheduler"}
    assert SECRET not in controller.log + supervisor.log
