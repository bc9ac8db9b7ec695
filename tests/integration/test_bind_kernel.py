"""Engines that let Jupyter frontends attach: how, since when, until when."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp
from support.frontends import TIMEOUT_S, WAIT, Cell
from support.leaks import wait_until
from support.processes import Site


def test_only_engines_have_kernels() -> None:
    with pytest.raises(RuntimeError, match=r"bind_kernel\(\) is for engines"):
        ipp.bind_kernel()


def test_the_connection_file_is_private_and_the_kernel_is_one(client: Any) -> None:
    path = client[0].apply_sync(ipp.bind_kernel)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    info = json.loads(Path(path).read_text())
    assert info["ip"] == "127.0.0.1"
    assert len(info["key"]) == 64
    assert client[0].apply_sync(ipp.bind_kernel, shell_port=1) == path
    assert client[1].apply_sync(ipp.bind_kernel) != path


def test_arguments_are_checked_and_a_failure_leaves_nothing(client: Any, tmp_path: Path) -> None:
    code = "import hippodrome; hippodrome.bind_kernel({})"
    with pytest.raises(ipp.RemoteError, match="TypeError"):
        client[1].execute(code.format("shell_prot=1"), block=True)


@pytest.mark.parametrize("module", ["IPython", "jupyter_client"])
def test_what_is_not_installed_is_named(own_client: Any, module: str) -> None:
    def bind_without(module: str) -> None:
        sys.modules[module] = None  # type: ignore[assignment]  # as if there were none
        ipp.bind_kernel()

    with pytest.raises(ipp.RemoteError, match=f"ImportError.*needs {module}, which"):
        own_client[0].apply_sync(bind_without, module)


def test_engines_import_nothing_of_jupyter_before_they_bind(own_client: Any) -> None:
    def imported() -> set[str]:
        return {"IPython", "jupyter_client", "hippodrome.engine.kernel.server"} & set(sys.modules)

    assert own_client[0].apply_sync(imported) == set()
    own_client[0].apply_sync(ipp.bind_kernel)
    assert own_client[0].apply_sync(imported) == {
        "jupyter_client",
        "hippodrome.engine.kernel.server",
    }


def test_magics_say_how_to_attach(client: Any) -> None:
    path = client[0].apply_sync(ipp.bind_kernel)
    shown = client[0].execute("%connect_info", block=True).stdout
    assert f"jupyter console --existing {path}" in shown
    assert json.loads(Path(path).read_text())["key"] in shown


def test_magics_say_what_is_missing(own_client: Any) -> None:
    result = own_client[0].execute("%connect_info")
    with pytest.raises(ipp.RemoteError, match=r"call hippodrome\.bind_kernel"):
        result.get(timeout=TIMEOUT_S)


def test_the_file_goes_with_its_engine_and_nothing_else_does(
    own_cluster: Site, attach: Callable[..., Any]
) -> None:
    with ipp.Client(str(own_cluster.client_file)) as rc:
        rc.wait_for_engines(2, timeout=TIMEOUT_S)
        before = {engine: rc[engine].apply_sync(threading.active_count) for engine in (0, 1)}
        paths = [Path(rc[engine].apply_sync(ipp.bind_kernel)) for engine in (0, 1)]
        after = {engine: rc[engine].apply_sync(threading.active_count) for engine in (0, 1)}
        assert after == {engine: n + 1 for engine, n in before.items()}
        cell = Cell(attach(str(paths[0])), WAIT)  # which does not keep its engine alive
        cell.frontend.wait_for_ready(timeout=TIMEOUT_S)
        rc.shutdown([0], block=True)
        wait_until(lambda: not paths[0].exists())
        assert paths[1].exists()
        assert rc[1].apply_sync(len, "abc") == 3
    own_cluster.stop()
    assert list(paths[1].parent.iterdir()) == []


def test_the_supervisor_removes_the_file_of_an_engine_that_was_killed(own_client: Any) -> None:
    paths = [Path(own_client[engine].apply_sync(ipp.bind_kernel)) for engine in (0, 1)]
    with pytest.raises(ipp.EngineError):
        own_client[0].apply_sync(lambda: os.kill(os.getpid(), signal.SIGKILL))
    wait_until(lambda: not paths[0].exists())
    assert paths[1].exists()


def test_a_file_whose_host_was_cut_short_goes_with_the_next_kernel(own_client: Any) -> None:
    def leave_one_behind() -> str:
        child = subprocess.Popen(["true"])
        child.wait()
        path = Path(ipp.bind_kernel())
        left = path.with_name(path.name.replace(str(os.getpid()), str(child.pid)))
        left.write_text("{}")
        return str(left)

    left = own_client[0].apply_sync(leave_one_behind)
    assert Path(left).exists()
    own_client[1].apply_sync(ipp.bind_kernel)
    assert not Path(left).exists()


def test_a_taken_port_is_an_error_and_another_try_works(own_client: Any, tmp_path: Path) -> None:
    def n_descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    view = own_client[0]
    taken = own_client[1].apply_sync(ipp.bind_kernel)
    port = json.loads(Path(taken).read_text())["iopub_port"]
    n = view.apply_sync(n_descriptors)
    with pytest.raises(ipp.RemoteError, match="OSError"):
        view.apply_sync(ipp.bind_kernel, iopub_port=port)
    wait_until(lambda: view.apply_sync(n_descriptors) <= n)
    path = str(tmp_path / "mine.json")
    assert view.apply_sync(ipp.bind_kernel, connection_file=path) == path
