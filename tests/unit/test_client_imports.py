"""Imports that are shared with engines: which statements, and under which names."""

from __future__ import annotations

import builtins
import datetime
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hippodrome.client.views.sync_imports import SyncImports

BEFORE = builtins.__import__


class FakeView:
    """Notes what engines would be told."""

    _flags = None
    client = None  # of which only Ctrl-C asks something

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.fails = False

    def _named(self, flags: None, name: str, source: str) -> FakeView:
        assert name == "execute"
        self.sources.append(source)
        return self

    def get(self) -> None:
        if self.fails:
            raise ValueError("an engine failed")


@pytest.fixture
def view() -> Any:
    return FakeView()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert builtins.__import__ is BEFORE


@pytest.mark.parametrize(
    "line",
    [
        "import json",
        "import json as j",
        "import json as json",
        "import xml.dom",
        "import xml.dom as d",
        "import xml.dom.minidom as m",
        "import xml.dom as xml",
        "from xml import dom",
        "from xml.dom import minidom as m, pulldom, Node as N",
        "from math import sin, sin as s",
    ],
)
@pytest.mark.parametrize("place", ["module", "function", "class"])
def test_a_statement_is_repeated_as_it_was(view: Any, line: str, place: str) -> None:
    block = f"with SyncImports(view, True):\n    {line}\n    x = 1"
    wrapped = {
        "module": block,
        "function": "def f():\n    " + block.replace("\n", "\n    ") + "\nf()",
        "class": "class C:\n    " + block.replace("\n", "\n    "),
    }
    exec(wrapped[place], {"SyncImports": SyncImports, "view": view})
    assert view.sources == [line.replace("json as json", "json")]


def test_a_star_is_repeated_too(view: Any) -> None:
    names: dict[str, Any] = {"SyncImports": SyncImports, "view": view}
    exec("with SyncImports(view, True):\n    from math import *", names)
    assert view.sources == ["from math import *"]
    assert names["sin"](0) == 0


def test_several_imports_in_a_line_are_several(view: Any) -> None:
    names = {"SyncImports": SyncImports, "view": view}
    exec("with SyncImports(view, True):\n    import json, math as m", names)
    assert view.sources == ["import json", "import math as m"]


def test_relative_imports_have_full_names_on_engines(
    view: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package_here"
    package.mkdir()
    package.joinpath("other.py").write_text("value = 1")
    package.joinpath("__init__.py").write_text(
        "def f(manager):\n    with manager:\n"
        "        from . import other as o\n        from .other import value\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import package_here

    package_here.f(SyncImports(view, True))
    assert view.sources == [
        "from package_here import other as o",
        "from package_here.other import value",
    ]


def test_only_imports_of_the_block_itself_count(view: Any) -> None:
    def elsewhere() -> None:
        import json  # noqa: F401

    sys.modules.pop("_strptime", None)
    with SyncImports(view, True):
        elsewhere()
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        datetime.datetime.strptime("2001", "%Y")  # imports in C, on behalf of this frame
        import colorsys  # noqa: F401
    assert view.sources == ["import colorsys"]


def test_what_is_imported_is_said(view: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with SyncImports(view, False):
        import json as j  # noqa: F401
        from math import sin  # noqa: F401
    assert capsys.readouterr().out.splitlines() == [
        "importing json as j on engine(s)",
        "importing sin from math on engine(s)",
    ]


def test_an_import_that_fails_here_is_not_tried_there(view: Any) -> None:
    with pytest.raises(ImportError), SyncImports(view, True):
        import no_such_module  # type: ignore[import-not-found] # noqa: F401
    assert view.sources == []


def test_the_end_of_the_block_raises_what_engines_raise(view: Any) -> None:
    view.fails = True
    with pytest.raises(ValueError, match="an engine failed"), SyncImports(view, True):
        import json  # noqa: F401
    names = {"SyncImports": SyncImports, "view": view}
    with pytest.raises(ZeroDivisionError):
        exec("with SyncImports(view, True):\n    import json\n    1 / 0", names)


def test_blocks_may_be_nested_and_end_in_any_order(view: Any) -> None:
    first, second = SyncImports(view, True), SyncImports(FakeView(), True)  # type: ignore[arg-type]
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    import json  # noqa: F401

    second.__exit__(None, None, None)
    assert view.sources == []
    assert second._view.sources == ["import json"]  # type: ignore[attr-defined]


def test_a_block_cannot_be_entered_twice_at_once(view: Any) -> None:
    manager = SyncImports(view, True)
    with manager, pytest.raises(RuntimeError, match="in use"):
        manager.__enter__()
    with manager:
        import json  # noqa: F401
    assert view.sources == ["import json"]
