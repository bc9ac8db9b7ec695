"""Classes that a notebook and its engines have both defined are one, in both directions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

CLASSES = """
import enum
from dataclasses import dataclass, field

@dataclass
class Point:
    x: int = 0
    tags: list[str] = field(default_factory=list)
    def moved(self, by): return Point(self.x + by, self.tags)

class Color(enum.Enum):
    red = "r"
    blue = "b"

class MyError(ValueError):
    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code
"""
USES = """
def ask(point): return isinstance(point, Point), type(point) is Point, point.moved(2)
def paint(color): return color is Color.red, Color.blue, {color: 1}
def fail(code): raise MyError(code)
def expect(error):
    try: raise error
    except MyError as caught: return caught.code
"""


@pytest.fixture
def shell() -> Iterator[Any]:
    """A notebook's IPython, with a ``__main__`` of its own."""
    config = Config()
    config.HistoryManager.enabled = False
    before = sys.modules["__main__"]
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(
        config=config, colors="nocolor", user_module=ModuleType("__main__")
    )
    sys.modules["__main__"] = shell.user_module
    yield shell
    InteractiveShell.clear_instance()
    sys.modules["__main__"] = before


def by_px_local(shell: Any, view: Any, folder: Path) -> None:
    shell.run_cell(f"%%px --local\n{CLASSES}").raise_error()


def by_a_cell_and_px(shell: Any, view: Any, folder: Path) -> None:
    shell.run_cell(CLASSES).raise_error()
    shell.run_cell(f"%%px\nimport os\n\n\n{CLASSES}").raise_error()


def by_execute(shell: Any, view: Any, folder: Path) -> None:
    shell.run_cell(f"# of mine\n\n{CLASSES}").raise_error()
    view.execute(CLASSES, block=True)


def by_a_script(shell: Any, view: Any, folder: Path) -> None:
    script = folder / "classes.py"
    script.write_text(f'"""Classes."""\n{CLASSES}')
    shell.run_cell(CLASSES).raise_error()
    view.run(str(script), block=True)


@pytest.mark.parametrize("define", [by_px_local, by_a_cell_and_px, by_execute, by_a_script])
def test_what_both_have_defined_is_one(
    shell: Any, client: Any, tmp_path: Path, define: Callable[[Any, Any, Path], None]
) -> None:
    client.activate()
    view = client[:]
    view.clear(block=True)
    define(shell, view, tmp_path)
    shell.run_cell(USES).raise_error()
    names = shell.user_ns
    point, color, error = names["Point"], names["Color"], names["MyError"]
    for answer in view.apply_sync(names["ask"], point(3, ["a"])):
        assert answer[:2] == (True, True)
        assert type(answer[2]) is point
        assert answer[2] == point(5, ["a"])
    assert client.load_balanced_view().map_sync(names["ask"], [point(1)] * 4)[3][2] == point(3)
    for is_red, blue, counts in view.apply_sync(names["paint"], color.red):
        assert is_red
        assert blue is color.blue
        assert next(iter(counts)) is color.red
    assert view.apply_sync(names["expect"], error(7)) == [7] * len(view)
    with pytest.raises(error, match="code 8") as info:
        client[client.ids[0]].apply_sync(names["fail"], 8)
    assert info.value.code == 8
    shell.run_cell("%px made = Point(4)").raise_error()
    assert view["made"] == [point(4)] * len(view)
    assert {type(made) for made in view["made"]} == {point}
    view.clear(block=True)


def test_what_they_have_defined_in_different_ways_is_not(shell: Any, client: Any) -> None:
    view = client[:]
    view.clear(block=True)
    shell.run_cell(CLASSES + USES).raise_error()
    view.execute(CLASSES.replace("x: int = 0", "x: int = 1"), block=True)
    point = shell.user_ns["Point"]
    for answer in view.apply_sync(shell.user_ns["ask"], point(3)):
        assert answer[:2] == (False, False)
    view.clear(block=True)
