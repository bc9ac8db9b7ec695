"""Engines of another minor version of Python than the client's, and of another clock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp
from support.processes import Process, Site

SOURCE = Path(ipp.__file__).parents[1]
OURS = sys.version_info[:2]
OTHERS = [(3, minor) for minor in (12, 13, 11, 14) if (3, minor) != OURS]
PACKAGES = ("pyzmq", "msgspec", "cloudpickle", "traitlets", "psutil")
PATIENCE_S = 200

pytestmark = pytest.mark.timeout(300)


def interpreters() -> Iterator[Path]:
    """Yield interpreters of other minor versions that are on this machine."""
    for major, minor in OTHERS:
        found = shutil.which(f"python{major}.{minor}")
        places = [Path(found)] if found else []
        places += sorted(Path.home().glob(f".pyenv/versions/{major}.{minor}.*/bin/python"))
        places += sorted(Path.home().glob(f".local/share/uv/python/*{major}.{minor}*/bin/python3"))
        for place in places:
            tried = subprocess.run([place, "-c", "import venv"], capture_output=True, check=False)
            if tried.returncode == 0:
                yield place
                break


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of another minor version with the packages that engines need."""
    given = os.environ.get("HIPPODROME_OTHER_PYTHON")
    if given:
        return Path(given)
    reason = "there is no other Python on this machine"
    for python in interpreters():
        folder = tmp_path_factory.mktemp("other")
        made = [[python, "-m", "venv", folder]]
        made.append([folder / "bin" / "python", "-m", "pip", "install", "-q", *PACKAGES])
        for command in made:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=PATIENCE_S
            )
            if done.returncode:
                reason = f"no packages for {python}: {done.stderr.strip()[-200:]}"
                break
        else:
            return folder / "bin" / "python"
    pytest.skip(f"NOT TESTED: {reason}")


def start_engine(site: Site, python: Path, *options: str, **variables: str) -> Process:
    environment = {**site.environment(), "PYTHONPATH": str(SOURCE), **variables}
    command = [str(python), "-P", "-m", "hippodrome.apps.ipengine", *options]
    process = Process(command, environment, "ready")
    process.wait_ready()
    return process


def test_an_engine_of_another_python_is_named_and_refuses_functions_by_value(
    site: Any, other_python: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    site.start("ipcontroller")
    process = start_engine(site, other_python)
    try:
        with ipp.Client() as rc:
            rc.wait_for_engines(1)
            theirs = rc[0].apply_sync(eval, "__import__('platform').python_version()")
            minor = ".".join(theirs.split(".")[:2])
            ours = ".".join(map(str, OURS))
            said = capfd.readouterr().err
            assert said.count(f"run Python {minor}, and this is {ours}") == 1
            assert rc[0].apply_sync(divmod, 7, 2) == (3, 1)
            view = rc[0]
            view["numbers"] = [1, 2, 3]
            assert view["numbers"] == [1, 2, 3]
            with pytest.raises(
                ipp.RemoteError, match=f"Python {ours} cannot run under Python {minor}"
            ):
                rc[0].apply_sync(lambda x: x + 1, 1)
            with pytest.raises(ipp.RemoteError, match="--any-python"):
                rc.load_balanced_view().apply_sync(lambda x: x + 1, 1)
    finally:
        process.stop()


def test_any_python_tries_it(site: Any, other_python: Path) -> None:
    """What comes of it depends on the two versions: a result, or the end of the engine."""
    site.start("ipcontroller")
    process = start_engine(site, other_python, "--any-python")
    try:
        with ipp.Client() as rc:
            rc.wait_for_engines(1)
            text = ""
            try:
                assert rc[0].apply_sync(lambda: 7) == 7
            except (ipp.EngineError, ipp.RemoteError) as error:
                text = str(error)
            assert "cannot run under Python" not in text
    finally:
        process.stop()


CLOCK = """
import time
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + {shift}
time.time_ns = lambda: _time_ns() + {shift} * 10**9
"""


@pytest.mark.parametrize("shift", [3600, -3600])
def test_a_clock_an_hour_away_does_no_harm(site: Any, tmp_path: Path, shift: int) -> None:
    (tmp_path / "sitecustomize.py").write_text(CLOCK.format(shift=shift))
    site.start("ipcontroller")
    process = start_engine(
        site, Path(sys.executable), "-n", "2", PYTHONPATH=f"{tmp_path}{os.pathsep}{SOURCE}"
    )
    try:
        with ipp.Client() as rc:
            rc.wait_for_engines(2)
            away = rc[0].apply_sync(time.time) - time.time()
            assert abs(away - shift) < 60
            began = time.monotonic()
            result = rc.load_balanced_view().map_async(abs, range(50))
            assert result.get(60) == list(range(50))
            assert time.monotonic() - began < 60
            assert result.wall_time < 60
            with rc.load_balanced_view().temp_flags(timeout=30):
                assert rc.load_balanced_view().apply_sync(pow, 2, 3) == 8
            assert rc.queue_status()["unassigned"] == 0
            assert rc.result_status(result.msg_ids)["completed"]
    finally:
        process.stop()
