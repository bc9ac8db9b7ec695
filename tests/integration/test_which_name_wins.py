"""The tables of "Which name wins" in the documentation: each row is run on an engine."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import pytest

import hippodrome as ipp

PAGE: Final = Path(__file__).parents[2] / "docs" / "start" / "names.md"
HEAD: Final = "| Your program | The engine has | You run | Result |"
PROGRAM: Final = "program"  # what a span that ends in a colon says of those after it; or a file


class Row(NamedTuple):
    """A row of a table: code by where it belongs, and what comes of it."""

    line: int
    program: str
    engine: str
    call: str
    result: str


def rows() -> Iterator[Row]:
    """Yield the rows of all tables that have the usual head."""
    inside = False
    for number, line in enumerate(PAGE.read_text().splitlines(), 1):
        if line == HEAD:
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            yield Row(number, *line.strip("|").split("|"))


ROWS: Final = list(rows())


def code_of(cell: str) -> str:
    """Return the lines of code in a cell."""
    return "\n".join(re.findall(r"`([^`]*)`", cell))


def files_of(cell: str) -> dict[str, str]:
    """Return the code in a cell by the file that it belongs to."""
    files: dict[str, list[str]] = {}
    current = files.setdefault(PROGRAM, [])
    for line in code_of(cell).splitlines():
        if re.fullmatch(r"[a-z.]+:", line):
            current = files.setdefault(line.rstrip(":"), [])
        else:
            current.append(line)
    return {name: "\n".join(lines) for name, lines in files.items()}


@pytest.fixture
def folder(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for modules that this program and the engine find; nothing of them stays."""
    monkeypatch.syspath_prepend(tmp_path)
    engine = client[client.ids[0]]
    before = engine.apply_sync(_begin, str(tmp_path))
    engine.clear(block=True)
    here = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - here:
        if (file := getattr(sys.modules[name], "__file__", None)) and str(tmp_path) in file:
            del sys.modules[name]
    engine.clear(block=True)
    engine.apply_sync(_end, str(tmp_path), before)


def _begin(folder: str) -> str:
    import string
    import sys

    sys.path.insert(0, folder)
    return string.digits


def _end(folder: str, digits: str) -> None:
    import string
    import sys

    string.digits = digits
    sys.path.remove(folder)
    sys.modules.pop("calc", None)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"line {row.line}")
def test_a_row_is_true(
    row: Row, client: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import string

    monkeypatch.setattr(string, "digits", string.digits)
    engine = client[client.ids[0]]
    engine.execute(code_of(row.engine), block=True)
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    names: dict[str, Any] = vars(main)
    names |= {"ipp": ipp, "rc": client, "engine": engine, "run": engine.apply_sync}
    files = files_of(row.program)
    program = files.pop(PROGRAM)
    for name, text in files.items():
        (folder / name).write_text(text)
    expected = eval(code_of(row.result), names)
    exec(program, names)
    if isinstance(expected, type):
        with pytest.raises(expected):
            eval(code_of(row.call), names)
    else:
        assert eval(code_of(row.call), names) == expected


def test_all_rows_are_found() -> None:
    assert len(ROWS) > 45
    assert all(code_of(row.call) and code_of(row.result) for row in ROWS)
