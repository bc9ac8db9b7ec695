"""Where `ipcluster logs` says that logs are which cannot be shown from here."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from hippodrome.apps.showlogs import elsewhere
from hippodrome.process.descriptors import file_behind


def test_of_engines_on_other_hosts_a_line_says_where_their_logs_are() -> None:
    here = {"host": socket.gethostname(), "pid": 1, "log": "/a"}
    engines = {
        0: here,
        1: {"host": "far", "pid": 1, "log": "/b/c.log"},
        3: {"host": "far", "pid": 2, "log": "/b/c.log"},
        4: {"host": "far", "pid": 3, "log": ""},
        5: {"host": "away", "pid": 4},
    }
    no_file = "in no file, but where ipengine was started there"
    assert list(elsewhere(engines)) == [
        "engines 1, 3 run on far, and what they log is in /b/c.log there",
        f"engine 4 runs on far, and what it logs is {no_file}",
        f"engine 5 runs on away, and what it logs is {no_file}",
    ]
    assert list(elsewhere({0: here})) == []


def test_a_file_behind_a_descriptor_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a b.log"
    with path.open("w") as file:
        assert file_behind(file.fileno()) == str(path)
    read_fd, write_fd = os.pipe()
    assert (file_behind(read_fd), file_behind(99_999)) == ("", "")
    os.close(read_fd)
    os.close(write_fd)
