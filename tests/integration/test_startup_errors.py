"""What engines execute first: while it runs they get no work; if it fails, so does the start."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp
from hippodrome.paths import profile_dir
from support.leaks import wait_until
from support.processes import Process, Site, program
from support.tasks import let_go


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('no license')", "SystemExit: no license"),
        ("import os; os._exit(7)", "exited with code 7"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("def f(x):", "SyntaxError"),
    ],
)
def test_a_start_up_that_fails_is_a_failure_that_says_where_and_why(
    site: Site, code: str, why: str
) -> None:
    with pytest.raises(ipp.error.LaunchError) as caught:
        ipp.Cluster(n=2, engine_args=["-c", code]).start_and_connect_sync()
    text = str(caught.value)
    assert "2 of 2 engines failed in their start-up" in text
    assert "engines 0, 1" in text
    assert why in text
    option = f"--IPClusterStart.engine_args=-c={code}"
    ended = site.run("ipcluster", "start", "-n", "2", "--daemonize", option)
    assert ended.returncode == 1
    assert why in ended.stderr


def test_a_failure_of_some_has_the_real_numbers(site: Site, tmp_path: Path) -> None:
    code = f"import os; os.mkdir({str(tmp_path / 'lock')!r})"
    with pytest.raises(ipp.error.LaunchError, match="2 of 3 engines failed"):
        ipp.Cluster(n=3, engine_args=["-c", code]).start_and_connect_sync()
    os.rmdir(tmp_path / "lock")
    code = f"import os\ntry: os.mkdir({str(tmp_path / 'lock')!r})\nexcept OSError: os._exit(3)"
    arguments = ["-c", code, "--ignore-startup-errors"]
    cluster = ipp.Cluster(n=3, engine_args=arguments)
    with cluster as rc:
        assert len(rc.ids) == cluster.n_ready == 1


def test_errors_can_be_ignored(site: Site) -> None:
    arguments = ["-c", "x = 1; 1 / 0", "--ignore-startup-errors"]
    with ipp.Cluster(n=1, engine_args=arguments) as rc:
        assert rc[0]["x"] == 1


def test_an_engine_in_its_start_up_is_no_engine_yet(site: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "gate")
    os.mkfifo(path)
    cluster = ipp.Cluster(n=1)
    cluster.start_controller_sync()
    try:
        with cluster.connect_client_sync() as rc:
            cluster.engine_args = ["-c", f"y = open({path!r}).read()"]
            cluster._spawn_engines(2, "slow")
            while sum(e["state"] == "starting" for e in rc.engine_states()["engines"]) < 2:
                pass
            assert rc.ids == []
            result = rc.load_balanced_view().apply_async(abs, -1)
            let_go(path)
            rc.wait_for_engines(1, timeout=60)
            assert result.get(timeout=60) == 1
            states = rc.engine_states()["engines"]
            assert sorted(e["state"] for e in states) in (["ready", "starting"], ["ready"] * 2)
    finally:
        cluster.stop_cluster_sync()


def test_the_users_own_start_up_file_is_executed(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.py"
    own.write_text("mine = 41\n1 / 0\n")
    monkeypatch.setenv("PYTHONSTARTUP", str(own))
    with ipp.Cluster(n=1) as rc:
        assert rc[0]["mine"] == 41


def startup_files(**texts: str) -> Path:
    folder = profile_dir("default") / "startup"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(text)
    return folder


def test_files_with_magics_are_executed_among_the_others_in_one_order(
    site: Any, tmp_path: Path
) -> None:
    startup_files(
        b_py="order = ['b.py']",
        c_ipy="order += ['c.ipy']\nsaid = !echo hello\n%time timed = 3\n",
        a_ipy="first = 'a.ipy'\nfolder = %pwd\n",
        d_py="order += ['d.py']",
        cc_ipy="%%capture shown\nprint('in the cell')\norder += ['cc.ipy']",
        e_txt="1 / 0",
    )
    script = tmp_path / "given.ipy"
    script.write_text("given = !echo given.ipy\norder += list(given)\n")
    with ipp.Cluster(n=1, engine_args=["-s", str(script)]) as rc:
        got = rc[0].pull(["first", "order", "timed", "said"], block=True)
        assert got[:3] == ["a.ipy", ["b.py", "c.ipy", "cc.ipy", "d.py", "given.ipy"], 3]
        assert list(got[3]) == ["hello"]
        rc[0].execute("shown = str(shown)", block=True)
        assert rc[0]["shown"] == "in the cell\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = 1\n%pwd\n1 / 0\n", "ZeroDivisionError: division by zero"),
        ("x = 1\n%nosuchmagic\n", "`%nosuchmagic` not found"),
        ("x = 1\ndef f(x:\n", "SyntaxError"),
        ("%pwd\nimport sys; sys.exit('no license')\n", "SystemExit: no license"),
    ],
)
def test_a_file_with_magics_that_fails_is_a_failure_that_names_it(
    site: Any, text: str, why: str
) -> None:
    folder = startup_files(a_ipy=text, b_py="later = 2")
    with pytest.raises(ipp.error.LaunchError) as caught:
        ipp.Cluster(n=1).start_and_connect_sync()
    assert why in str(caught.value)
    line = len(text.splitlines())
    assert f'File "{folder / "a.ipy"}", line {line}' in str(caught.value)
    with ipp.Cluster(n=1, engine_args=["--ignore-startup-errors"]) as rc:
        assert rc[0]["later"] == 2


def test_waiting_in_vain_says_who_starts_and_who_failed(
    site: Site, connect: Callable[..., Any], tmp_path: Path
) -> None:
    site.start_cluster(1)
    slow = f"open({str(tmp_path / 'begun')!r}, 'w'); import time; time.sleep(60)"
    starting = Process([program("ipengine"), "-c", slow], site.environment(), "never ready")
    wait_until((tmp_path / "begun").exists)
    assert site.run("ipengine", "-c", "raise ValueError('it lacks something')").returncode != 0
    rc = connect()
    with pytest.raises(TimeoutError) as caught:
        rc.wait_for_engines(3, timeout=0.5)
    assert re.fullmatch(
        r"1 of 3 engines are there after 0.5 s; 1 is in the start-up \(1 on \S+\); "
        "1 left in the start-up: ValueError: it lacks something",
        str(caught.value),
    )
    starting.stop()
