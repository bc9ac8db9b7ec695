"""The pictures of the site: of cells that the page beside them has."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = (DOCS / "start" / "ten-minutes.md").read_text(encoding="utf-8")


def constants_of(path: Path) -> dict[str, object]:
    """Return the literals that a file gives names to, without what it imports."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant):
            assert isinstance(node.target, ast.Name)
            found[node.target.id] = node.value.value
    return found


NOTEBOOK: Final = str(constants_of(DOCS / "pictures.py")["NOTEBOOK"])


@pytest.mark.parametrize("cell", NOTEBOOK.removesuffix("\n").split("\n---\n"))
def test_what_runs_for_a_picture_is_on_the_page(cell: str) -> None:
    on_the_page = re.findall(r"^```\{code-cell\}\n(?::[^\n]*\n)*(.*?)^```", PAGE, re.M | re.S)
    assert cell + "\n" in on_the_page


def test_each_picture_is_small_and_shown() -> None:
    pictures = sorted((DOCS / "_static").glob("*.png"))
    shown = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    assert pictures
    for picture in pictures:
        assert f"_static/{picture.name}" in shown
        assert picture.stat().st_size < 150_000
