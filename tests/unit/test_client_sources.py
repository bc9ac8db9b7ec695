"""Lines of source in remote tracebacks are filled in where they are surely right."""

from __future__ import annotations

import linecache
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from hippodrome.client import sources
from hippodrome.client.sources import with_sources
from hippodrome.protocol.messages import Failure

SOURCE = "def f(x):\n    y = x\n    return 1 / y\n\n\ndef g(x):\n    return f(x)\n"


def told(file: str, *frames: tuple[int, str], indent: str = "  ") -> str:
    lines = [f'{indent}File "{file}", line {line}, in {name}' for line, name in frames]
    return "\n".join(["Traceback (most recent call last):", *lines, "ZeroDivisionError: no"])


def shown(text: str) -> list[str]:
    return with_sources(Failure("E", "", text)).traceback.split("\n")[1:-1]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of this program that has not changed since it began."""
    path = tmp_path / "script.py"
    path.write_text(SOURCE)
    os.utime(path, (1, 1))
    module = types.ModuleType("made_up_script")
    module.__file__ = str(path)
    monkeypatch.setitem(sys.modules, "made_up_script", module)
    yield path
    linecache.cache.pop(str(path), None)


def test_lines_of_a_script_are_filled_in(script: Path) -> None:
    lines = shown(told(str(script), (7, "g"), (3, "f")))
    assert lines[1::2] == ["    return f(x)", "    return 1 / y"]
    grouped = shown(told(str(script), (3, "f"), indent="  |   "))
    assert grouped[1] == "  |     return 1 / y"


def test_lines_that_the_engine_shows_stay_as_they_are(script: Path) -> None:
    text = told(str(script), (3, "f")).replace("in f\n", "in f\n    something else\n")
    assert shown(text)[1:] == ["    something else"]


def test_a_script_that_has_changed_since_is_not_looked_at(script: Path) -> None:
    later = sources._STARTED + 1
    os.utime(script, (later, later))
    assert len(shown(told(str(script), (3, "f")))) == 1


@pytest.mark.parametrize("frame", [(7, "f"), (3, "g"), (4, "f"), (99, "f"), (3, "h")])
def test_a_line_that_is_not_of_that_function_is_not_shown(
    script: Path, frame: tuple[int, str]
) -> None:
    assert len(shown(told(str(script), frame))) == 1


def test_files_that_are_none_of_this_programs_code_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "other.py"
    path.write_text(SOURCE)
    os.utime(path, (1, 1))
    assert len(shown(told(str(path), (3, "f")))) == 1


def test_lines_of_cells_are_those_of_that_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "<ipython-input-4-abc>"
    entry = (len(SOURCE), None, SOURCE.splitlines(keepends=True), name)
    monkeypatch.setitem(linecache.cache, name, entry)
    assert shown(told(name, (3, "f")))[1] == "    return 1 / y"
    assert len(shown(told("<ipython-input-5-abc>", (3, "f")))) == 1


NO_SOURCE = "'Could not get source, probably due dynamically evaluated source code.'"


@pytest.mark.parametrize("indent", ["", "    | "])
def test_frames_as_ipython_shows_them_are_filled_in(script: Path, indent: str) -> None:
    text = (
        f"x\n{indent}File {script}:7, in g(x)\n{indent}      6 {NO_SOURCE}\n{indent}\n"
        f"{indent}File \x1b[32m{script}:3\x1b[39m, in \x1b[36mA.f\x1b[39m(x)\n"
        f"{indent}\x1b[32m      2\x1b[39m \x1b[33m{NO_SOURCE}\x1b[39m\nZeroDivisionError: no"
    )
    lines = shown(text)
    assert lines[1] == f"{indent}----> 7 return f(x)"
    assert lines[4] == f"{indent}----> 3 return 1 / y"


def test_frames_of_older_releases_of_ipython_are_filled_in(script: Path) -> None:
    lines = shown(f"x\n  | File {script}:7, in g(x)\n  | \n  | E: no\n")
    assert lines[1:3] == ["  | ----> 7 return f(x)", "  | "]


@pytest.mark.parametrize("frame", ["7, in f(x)", "99, in g(x)", "7, in h(x)"])
def test_what_ipython_shows_is_not_filled_in_wrongly(script: Path, frame: str) -> None:
    text = f"x\nFile {script}:{frame}\n      6 {NO_SOURCE}\nFile {script}:1, in f\nE: no"
    assert shown(text) == text.split("\n")[1:-1]


def test_what_is_given_on_the_command_line_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-I", "-c", SOURCE, "-c"])
    monkeypatch.setattr(sys, "argv", ["-c", "-c"])
    assert shown(told("<string>", (3, "f")))[1] == "    return 1 / y"
    monkeypatch.setattr(sys, "argv", ["script.py", "-c"])
    assert len(shown(told("<string>", (3, "f")))) == 1


def test_text_that_is_no_code_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in ("def f(:\n", "\0", "(" * 10_000):
        monkeypatch.setitem(linecache.cache, "<x>", (1, None, [source], "<x>"))
        assert len(shown(told("<x>", (1, "f")))) == 1
    assert with_sources(Failure("E", "v", "")) == Failure("E", "v", "")
